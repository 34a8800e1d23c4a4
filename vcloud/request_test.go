package vcloud_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		want         vmsso.Class
	}{
		{"GET", "/api/versions", vmsso.Anonymous},
		{"GET", "/cloud/org/Finance/saml/metadata/alias/vcd", vmsso.Anonymous},
		{"GET", "/cloud/saml/metadata/alias/vcd", vmsso.Anonymous},
		{"GET", "/login/Finance/saml/login/alias/vcd", vmsso.Anonymous},
		{"POST", "/oauth/tenant/Finance/token", vmsso.Anonymous},
		{"POST", "/oauth/provider/token", vmsso.Anonymous},
		{"POST", "/oauth/tenant/Finance/register", vmsso.Normal},
		{"POST", "/api/sessions", vmsso.OwnLogin},
		{"POST", "/api/login", vmsso.OwnLogin},
		{"GET", "/api/login", vmsso.OwnLogin},
		{"POST", "/cloudapi/1.0.0/sessions", vmsso.OwnLogin},
		{"POST", "/cloudapi/1.0.0/sessions/provider", vmsso.OwnLogin},
		{"POST", "/cloudapi/2.0.0/sessions", vmsso.OwnLogin},
		{"GET", "/cloudapi/1.0.0/sessions", vmsso.Normal},
		{"POST", "/cloudapi/1.0.0/vms/sessions", vmsso.Normal},
		{"GET", "/api/session", vmsso.Normal},
		{"DELETE", "/api/session", vmsso.OwnLogout},
		{"DELETE", "/cloudapi/1.0.0/sessions/current", vmsso.OwnLogout},
		{"DELETE", "/cloudapi/1.0.0/sessions/urn:vcloud:session:1", vmsso.Normal},
		{"DELETE", "/cloudapi/1.0.0/sessions", vmsso.Normal},
		{"GET", "/cloudapi/1.0.0/sessions/current", vmsso.Normal},
		{"GET", "/api/org", vmsso.Normal},
		{"DELETE", "/api/vApp/vm-1", vmsso.Normal},
	} {
		req, err := http.NewRequest(tc.method, host+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&vcloud.Authenticator{}).Classify(req, nil); got != tc.want {
			t.Errorf("%s %s: class %d, want %d", tc.method, tc.path, got, tc.want)
		}
	}
}

// Programs with VMware's library set a token before each request, in up to three
// headers; and a cookie jar may hold that of another session.
func TestStaleCredentialsOfTheCallerAreNotSent(t *testing.T) {
	for _, versions := range [][]string{{"5.6"}, {"36.0", "37.0"}} {
		l := newLab(t, vmssotest.DirectorConfig{Versions: versions})
		c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
		stale := http.Header{
			"Authorization":                {"Bearer stale"},
			"X-Vcloud-Authorization":       {"stale"},
			"X-Vmware-Vcloud-Access-Token": {"stale"},
			"X-Vmware-Vcloud-Token-Type":   {"Bearer"},
			"Cookie":                       {"vcloud_jwt=stale; vcloud_session_id=stale; vcloud-token=stale; theme=dark"},
			"X-Theirs":                     {"stays"},
		}
		var seen http.Header
		l.server.Inject("GET /api/org", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			seen = r.Header.Clone()
			next.ServeHTTP(w, r)
		})
		status, text, err := do(t.Context(), c, "GET", "/api/org", stale, nil)
		if err != nil || status != 200 {
			t.Fatalf("%v: status %d, %v, %s; the server says %q", versions, status, err, text, l.server.Reasons())
		}
		var all bytes.Buffer
		_ = seen.Write(&all)
		if strings.Contains(all.String(), "stale") || seen.Get("Cookie") != "theme=dark" || seen.Get("X-Theirs") != "stays" {
			t.Errorf("%v: the server saw\n%s", versions, all.String())
		}
	}
}

func TestAcceptIsFilledInWhereTheCallerHasNone(t *testing.T) {
	l := newLab(t, vmssotest.DirectorConfig{})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	var seen string
	l.server.Inject("", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		seen = r.Header.Get("Accept")
		next.ServeHTTP(w, r)
	})
	for _, tc := range []struct{ path, accept, want string }{
		{"/api/org", "", "application/*+xml;version=39.0"},
		{"/cloudapi/1.0.0/vms", "", "application/json;version=39.0"},
		{"/transfer/1/file", "", "application/*;version=39.0"},
		{"/api/org", "application/*+json;version=37.0", "application/*+json;version=37.0"},
	} {
		header := http.Header{}
		if tc.accept != "" {
			header.Set("Accept", tc.accept)
		}
		if _, _, err := do(t.Context(), c, "GET", tc.path, header, nil); err != nil || seen != tc.want {
			t.Errorf("%s, Accept %q: %v, the server saw %q, want %q", tc.path, tc.accept, err, seen, tc.want)
		}
	}
}

