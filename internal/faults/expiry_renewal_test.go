package faults_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 52: tokens live for half as long as before their end another one is wanted.
func TestTokenThatLivesShortlyIsNotFetchedAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *labConfig) { c.sts.MaxBearer, c.vsphere.Tolerance = 30*time.Second, -1 })
		c, _ := l.soap(t, tokensource.Reuse(l.source(t, tokensource.STSConfig{}), time.Minute))
		for range 300 {
			must(t, currentTime, c)
			l.vsphere.Kill()
			time.Sleep(time.Second)
		}
		if l.vsphere.Logins() != 300 || l.vsphere.Refused() != 0 {
			t.Errorf("%d logins, refused %q, want 300 and none", l.vsphere.Logins(), l.vsphere.Reasons())
		}
		if n := l.sts.Requests(); n < 10 || n > 13 {
			t.Errorf("%d tokens in 5 minutes, want one in 24 to 30 seconds", n)
		}
	})
}

// renewing returns a lab whose solution user renews its token of 10 minutes, and what was issued.
func renewing(t *testing.T, change ...func(*labConfig)) (*lab, *http.Client, func() []vmssotest.Issued) {
	t.Helper()
	var issued atomic.Pointer[[]vmssotest.Issued]
	issued.Store(&[]vmssotest.Issued{})
	l := newLab(t, append(change, func(c *labConfig) {
		c.sts.OnIssue = func(i vmssotest.Issued) {
			list := append(*issued.Load(), i)
			issued.Store(&list)
		}
	})...)
	pair := rsaPair()
	c, _ := l.soap(t, tokensource.Reuse(l.source(t, tokensource.STSConfig{Certificate: &pair, Renewable: true}), time.Minute))
	return l, c, func() []vmssotest.Issued { return *issued.Load() }
}

// Fault 59: a token has been renewed as often as it can be.
func TestTokenThatCannotBeRenewedAnyMoreIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, c, issued := renewing(t)
		const tokens = 25
		for range tokens {
			must(t, currentTime, c)
			l.vsphere.Kill()
			time.Sleep(9*time.Minute + 30*time.Second)
		}
		for i, token := range issued() {
			if renewed := token.Renewed != ""; renewed != (i%11 != 0) {
				t.Errorf("token %d was renewed: %t, want ten renewals of each that was issued", i, renewed)
			}
		}
		if got, asked := len(issued()), l.sts.Requests(); got != tokens || asked != tokens+2 || l.sts.Failures() != 0 {
			t.Errorf("%d tokens for %d requests, %d failures of the account, want %d, the two renewals too many, and none", got, asked, l.sts.Failures(), tokens)
		}
		expect(t, l.vsphere, tokens, 0)
	})
}

// Fault 60: the token to be renewed has expired, by our clock or by that of the service.
func TestExpiredTokenIsReplacedInsteadOfRenewed(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ahead    time.Duration // the service's clock
		pause    time.Duration // between two logins
		requests int
	}{
		{"by our clock", 0, 11 * time.Minute, 2},
		{"by that of the service", 2 * time.Minute, 9*time.Minute + 30*time.Second, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, c, issued := renewing(t, func(c *labConfig) {
					c.sts.Now = func() time.Time { return time.Now().Add(tc.ahead) }
					c.sts.Tolerance = -1
				})
				must(t, currentTime, c)
				l.vsphere.Kill()
				time.Sleep(tc.pause)
				must(t, currentTime, c)
				if list := issued(); len(list) != 2 || list[1].Renewed != "" || l.sts.Requests() != tc.requests || l.sts.Failures() != 0 {
					t.Errorf("%d tokens for %d requests, want 2 for %d; refused %q", len(list), l.sts.Requests(), tc.requests, l.sts.Reasons())
				}
				expect(t, l.vsphere, 2, 1)
			})
		})
	}
}
