package faults_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// late lets a request wait at the server.
func late(d time.Duration) vmssotest.Injector {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		time.Sleep(d)
		next.ServeHTTP(w, r)
	}
}

// toldSource hears of refused tokens, as sources do that keep theirs.
type toldSource struct {
	vmsso.TokenSource
	told atomic.Int64
}

func (s *toldSource) Refused(*vmsso.Token, error) { s.told.Add(1) }

// Fault 51: the token expires while the login is under way.
func TestTokenThatExpiresOnTheWayIsReplacedOnce(t *testing.T) {
	for _, tc := range []struct {
		name            string
		slow            int // logins that take longer than the token lives
		told            bool
		fails           bool
		refused, issued int
	}{
		{"the source is told and offers another", 1, true, false, 1, 2},
		{"that one expires as well", 2, true, true, 2, 2},
		{"the source is not told", 1, false, true, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t, func(c *labConfig) { c.sts.MaxBearer, c.vsphere.Tolerance = 20*time.Second, -1 })
				told := &toldSource{TokenSource: l.source(t, tokensource.STSConfig{})}
				source := vmsso.TokenSource(told)
				if !tc.told {
					source = told.TokenSource
				}
				c, _ := l.soap(t, source, func(c *vmsso.Config) { c.LoginTimeout = 2 * time.Minute })
				l.vsphere.Inject("RetrieveServiceContent", tc.slow, late(25*time.Second))
				_, _, err := currentTime(t.Context(), c)
				if (err != nil) != tc.fails || tc.fails && !errors.Is(err, vmsso.ErrRejected) {
					t.Errorf("the request that waited for the login: %v", err)
				}
				if l.vsphere.Refused() != tc.refused || l.sts.Issued() != tc.issued {
					t.Errorf("%d tokens refused, %d issued, want %d and %d", l.vsphere.Refused(), l.sts.Issued(), tc.refused, tc.issued)
				}
				if heard := int(told.told.Load()); tc.told && heard != tc.refused {
					t.Errorf("the source heard of %d refusals, want %d", heard, tc.refused)
				}
				for _, reason := range l.vsphere.Reasons() {
					if !strings.Contains(reason, "has expired") {
						t.Errorf("refused because: %s", reason)
					}
				}
				if tc.refused == 2 {
					time.Sleep(3 * time.Minute) // two tokens were refused
				}
				must(t, currentTime, c)
				expect(t, l.vsphere, 1, 1)
			})
		})
	}
}

// Fault 53: nobody can tell when the token expires, because it is encrypted for the server.
func TestTokenWithoutExpiryServesUntilItIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const sealed = `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/></EncryptedAssertion>`
		l := newLab(t, func(c *labConfig) { c.director.Opaque = map[string]string{sealed: user} })
		c, _ := l.vcd(t, tokensource.Static(&vmsso.Token{Assertion: sealed}))
		for login := 1; login <= 3; login++ {
			must(t, orgs, c)
			expect(t, l.director, login, 1)
			time.Sleep(365 * 24 * time.Hour)
		}
		l.director.Inject("POST /cloudapi/1.0.0/sessions", 1, instead(http.StatusUnauthorized, "", ""))
		for range 10 {
			if _, _, err := orgs(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("got %v, want ErrRejected", err)
			}
			time.Sleep(17 * time.Second)
		}
		if n := l.director.Calls("POST /cloudapi/1.0.0/sessions"); n != 4 {
			t.Errorf("%d logins were tried, want 4: the refused token is not offered again for 3 minutes", n)
		}
		time.Sleep(10 * time.Second)
		must(t, orgs, c)
		expect(t, l.director, 4, 1)
	})
}

// Fault 54: the token in the file has expired. The servers of this test would still take it: it is not for them to find out.
func TestExpiredTokenInAFileIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *labConfig) { c.vsphere.Tolerance = 24 * time.Hour })
		file := filepath.Join(t.TempDir(), "token.xml")
		write := func() (tok *vmsso.Token) {
			tok = bearer()
			if err := os.WriteFile(file, []byte(tok.Assertion), 0o600); err != nil {
				t.Fatal(err)
			}
			return tok
		}
		old := write()
		source, err := tokensource.NewFile(tokensource.FileConfig{Token: file})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := l.soap(t, source)
		must(t, currentTime, c)
		time.Sleep(2 * time.Hour) // the session is idle and ends, the token lives for an hour
		static, _ := l.soap(t, tokensource.Static(old))
		for _, c := range []*http.Client{c, static, c} {
			if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrTokenExpired) {
				t.Errorf("got %v, want ErrTokenExpired", err)
			}
		}
		if _, err := tokensource.NewFile(tokensource.FileConfig{Token: file}); !errors.Is(err, vmsso.ErrTokenExpired) {
			t.Errorf("a new source of the file: %v, want ErrTokenExpired", err)
		}
		if n := l.vsphere.Calls("RetrieveServiceContent") + l.vsphere.Calls("LoginByToken"); n != 2 {
			t.Errorf("%d requests for logins, want the 2 of the first", n)
		}
		write()
		must(t, currentTime, c)
		expect(t, l.vsphere, 2, 1)

		// Who knows better than the assertion, such as users of vcsim, says so.
		known, _ := l.soap(t, tokensource.Static(&vmsso.Token{Assertion: old.Assertion, Expires: time.Now().Add(time.Hour)}))
		must(t, currentTime, known)
		expect(t, l.vsphere, 3, 2)
	})
}

// Fault 55: the token's time has not come, because its issuer's clock is ahead. The servers' tolerance decides, not ours.
func TestTokenThatIsNotYetValidIsTriedOnceUntilItIs(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		from := func(d time.Duration) vmsso.TokenSource {
			return tokensource.Static(bearer(func(c *vmssotest.Claims) { c.NotBefore = time.Now().Add(d) }))
		}
		l := newLab(t)
		tolerated, _ := sys.client(l, t, from(9*time.Minute))
		must(t, sys.call, tolerated)
		expect(t, sys.server(l), 1, 1)

		c, _ := sys.client(l, t, from(11*time.Minute))
		for range 10 {
			if _, _, err := sys.call(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("got %v, want ErrRejected", err)
			}
			time.Sleep(17 * time.Second)
		}
		if reasons := sys.server(l).Reasons(); len(reasons) != 1 || !strings.Contains(reasons[0], "not valid before") {
			t.Errorf("refused %q, want once because of the token's time", reasons)
		}
		time.Sleep(10 * time.Second)
		must(t, sys.call, c)
		expect(t, sys.server(l), 2, 2)
	})
}
