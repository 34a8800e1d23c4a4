package main

import (
	"net/http"
	"strings"
	"testing"
)

// Tokens as a caller may give them to SetToken.
const placeholder = "vmsso"

var long = strings.Repeat("stale", 100) // longer than 32: taken for a bearer token

// A call is one request of the library, by either of its two builders.
type call struct {
	name string
	make func(*client) (*http.Request, error)
}

func calls() []call {
	return []call{
		{"GET, XML", func(c *client) (*http.Request, error) {
			return c.xmlRequest(http.MethodGet, host+"/api/org", "", nil)
		}},
		{"POST, XML", func(c *client) (*http.Request, error) {
			return c.xmlRequest(http.MethodPost, host+"/api/echo", "application/vnd.vmware.vcloud.vApp+xml", []byte("<VApp/>"))
		}},
		{"GET, OpenAPI", func(c *client) (*http.Request, error) {
			return c.openAPIRequest(http.MethodGet, host+"/cloudapi/1.0.0/vms", nil)
		}},
		{"POST, OpenAPI", func(c *client) (*http.Request, error) {
			return c.openAPIRequest(http.MethodPost, host+"/cloudapi/1.0.0/vms", []byte(`{"name":"a"}`))
		}},
	}
}

// What the library sends by itself, read in its source: newRequest in
// govcd/api.go, newOpenApiRequest in govcd/openapi.go.
func TestHeadersWithoutVmsso(t *testing.T) {
	const id = "\nX-Vmware-Vcloud-Client-Request-Id: 1"
	for _, tc := range []struct {
		name, authHeader, token string
		want                    []string // by calls()
	}{
		{"no token: no Accept", "", "", []string{
			"User-Agent: go-vcloud-director" + id,
			"Content-Length: 7\nContent-Type: application/vnd.vmware.vcloud.vApp+xml\nUser-Agent: go-vcloud-director" + id,
			"Content-Type: application/json\nUser-Agent: go-vcloud-director" + id,
			"Content-Length: 12\nContent-Type: application/json\nUser-Agent: go-vcloud-director" + id,
		}},
		{"short token: one header", authorizationHeader, placeholder, []string{
			"Accept: application/*+xml;version=37.0\nUser-Agent: go-vcloud-director\nX-Vcloud-Authorization: vmsso" + id,
			"Accept: application/*+xml;version=37.0\nContent-Length: 7\nContent-Type: application/vnd.vmware.vcloud.vApp+xml\nUser-Agent: go-vcloud-director\nX-Vcloud-Authorization: vmsso" + id,
			"Accept: application/json;version=37.0\nContent-Type: application/json\nUser-Agent: go-vcloud-director\nX-Vcloud-Authorization: vmsso" + id,
			"Accept: application/json;version=37.0\nContent-Length: 12\nContent-Type: application/json\nUser-Agent: go-vcloud-director\nX-Vcloud-Authorization: vmsso" + id,
		}},
		{"long token: three headers", bearerTokenHeader, long, []string{
			"Accept: application/*+xml;version=37.0\nAuthorization: bearer LONG\nUser-Agent: go-vcloud-director\nX-Vmware-Vcloud-Access-Token: LONG" + id + "\nX-Vmware-Vcloud-Token-Type: Bearer",
			"Accept: application/*+xml;version=37.0\nAuthorization: bearer LONG\nContent-Length: 7\nContent-Type: application/vnd.vmware.vcloud.vApp+xml\nUser-Agent: go-vcloud-director\nX-Vmware-Vcloud-Access-Token: LONG" + id + "\nX-Vmware-Vcloud-Token-Type: Bearer",
			"Accept: application/json;version=37.0\nAuthorization: bearer LONG\nContent-Type: application/json\nUser-Agent: go-vcloud-director\nX-Vmware-Vcloud-Access-Token: LONG" + id + "\nX-Vmware-Vcloud-Token-Type: Bearer",
			"Accept: application/json;version=37.0\nAuthorization: bearer LONG\nContent-Length: 12\nContent-Type: application/json\nUser-Agent: go-vcloud-director\nX-Vmware-Vcloud-Access-Token: LONG" + id + "\nX-Vmware-Vcloud-Token-Type: Bearer",
		}},
	} {
		for i, call := range calls() {
			l := newLab(t)
			c := l.plain()
			c.authHeader, c.token = tc.authHeader, tc.token
			if _, err := c.do(call.make(c)); err == nil {
				t.Errorf("%s, %s: no error without a session", tc.name, call.name)
			}
			got := only(t, l.cell.take()).lines()
			if want := strings.ReplaceAll(tc.want[i], "LONG", long); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", tc.name, call.name, got, want)
			}
		}
	}
}

