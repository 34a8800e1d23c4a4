package faults_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 45: the organization takes no such token: it has another identity provider. The error names organization and status; a token from where the
// caller gets the right ones, such as an ADFS with its cookies, logs in at once.
func TestTokenFromAnotherProviderIsOfferedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const entity = "https://vcd.example.test/cloud/org/Finance/saml/metadata/alias/vcd"
		l := newLab(t, func(cfg *labConfig) { cfg.director.Orgs = map[string]string{"Finance": entity} })
		signedOn := false // the user, in the browser of the other provider
		asked := 0
		c, _ := l.vcd(t, sourceFunc(func(context.Context) (*vmsso.Token, error) {
			if asked++; !signedOn {
				return bearer(), nil
			}
			return bearer(func(c *vmssotest.Claims) { c.Audiences = []string{entity} }), nil
		}))
		_, _, err := orgs(t.Context(), c)
		if le := loginError(err); !errors.Is(err, vmsso.ErrRejected) || le.Status != 401 || !strings.Contains(le.Error(), `organization "Finance"`) {
			t.Fatalf("error %v", err)
		}
		time.Sleep(time.Second)
		signedOn = true
		must(t, orgs, c)
		if asked != 2 || l.director.Refused() != 1 {
			t.Errorf("the source was asked %d times, %d logins were refused, want 2 and 1", asked, l.director.Refused())
		}
		expect(t, l.director, 1, 1)
	})
}

// Fault 46: the system does not have the API version. The error names both sides' versions; nothing is taken for a refused login or a session that is
// gone.
func TestWrongAPIVersionIsNoRefusal(t *testing.T) {
	t.Run("of the login", func(t *testing.T) {
		for _, version := range []string{"5.1", "99.0"} {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				c, _ := l.vcd(t, tokensource.Static(bearer()), func(cfg *vmsso.Config) {
					cfg.Auth = &vcloud.Authenticator{Org: "Finance", Version: version}
				})
				for range 3 {
					_, _, err := orgs(t.Context(), c)
					le := loginError(err)
					if le == nil || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(le.Error(), `"`+version+`", but 35.0, 36.0, 37.0, 38.0, 39.0`) {
						t.Fatalf("error %v", err)
					}
				}
				if n := l.director.Calls("POST /api/sessions") + l.director.Calls("POST /cloudapi/1.0.0/sessions"); n != 0 {
					t.Errorf("the token was sent %d times", n)
				}
			})
		}
	})
	t.Run("of a call", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.vcd(t, tokensource.Static(bearer()))
			must(t, orgs, c)
			for range 3 {
				status, _, err := do(t.Context(), c, http.MethodGet, vcdURL+"/api/org", http.Header{"Accept": {"application/*+xml;version=99.0"}}, nil)
				if status != http.StatusNotAcceptable || err != nil {
					t.Fatalf("status %d, error %v", status, err)
				}
			}
			must(t, orgs, c)
			if n := l.director.Calls("GET /api/org"); n != 5 {
				t.Errorf("%d requests, want 5", n)
			}
			expect(t, l.director, 1, 1)
		})
	})
	t.Run("that the cells refuse after all", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			l.director.Inject("POST /cloudapi/1.0.0/sessions", 1, instead(406, "text/plain", ""))
			l.director.Inject("POST /api/sessions", 1, instead(406, "text/plain", ""))
			c, _ := l.vcd(t, tokensource.Static(bearer()))
			_, _, err := orgs(t.Context(), c)
			if le := loginError(err); le == nil || errors.Is(err, vmsso.ErrRejected) || le.Status != 406 || !strings.Contains(le.Error(), "version=37.0") {
				t.Fatalf("error %v", err)
			}
			must(t, orgs, c)
			expect(t, l.director, 1, 1)
		})
	})
}
