package vcloud

import (
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
)

// Classify implements [vmsso.Authenticator].
func (a *Authenticator) Classify(req *http.Request, _ []byte) vmsso.Class {
	path, method := req.URL.Path, req.Method
	switch {
	case path == versionsPath, public(path):
		return vmsso.Anonymous
	case path == "/api/login", method == http.MethodPost && isLogin(path):
		return vmsso.OwnLogin
	case method == http.MethodDelete && (path == "/api/session" || strings.HasPrefix(path, cloudAPI) && strings.HasSuffix(path, "/sessions/current")):
		return vmsso.OwnLogout
	}
	return vmsso.Normal
}

const cloudAPI = "/cloudapi/"

func isLogin(path string) bool {
	if path == legacyLogin {
		return true
	}
	rest, ok := strings.CutPrefix(path, cloudAPI)
	_, rest, _ = strings.Cut(rest, "/") // the version of the cloudapi
	return ok && (rest == "sessions" || rest == "sessions/provider")
}

// public tells whether a path is served without a session: the SAML metadata,
// the login pages, and where API tokens are exchanged.
func public(path string) bool {
	return strings.HasPrefix(path, "/cloud/") && strings.Contains(path, "/saml/") ||
		strings.HasPrefix(path, "/login/") ||
		strings.HasPrefix(path, "/oauth/") && strings.HasSuffix(path, "/token")
}

// Apply implements [vmsso.Authenticator].
func (a *Authenticator) Apply(req *http.Request, s *vmsso.Session) error {
	if req.Header.Get("Accept") == "" && s.Values[valueVersion] != "" {
		req.Header["Accept"] = []string{accept(req.URL.Path, s.Values[valueVersion])}
	}
	return a.Defaults.Apply(req, s)
}

// Expired implements [vmsso.Authenticator]: status 401. A 403 says that the
// user lacks a right.
func (a *Authenticator) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode == http.StatusUnauthorized {
		return vmsso.Yes
	}
	return vmsso.No
}