func TestForbiddenIsNoExpiry(t *testing.T) {
	l := newLab(t, vmssotest.DirectorConfig{})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	for range 5 {
		if status, _, err := do(t.Context(), c, "GET", "/api/admin", nil, nil); err != nil || status != 403 {
			t.Errorf("status %d, %v, want 403", status, err)
		}
	}
	if n := l.server.Logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// A Cloud Director also says 401 of a tenant context that is a URN, in a session
// that is alive.
func TestRefusalInALiveSessionDoesNotLoop(t *testing.T) {
	l := newLab(t, vmssotest.DirectorConfig{})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	header := http.Header{"X-Vmware-Vcloud-Tenant-Context": {"urn:vcloud:org:00000000-0000-0000-0000-000000000001"}}
	for range 20 {
		if status, _, err := do(t.Context(), c, "GET", "/api/org", header, nil); err != nil || status != 401 {
			t.Errorf("status %d, %v, want 401", status, err)
		}
	}
	if n := l.server.Logins(); n > 2 {
		t.Errorf("%d logins, want 2 at most", n)
	}
	if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 || l.server.Logins() > 2 {
		t.Errorf("afterwards: status %d, %v, %d logins", status, err, l.server.Logins())
	}
}

func TestOwnLoginIsRefusedAndOwnLogoutEndsTheSession(t *testing.T) {
	l := newLab(t, vmssotest.DirectorConfig{})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	if _, _, err := do(t.Context(), c, "POST", "/api/sessions", http.Header{"Authorization": {"Basic x"}}, nil); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("got %v, want ErrOwnLogin", err)
	}
	if status, _, err := do(t.Context(), c, "GET", "/api/versions", nil, nil); err != nil || status != 200 || l.server.Logins() != 0 {
		t.Errorf("the versions: status %d, %v, %d logins, want none", status, err, l.server.Logins())
	}
	for n := 1; n <= 2; n++ {
		if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 || l.server.Logins() != n {
			t.Errorf("status %d, %v, %d logins, want %d", status, err, l.server.Logins(), n)
		}
		if status, _, err := do(t.Context(), c, "DELETE", "/cloudapi/1.0.0/sessions/current", nil, nil); err != nil || status != 204 || l.server.Sessions() != 0 {
			t.Errorf("own logout: status %d, %v, %d sessions", status, err, l.server.Sessions())
		}
	}
}

func TestSessionThatIsIdleOrTooOldIsReplaced(t *testing.T) {
	authority() // not with the clock of the bubble
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, vmssotest.DirectorConfig{Idle: 10 * time.Minute, Lifetime: 20 * time.Minute})
		tok := &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Audiences: []string{entityID}, NotOnOrAfter: time.Now().Add(10 * time.Hour)})}
		c, tr := l.client(t, &vcloud.Authenticator{Org: "Finance"}, tok)
		expect := func(logins int) {
			t.Helper()
			if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 || l.server.Logins() != logins {
				t.Errorf("status %d, %v, %d logins, want %d", status, err, l.server.Logins(), logins)
			}
		}
		expect(1)
		if s, err := tr.Session(t.Context()); err != nil || time.Until(s.Expires).Round(time.Minute) != 20*time.Minute {
			t.Errorf("%v: the session expires at %v, want in 20 minutes", err, s.Expires)
		}
		time.Sleep(8 * time.Minute)
		expect(1)
		time.Sleep(8 * time.Minute)
		expect(1)
		time.Sleep(8 * time.Minute)
		expect(2) // the JWT was 24 minutes old
		time.Sleep(11 * time.Minute)
		expect(3) // idle
		tr.Close()
		l.base.CloseIdleConnections()
	})
}

// A large upload may be answered before it is read.
func TestUploadThatMeetsADeadSessionIsSentAgain(t *testing.T) {
	server := vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: authorityCertificates()})
	socket := vmssotest.Listen(server)
	defer socket.Close()
	base := socket.Transport()
	defer base.CloseIdleConnections()
	c, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: socket.URL, Source: tokensource.Static(bearer()), Auth: &vcloud.Authenticator{Org: "Finance"}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	content := bytes.Repeat([]byte("0123456789abcdef"), 900<<10/16)
	for range 5 {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", socket.URL+"/transfer/1/disk.vmdk", io.MultiReader(bytes.NewReader(content)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode/100 != 2 || !strings.Contains(string(text), "921600") {
			t.Errorf("status %d, %s, want 921600 bytes", resp.StatusCode, text)
		}
		server.Kill()
	}
}
