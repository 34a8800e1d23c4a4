package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
)

// What other programs take of a session. Each is as good as a password until the
// session ends.

// soapCookie returns the cookie of a vSphere SOAP session. Its Value is without the
// quotes in which vCenter sets it; whether there were any is in Quoted.
func soapCookie(s *vmsso.Session) (*http.Cookie, error) {
	for _, c := range s.Cookies {
		if c.Name == "vmware_soap_session" {
			return c, nil
		}
	}
	return nil, errors.New("this is no vSphere SOAP session")
}

// cookieLine returns the cookie as a Cookie header has it, with the quotes.
func cookieLine(c *http.Cookie) string {
	return (&http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}).String()
}

// automationID returns the ID of a vSphere Automation session.
func automationID(s *vmsso.Session) (string, error) {
	if id := s.Header.Get("Vmware-Api-Session-Id"); id != "" {
		return id, nil
	}
	return "", errors.New("this is no vSphere Automation session")
}

// directorToken returns the JSON Web Token of a Cloud Director session. Systems
// before vCloud Director 9.1 have none, but the header X-Vcloud-Authorization.
func directorToken(s *vmsso.Session) (string, error) {
	if token, ok := strings.CutPrefix(s.Header.Get("Authorization"), "Bearer "); ok {
		return token, nil
	}
	return "", errors.New("this is no Cloud Director session with a JSON Web Token")
}

// curlConfig is what "curl --config -" reads on standard input, so that the header
// is not among the arguments, which every user of the machine can see.
func curlConfig(name, value string) string {
	return `header = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name+": "+value) + "\"\n"
}
