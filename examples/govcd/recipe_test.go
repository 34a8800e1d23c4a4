package main

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

func TestVersionsNeedNoLogin(t *testing.T) {
	l := newLab(t)
	c, _ := l.wrapped()
	if err := c.versions(); err != nil {
		t.Fatal(err)
	}
	if s := only(t, l.cell.take()); s.method != "GET" || s.path != "/api/versions" || l.director.Logins() != 0 {
		t.Errorf("%s %s, %d logins", s.method, s.path, l.director.Logins())
	}
	if err := c.setToken("Finance", authorizationHeader, placeholder); err != nil {
		t.Fatal(err)
	}
	if s := only(t, l.cell.take()); s.path != "/api/org" || l.director.Logins() != 1 {
		t.Errorf("SetToken asks for %s, %d logins", s.path, l.director.Logins())
	}
}

func TestBodiesAreSentAgainInANewSession(t *testing.T) {
	for _, call := range calls() {
		l := newLab(t)
		c, _ := l.wrapped()
		if err := c.setToken("Finance", authorizationHeader, placeholder); err != nil {
			t.Fatal(err)
		}
		if n := l.director.Kill(); n != 1 {
			t.Fatalf("%d sessions were killed", n)
		}
		before := l.director.Logins()
		l.cell.take()
		_, err := c.do(call.make(c))
		if missing := call.name == "POST, OpenAPI"; (err != nil) != missing {
			t.Errorf("%s: %v", call.name, err)
		}
		if n := l.director.Logins() - before; n != 1 {
			t.Errorf("%s: %d logins, want 1", call.name, n)
		}
		all := l.cell.take()
		if len(all) != 2 {
			t.Fatalf("%s: %d requests, want 2", call.name, len(all))
		}
		if all[0].body != all[1].body || strings.HasPrefix(call.name, "POST") != (all[0].body != "") {
			t.Errorf("%s: bodies %q, then %q", call.name, all[0].body, all[1].body)
		}
		first, second := all[0].header.Values("Authorization"), all[1].header.Values("Authorization")
		if len(first) != 1 || len(second) != 1 || first[0] == second[0] {
			t.Errorf("%s: the session of the second request is that of the first", call.name)
		}
	}
}

// The library sends ADFS, and documents that a user names, through the same
// http.Client; without us, its token goes there.
func TestOtherHostGetsNoSession(t *testing.T) {
	for _, tc := range []struct {
		name, method, path string
		body               []byte
	}{
		{"metadata document", http.MethodGet, "/metadata.xml", nil},
		{"ADFS", http.MethodPost, "/adfs/services/trust/13/usernamemixed", []byte("<Envelope/>")},
	} {
		l := newLab(t)
		c, transport := l.wrapped()
		if err := c.setToken("Finance", authorizationHeader, placeholder); err != nil {
			t.Fatal(err)
		}
		if _, err := c.do(c.xmlRequest(tc.method, foreign+tc.path, "", tc.body)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		s := only(t, l.other.take())
		if session := l.bearer(transport); strings.Contains(s.lines(), session) || s.header.Get("Authorization") != "" || s.header.Get("Cookie") != "" {
			t.Errorf("%s: the session went to another host", tc.name)
		}
		if got := s.header.Get(authorizationHeader); got != placeholder {
			t.Errorf("%s: %s: %q, want what the client had set", tc.name, authorizationHeader, got)
		}

		l.other.take()
		without := l.plain()
		without.authHeader, without.token = bearerTokenHeader, l.bearer(transport)
		if _, err := without.do(without.xmlRequest(tc.method, foreign+tc.path, "", tc.body)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if got := only(t, l.other.take()).header.Get("Authorization"); got != "bearer "+without.token {
			t.Errorf("%s: without us the other host is said to get the token, but got %q", tc.name, got)
		}
	}
}

func TestAuthenticateIsRefusedBeforeAnythingIsSent(t *testing.T) {
	for _, org := range []string{"Finance", "System"} {
		l := newLab(t)
		c, _ := l.wrapped()
		err := c.authenticate("bob", "s3cr3t", org)
		if !errors.Is(err, vmsso.ErrOwnLogin) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want ErrOwnLogin", org, err)
		}
		for _, s := range l.cell.take() {
			if s.path != "/api/versions" || s.header.Get("Authorization") != "" {
				t.Errorf("%s: %s %s was sent", org, s.method, s.path)
			}
		}
	}
	l := newLab(t)
	c, _ := l.wrapped()
	req, err := c.xmlRequest(http.MethodPost, host+"/api/sessions", "", nil) // the end of its login with ADFS
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", `SIGN token="aaaa",org="Finance"`)
	if _, err := c.do(req, nil); !errors.Is(err, vmsso.ErrOwnLogin) || len(l.cell.take()) != 0 {
		t.Errorf("SIGN: got %v, want ErrOwnLogin", err)
	}
}

func TestDisconnectEndsNothingCloseDoes(t *testing.T) {
	l := newLab(t)
	c, transport := l.wrapped()
	if err := c.setToken("Finance", authorizationHeader, placeholder); err != nil {
		t.Fatal(err)
	}
	l.cell.take()
	if err := c.disconnect(); err == nil {
		t.Error("the deletion of the login URL is no error")
	}
	s := only(t, l.cell.take())
	if s.method+" "+s.path != "DELETE /cloudapi/1.0.0/sessions" || len(s.header["Accept"]) != 2 || len(s.header["Authorization"]) != 1 || s.header[authorizationHeader] != nil {
		t.Errorf("%s %s\n%s", s.method, s.path, s.lines())
	}
	if n := l.director.Sessions(); n != 1 {
		t.Errorf("%d sessions after Disconnect", n)
	}
	if err := transport.Close(); err != nil || l.director.Sessions() != 0 {
		t.Errorf("after Close: %v, %d sessions", err, l.director.Sessions())
	}
}

// The initial API token is asked for with the client's token in the body, where
// nobody replaces it.
func TestInitialAPITokenIsAskedForWithThePlaceholder(t *testing.T) {
	l := newLab(t)
	c, _ := l.wrapped()
	c.authHeader, c.token = authorizationHeader, placeholder
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {c.token}, "client_id": {"a"}}
	_, _ = c.do(c.openAPIRequest(http.MethodPost, host+"/oauth/tenant/Finance/token", []byte(form.Encode())))
	s := only(t, l.cell.take())
	if got, err := url.ParseQuery(s.body); err != nil || got.Get("assertion") != placeholder || l.director.Logins() != 0 {
		t.Errorf("%v, assertion %q, %d logins", err, got.Get("assertion"), l.director.Logins())
	}
}