// The session is in one header, whatever the client had set; the rest is the
// client's. The director answers what contradicts itself with 400, and says so.
func TestHeadersWithVmsso(t *testing.T) {
	const id = "\nX-Vmware-Vcloud-Client-Request-Id: 1"
	want := []string{ // by calls()
		"Accept: application/*+xml;version=37.0\nAuthorization: Bearer SESSION\nUser-Agent: go-vcloud-director" + id,
		"Accept: application/*+xml;version=37.0\nAuthorization: Bearer SESSION\nContent-Length: 7\nContent-Type: application/vnd.vmware.vcloud.vApp+xml\nUser-Agent: go-vcloud-director" + id,
		"Accept: application/json;version=37.0\nAuthorization: Bearer SESSION\nContent-Type: application/json\nUser-Agent: go-vcloud-director" + id,
		"Accept: application/json;version=37.0\nAuthorization: Bearer SESSION\nContent-Length: 12\nContent-Type: application/json\nUser-Agent: go-vcloud-director" + id,
	}
	for _, tc := range []struct{ name, authHeader, token string }{
		{"placeholder", authorizationHeader, placeholder},
		{"placeholder in the other header", bearerTokenHeader, placeholder},
		{"stale token", bearerTokenHeader, long},
		{"stale token in the older header", authorizationHeader, long},
	} {
		for i, call := range calls() {
			l := newLab(t)
			c, transport := l.wrapped()
			c.authHeader, c.token = tc.authHeader, tc.token
			_, err := c.do(call.make(c))
			if missing := call.name == "POST, OpenAPI"; (err != nil) != missing { // the director has no such call: 404
				t.Errorf("%s, %s: %v", tc.name, call.name, err)
			}
			got := only(t, l.cell.take()).lines()
			if want := strings.ReplaceAll(want[i], "SESSION", l.bearer(transport)); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", tc.name, call.name, got, want)
			}
			if n := l.director.Logins(); n != 1 || len(l.director.Reasons()) != 0 {
				t.Errorf("%s, %s: %d logins, refusals %q", tc.name, call.name, n, l.director.Reasons())
			}
		}
	}
}

// Without a placeholder the library sets no Accept, and the version is that of our
// login, which is the highest, instead of the client's.
func TestWithoutPlaceholderTheVersionIsThatOfTheLogin(t *testing.T) {
	l := newLab(t)
	c, _ := l.wrapped()
	for _, call := range calls()[:3] {
		if _, err := c.do(call.make(c)); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
		if got := only(t, l.cell.take()).header.Get("Accept"); !strings.HasSuffix(got, ";version=39.0") {
			t.Errorf("%s: Accept %q, want version 39.0", call.name, got)
		}
	}
}

// Requests that need no session go as they are: the placeholder is in those, and
// in no other. GET /api/versions is one, unless the versions are known before.
func TestPlaceholderReachesWhatIsAnonymousAlone(t *testing.T) {
	for _, known := range []bool{false, true} {
		l := newLab(t)
		c, _ := l.wrapped()
		if known {
			if err := c.versions(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.setToken("Finance", authorizationHeader, placeholder); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls() {
			_, _ = c.do(call.make(c))
		}
		_ = c.disconnect()
		all := l.cell.take()
		if len(all) != 7 {
			t.Errorf("%d requests, want versions, org, four calls, and the deletion", len(all))
		}
		for _, s := range all {
			with := strings.Contains(s.lines(), placeholder)
			if want := s.path == "/api/versions" && !known; with != want {
				t.Errorf("versions known before: %t: %s %s: placeholder in the header: %t, want %t", known, s.method, s.path, with, want)
			}
		}
	}
}
