package vcloud_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestLoginToEveryVersion(t *testing.T) {
	const (
		legacy   = "/api/sessions"
		tenant   = "/cloudapi/1.0.0/sessions"
		provider = "/cloudapi/1.0.0/sessions/provider"
		jwt      = "Authorization"
		old      = "X-Vcloud-Authorization"
	)
	for _, tc := range []struct {
		name     string
		versions []string
		a        *vcloud.Authenticator
		path     string // where it logs in
		version  string
		header   string // that carries the session
		logout   string
	}{
		{"5.1", []string{"1.5", "5.1"}, &vcloud.Authenticator{Org: "Finance"}, legacy, "5.1", old, "DELETE /api/session"},
		{"5.6", []string{"1.5", "5.1", "5.5", "5.6"}, &vcloud.Authenticator{Org: "Finance"}, legacy, "5.6", old, "DELETE /api/session"},
		{"8.0", []string{"5.6", "9.0"}, &vcloud.Authenticator{}, legacy, "9.0", old, "DELETE /api/session"},
		{"9.0", []string{"9.0", "20.0", "27.0", "29.0"}, &vcloud.Authenticator{Org: "Finance"}, legacy, "29.0", old, "DELETE /api/session"},
		{"9.7", []string{"29.0", "30.0", "31.0", "32.0"}, &vcloud.Authenticator{Org: "system"}, legacy, "32.0", jwt, "DELETE /api/session"},
		{"10.2", []string{"33.0", "34.0", "35.0"}, &vcloud.Authenticator{}, legacy, "35.0", jwt, "DELETE /api/session"},
		{"10.3", []string{"35.0", "36.0"}, &vcloud.Authenticator{Org: "Finance"}, tenant, "36.0", jwt, "DELETE /cloudapi/1.0.0/sessions/current"},
		{"10.3, provider", []string{"35.0", "36.0"}, &vcloud.Authenticator{}, provider, "36.0", jwt, "DELETE /cloudapi/1.0.0/sessions/current"},
		{"10.6", nil, &vcloud.Authenticator{Org: "Finance"}, tenant, "39.0", jwt, "DELETE /cloudapi/1.0.0/sessions/current"},
		{"10.6, provider", nil, &vcloud.Authenticator{Org: "System"}, provider, "39.0", jwt, "DELETE /cloudapi/1.0.0/sessions/current"},
		{"10.6, an older version", nil, &vcloud.Authenticator{Org: "Finance", Version: "35.0"}, legacy, "35.0", jwt, "DELETE /api/session"},
		{"10.6, another path", nil, &vcloud.Authenticator{Org: "Finance", Version: "37.0", LoginPath: legacy}, legacy, "37.0", jwt, "DELETE /api/session"},
		{"VCF Automation 9", []string{"39.0", "40.0", "9.0.0"}, &vcloud.Authenticator{Org: "Finance"}, tenant, "9.0.0", jwt, "DELETE /cloudapi/1.0.0/sessions/current"},
	} {
		for kind, tok := range map[string]*vmsso.Token{"bearer": bearer(), "holder-of-key": holder()} {
			t.Run(tc.name+", "+kind, func(t *testing.T) {
				l := newLab(t, vmssotest.DirectorConfig{Versions: tc.versions})
				c, tr := l.client(t, tc.a, tok)
				get := func(path, want string) {
					t.Helper()
					if status, text, err := do(t.Context(), c, "GET", path, nil, nil); err != nil || status != 200 || !strings.Contains(text, want) {
						t.Fatalf("%s: status %d, %v, %.200s; the server says %q", path, status, err, text, l.server.Reasons())
					}
				}
				get("/api/org", "OrgList")
				get("/api/query?type=vm", "vm-")
				if strings.HasPrefix(tc.path, "/cloudapi/") {
					get("/cloudapi/1.0.0/vms", "vm-")
				}
				if len(l.logins) != 1 {
					t.Fatalf("%d logins, want 1", len(l.logins))
				}
				login := l.logins[0]
				if login.Path != tc.path || login.Version != tc.version || login.Assertion != tok.Assertion || login.HolderOfKey != (tok.Key != nil) {
					t.Errorf("logged in at %s by version %s, holder-of-key %t, the assertion arrived byte for byte: %t", login.Path, login.Version, login.HolderOfKey, login.Assertion == tok.Assertion)
				}
				s, err := tr.Session(t.Context())
				if err != nil || s.Header.Get(tc.header) == "" {
					t.Errorf("%v: no header %s in %v", err, tc.header, s)
				}
				l.server.Kill()
				get("/api/org", "OrgList")
				if n := l.server.Logins(); n != 2 {
					t.Errorf("%d logins after the session was killed, want 2", n)
				}
				if err := tr.Close(); err != nil || l.server.Sessions() != 0 || l.server.Calls(tc.logout) != 1 {
					t.Errorf("after Close: %v, %d sessions, %d times %s", err, l.server.Sessions(), l.server.Calls(tc.logout), tc.logout)
				}
				if l.server.Refused() != 0 {
					t.Errorf("refused: %q", l.server.Reasons())
				}
			})
		}
	}
}

