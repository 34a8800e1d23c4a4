package interop_test

import (
	"net/http"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// TestInteropSTS: the token service of vcsim looks at nothing and issues one
// token to all, a vCenter's of 2018, with a new lifetime around it. That token
// was signed by another implementation than ours, and each of the two APIs takes
// it.
func TestInteropSTS(t *testing.T) {
	v := newVcsim(t)
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      v.url + "/sts/STSService/vsphere.local",
		Username: "alice@vsphere.local", Password: "any",
		Base: asXML{v.transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]vmsso.Authenticator{"SOAP": &soap.Authenticator{}, "Automation": &automation.Authenticator{}} {
		transport, err := vmsso.New(vmsso.Config{Endpoint: v.url, Source: source, Auth: auth, Base: v.transport})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.Session(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := transport.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
}

// asXML gives the answers of vcsim's STS their type: vcsim sets none, and
// net/http guesses text/plain, in which package tokensource expects no token.
type asXML struct{ base http.RoundTripper }

func (a asXML) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.base.RoundTrip(req)
	if err == nil {
		resp.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	return resp, err
}
