package soap

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
)

// Classify implements [vmsso.Authenticator].
func (a *Authenticator) Classify(req *http.Request, head []byte) vmsso.Class {
	if public(req.URL.Path) {
		return vmsso.Anonymous
	}
	if head == nil {
		return vmsso.Normal
	}
	switch envelope.Operation(head) {
	case "RetrieveServiceContent":
		return vmsso.Anonymous
	case "Login", "LoginByToken", "LoginBySSPI", "LoginExtensionByCertificate", "LoginExtensionBySubjectName", "CloneSession":
		return vmsso.OwnLogin
	case "Logout":
		return vmsso.OwnLogout
	case "ContinueRetrievePropertiesEx", "CancelRetrievePropertiesEx":
		return vmsso.SessionBound
	case "WaitForUpdatesEx", "WaitForUpdates", "CheckForUpdates":
		if sinceVersion.Match(head) {
			return vmsso.SessionBound
		}
	}
	// Views, collectors, filters and leases live in their session, and it is in
	// their names.
	if bytes.Contains(head, []byte("session[")) {
		return vmsso.SessionBound
	}
	return vmsso.Normal
}

// sinceVersion matches the updates that follow earlier ones of the same session.
var sinceVersion = regexp.MustCompile(`<(?:\w+:)?version>[^<]`)

// public tells whether a path is served without a vSphere session: descriptions
// of the service, and services that are logged in to in other ways.
func public(path string) bool {
	for _, service := range []string{"/sts/", "/lookupservice/", "/sso-adminserver/", "/websso/"} {
		if strings.HasPrefix(path, service) {
			return true
		}
	}
	return strings.HasSuffix(path, "/vimServiceVersions.xml") || strings.HasSuffix(path, ".wsdl")
}