// The other way: the client has the session's token, and nobody logs in again.
func TestTokenOfTheSessionServesUntilTheSessionEnds(t *testing.T) {
	l := newLab(t)
	_, transport := l.wrapped()
	c := l.plain()
	if err := c.setToken("Finance", bearerTokenHeader, l.bearer(transport)); err != nil {
		t.Fatalf("%v; the director says %q", err, l.director.Reasons())
	}
	for _, call := range calls()[:3] {
		if _, err := c.do(call.make(c)); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
	}
	if err := transport.Close(); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls() {
		if _, err := c.do(call.make(c)); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: got %v after Close, want 401", call.name, err)
		}
	}
	if n := l.director.Logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// IsSysAdmin is what the caller says of the organization.
func TestOrganizationIsTakenOnTrust(t *testing.T) {
	for org, want := range map[string]bool{"Finance": false, "System": true, "system": true, "": false} {
		l := newLab(t)
		c, _ := l.wrapped()
		if err := c.setToken(org, authorizationHeader, placeholder); err != nil || c.sysAdmin != want {
			t.Errorf("%q: %v, system administrator: %t, want %t", org, err, c.sysAdmin, want)
		}
	}
}

// The tenant context is the caller's. A URN in it is answered as if the session
// were gone, which costs one login and no more.
func TestTenantContextIsTheCallers(t *testing.T) {
	const id = "fdd6b4e8-2ec4-43bb-a3ae-a4de1ba8a3f4"
	for _, tc := range []struct {
		context string
		ok      bool
		logins  int
	}{
		{id, true, 1},
		{"urn:vcloud:org:" + id, false, 2},
	} {
		l := newLab(t)
		c, _ := l.wrapped()
		if err := c.setToken("System", authorizationHeader, placeholder); err != nil {
			t.Fatal(err)
		}
		l.cell.take()
		req, err := c.openAPIRequest(http.MethodGet, host+"/cloudapi/1.0.0/vms", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Vmware-Vcloud-Tenant-Context", tc.context)
		if _, err := c.do(req, nil); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.context, err)
		}
		for _, s := range l.cell.take() {
			if got := s.header.Get("X-Vmware-Vcloud-Tenant-Context"); got != tc.context {
				t.Errorf("%s: got %q", tc.context, got)
			}
		}
		if n := l.director.Logins(); n != tc.logins {
			t.Errorf("%s: %d logins, want %d", tc.context, n, tc.logins)
		}
	}
}
