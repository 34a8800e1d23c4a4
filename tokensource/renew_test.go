package tokensource_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func renewable(t *testing.T, l *stsLab, cfg tokensource.STSConfig) *tokensource.STS {
	t.Helper()
	cfg.URL, cfg.Base, cfg.Renewable, cfg.Lifetime = stsURL, l.base, true, time.Hour
	s, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A token that can be renewed is renewed with the key alone, until the service
// has renewed it often enough.
func TestTokenIsRenewedAndThenAskedForAnew(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	for name, cfg := range map[string]tokensource.STSConfig{
		"certificate":              {Certificate: &pair},
		"password and certificate": {Username: user, Password: password, Certificate: &pair},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newSTSLab(t, authority, pair)
			source := tokensource.Reuse(renewable(t, l, cfg), 0)
			seen := map[string]bool{}
			for range 24 {
				tok, err := source.Token(t.Context())
				if err != nil {
					t.Fatalf("%s: %v; the service says %q", name, err, l.sts.Reasons())
				}
				if seen[tok.Assertion] || tok.Key == nil || time.Until(tok.Expires) < 30*time.Minute {
					t.Errorf("%s: the same token again %t, without a key %t, expires %v", name, seen[tok.Assertion], tok.Key == nil, tok.Expires)
				}
				seen[tok.Assertion] = true
				time.Sleep(59*time.Minute + 30*time.Second)
			}
			if l.sts.Issued() != 24 || l.sts.Renewed() != 21 || l.sts.Failures() != 0 {
				t.Errorf("%s: %d tokens, %d of them renewed, %d failures, want 24, 21 and none: ten renewals of each", name, l.sts.Issued(), l.sts.Renewed(), l.sts.Failures())
			}
			for _, i := range l.issued {
				if i.Subject == "" || !i.Renewable {
					t.Errorf("%s: issued %+v", name, i.Claims)
				}
			}
		})
	}
}

func TestTokenThatHasExpiredOrIsRefusedIsAskedForAnew(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	for name, tc := range map[string]struct {
		wait    time.Duration
		renews  int // requests that were made
		renewed int
	}{
		"lives":   {30 * time.Minute, 1, 1},
		"expired": {2 * time.Hour, 0, 0},
		"refused": {30 * time.Minute, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newSTSLab(t, authority, pair)
			source := renewable(t, l, tokensource.STSConfig{Certificate: &pair})
			first, err := source.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(tc.wait)
			renews := 0
			l.sts.Inject("Renew", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if renews++; name != "refused" {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/xml")
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = w.Write([]byte(`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>ns0:RequestFailed</faultcode><faultstring>no more</faultstring></Fault></Body></Envelope>`))
			})
			second, err := source.Token(t.Context())
			if err != nil || second.Assertion == first.Assertion {
				t.Errorf("%s: %v, the same token %t", name, err, err == nil && second.Assertion == first.Assertion)
			}
			if renews != tc.renews || l.sts.Renewed() != tc.renewed {
				t.Errorf("%s: %d requests to renew, %d renewed, want %d and %d", name, renews, l.sts.Renewed(), tc.renews, tc.renewed)
			}
		})
	}
}

// TestTokenThatASystemRefusesIsNotRenewed: a renewed one would say the same.
func TestTokenThatASystemRefusesIsNotRenewed(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, pair)
		source := tokensource.Reuse(renewable(t, l, tokensource.STSConfig{Certificate: &pair}), 0)
		first, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		source.Refused(first, vmsso.ErrRejected)
		second, err := source.Token(t.Context())
		if err != nil || second == first || l.sts.Renewed() != 0 {
			t.Errorf("%v: the same token %t, %d renewed, want another one and none", err, second == first, l.sts.Renewed())
		}
		source.Refused(first, vmsso.ErrRejected) // which comes late, and is about another one
		time.Sleep(59*time.Minute + 30*time.Second)
		if _, err := source.Token(t.Context()); err != nil || l.sts.Renewed() != 1 {
			t.Errorf("%v: %d renewed, want 1", err, l.sts.Renewed())
		}
	})
}

// Without an answer nobody knows; asking for a new token as well would only take
// as long again.
func TestRenewalWithoutAnAnswerIsAnError(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, pair)
		source := renewable(t, l, tokensource.STSConfig{Certificate: &pair})
		if _, err := source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.sts.Inject("Renew", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { panic(http.ErrAbortHandler) })
		var le *vmsso.LoginError
		if _, err := source.Token(t.Context()); !errors.As(err, &le) || le.Stage != "Renew" {
			t.Errorf("got %v, want an error of Renew", err)
		}
		if _, err := source.Token(t.Context()); err != nil || l.sts.Renewed() != 1 {
			t.Errorf("afterwards: %v, %d renewed, want 1", err, l.sts.Renewed())
		}
	})
}

func TestOtherTokensAreNotRenewed(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, pair)
		for _, s := range []*tokensource.STS{
			renewable(t, l, tokensource.STSConfig{Username: user, Password: password}), // bearer
			l.source(t, tokensource.STSConfig{Certificate: &pair}),                     // not asked for
		} {
			for range 3 {
				if _, err := s.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if l.sts.Renewed() != 0 || l.sts.Issued() != 6 {
			t.Errorf("%d of %d tokens are renewed, want none of 6", l.sts.Renewed(), l.sts.Issued())
		}
	})
}