func TestVersionThatIsDeprecatedIsUsedForWantOfAnother(t *testing.T) {
	for _, tc := range []struct {
		deprecated []string
		want       string
	}{
		{nil, "37.0"},
		{[]string{"37.0"}, "36.0"},
		{[]string{"36.0", "37.0"}, "37.0"},
	} {
		l := newLab(t, vmssotest.DirectorConfig{Versions: []string{"36.0", "37.0"}, Deprecated: tc.deprecated})
		c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
		if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 || l.logins[0].Version != tc.want {
			t.Errorf("deprecated %v: status %d, %v, version %s, want %s", tc.deprecated, status, err, l.logins[0].Version, tc.want)
		}
	}
}

func TestLoginURLOnAnotherOriginIsRefused(t *testing.T) {
	for _, public := range []string{"https://public.example.test", "https://vcd.example.test:8443", "http://vcd.example.test", "https://vcd.example.test.evil.test"} {
		l := newLab(t, vmssotest.DirectorConfig{PublicURL: public})
		c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
		_, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil)
		if le := failed(err); le == nil || !strings.Contains(err.Error(), public) || !strings.Contains(err.Error(), "LoginPath") || errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("%s: got %v, want an error that says where and what to do", public, err)
		}
		if n := l.server.Calls("POST /cloudapi/1.0.0/sessions") + l.server.Calls("POST /api/sessions"); n != 0 {
			t.Errorf("%s: %d tokens were sent", public, n)
		}
		c, _ = l.client(t, &vcloud.Authenticator{Org: "Finance", LoginPath: "/cloudapi/1.0.0/sessions"}, bearer())
		if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 {
			t.Errorf("%s, with LoginPath: status %d, %v", public, status, err)
		}
	}
	l := newLab(t, vmssotest.DirectorConfig{PublicURL: "https://VCD.example.test:443"})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 {
		t.Errorf("the same origin in another spelling: status %d, %v", status, err)
	}
}

func TestLoginFallsBackOnceWhereThereIsNoCloudAPI(t *testing.T) {
	for _, tc := range []struct {
		status int
		falls  bool
	}{
		{404, true}, {405, true}, {406, true}, {410, true},
		{400, false}, {401, false}, {403, false}, {500, false}, {501, false},
	} {
		l := newLab(t, vmssotest.DirectorConfig{})
		l.server.Inject("POST /cloudapi/1.0.0/sessions", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { w.WriteHeader(tc.status) })
		c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
		status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil)
		if tc.falls && (err != nil || status != 200 || l.logins[0].Path != "/api/sessions" || l.logins[0].Version != "37.0") {
			t.Errorf("%d: status %d, %v, logins %v, want one at /api/sessions by 37.0", tc.status, status, err, l.logins)
		}
		if !tc.falls && (err == nil || len(l.logins) != 0 || failed(err).Status != tc.status) {
			t.Errorf("%d: status %d, %v, %d logins, want an error", tc.status, status, err, len(l.logins))
		}
	}
	l := newLab(t, vmssotest.DirectorConfig{Versions: []string{"38.0", "39.0"}}) // no older one
	l.server.Inject("POST /cloudapi/1.0.0/sessions", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { w.WriteHeader(404) })
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, bearer())
	if _, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err == nil || l.server.Calls("POST /api/sessions") != 0 {
		t.Errorf("got %v, %d tries at /api/sessions, want none", err, l.server.Calls("POST /api/sessions"))
	}
}

func TestTokenThatIsRefusedOrUnusable(t *testing.T) {
	stranger := vmssotest.NewAuthority()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := vmssotest.NewKeyPair("ed", key)
	groups := make([]string, 500)
	for i := range groups {
		groups[i] = fmt.Sprintf(`example.test\%x`, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	large := &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Audiences: []string{entityID}, Groups: groups})}
	finance := func() *vcloud.Authenticator { return &vcloud.Authenticator{Org: "Finance"} }
	for _, tc := range []struct {
		name    string
		tok     *vmsso.Token
		a       *vcloud.Authenticator
		want    error
		posts   int // logins that were tried
		says    string
		anyCall bool // the versions were asked for
	}{
		{"another issuer", &vmsso.Token{Assertion: stranger.Issue(vmssotest.Claims{Subject: user, Audiences: []string{entityID}})}, finance(), vmsso.ErrRejected, 1, "HTTP 401", true},
		{"another audience", &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user})}, finance(), vmsso.ErrRejected, 1, `organization "Finance": check that the token's audience`, true},
		{"an organization that is not there", bearer(), &vcloud.Authenticator{Org: "Sales"}, vmsso.ErrRejected, 1, "HTTP 401", true},
		{"an Ed25519 key", &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Holder: ed.Leaf}), Key: crypto.Signer(key)}, finance(), vmsso.ErrUnsupportedKey, 0, "RSA", false},
		{"a holder-of-key token without its key", &vmsso.Token{Assertion: holder().Assertion}, finance(), vmsso.ErrUnsupportedKey, 0, "Token.Key", false},
		{"no SAML", &vmsso.Token{Assertion: "s3cr3t"}, finance(), vmsso.ErrUnsupportedToken, 0, "", false},
		{"a name with a quote", bearer(), &vcloud.Authenticator{Org: `Fin"ance`}, nil, 0, "quote", false},
		{"a name with a line break", bearer(), &vcloud.Authenticator{Org: "Fin\r\nance"}, nil, 0, "ASCII", false},
		{"a version that is not there", bearer(), &vcloud.Authenticator{Org: "Finance", Version: "41.0"}, nil, 0, `"41.0", but 35.0, 36.0, 37.0, 38.0, 39.0`, true},
		{"a large token", large, finance(), vmsso.ErrHeaderTooLarge, 0, "nothing was sent", true},
		{"a large token that the server finds too large", large, &vcloud.Authenticator{Org: "Finance", MaxHeader: -1}, vmsso.ErrHeaderTooLarge, 1, "HTTP 431", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, vmssotest.DirectorConfig{})
			c, _ := l.client(t, tc.a, tc.tok)
			tries := 1
			if errors.Is(tc.want, vmsso.ErrRejected) {
				tries = 5 // and all but the first are not sent
			}
			for range tries {
				_, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil)
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("got %v, want %v that says %q", err, tc.want, tc.says)
				}
				for _, secret := range []string{"s3cr3t", tc.tok.Assertion[:min(100, len(tc.tok.Assertion))], "SIGN token"} {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("the error holds a secret: %v", err)
					}
				}
			}
			if n := l.server.Calls("POST /cloudapi/1.0.0/sessions"); n != tc.posts {
				t.Errorf("%d logins were tried, want %d", n, tc.posts)
			}
			if asked := l.server.Calls("GET /api/versions") > 0; asked != tc.anyCall {
				t.Errorf("the versions were asked for: %t, want %t", asked, tc.anyCall)
			}
		})
	}
}

func TestEncryptedAssertionLogsIn(t *testing.T) {
	const encrypted = `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/></EncryptedAssertion>`
	l := newLab(t, vmssotest.DirectorConfig{Opaque: map[string]string{encrypted: user}})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, &vmsso.Token{Assertion: encrypted})
	if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 {
		t.Errorf("status %d, %v; the server says %q", status, err, l.server.Reasons())
	}
}

func TestThousandGoroutinesLogInOnceAtTheServer(t *testing.T) {
	l := newLab(t, vmssotest.DirectorConfig{})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, holder())
	for round := 1; round <= 3; round++ {
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if status, text, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 {
					t.Errorf("status %d, %v, %.200s", status, err, text)
				}
			})
		}
		wg.Wait()
		if l.server.Logins() != round || l.server.Sessions() != 1 {
			t.Errorf("round %d: %d logins, %d sessions; refusals %q", round, l.server.Logins(), l.server.Sessions(), l.server.Reasons())
		}
		l.server.Kill()
	}
	if n := l.server.MaxConcurrentLogins(); n != 1 {
		t.Errorf("%d logins at the same time", n)
	}
}
