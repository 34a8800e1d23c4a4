package faults_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// atOnce runs f on n goroutines and waits for them.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// succeeds is must for goroutines other than the test's.
func succeeds(t *testing.T, call func(context.Context, *http.Client) (int, string, error), c *http.Client) {
	t.Helper()
	if status, text, err := call(t.Context(), c); err != nil || status != http.StatusOK {
		t.Errorf("status %d, error %v, answer %.300s", status, err, text)
	}
}

// A gate holds requests at the server.
type gate struct {
	held atomic.Int64
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) hold(w http.ResponseWriter, r *http.Request, next http.Handler) {
	g.held.Add(1)
	<-g.open
	next.ServeHTTP(w, r)
}

// deaf sets a base transport that brings an answer also when nobody waits for it any more.
func (l *lab) deaf(deaf bool) func(*vmsso.Config) {
	return func(c *vmsso.Config) {
		if deaf {
			c.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
				return l.base.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
			})
		}
	}
}

// Fault 67: 1, 10, 1000 requests come at once, and there is no session yet.
func TestColdStartOfThousandGoroutinesIsOneLogin(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		for _, n := range []int{1, 10, 1000} {
			if n == 1000 && sys.name != overSOAP.name {
				continue // it takes a second, and what makes one login of many is the same
			}
			l := newLab(t)
			sys.server(l).Inject(sys.login, -1, late(time.Second))
			c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
			atOnce(n, func(int) { succeeds(t, sys.call, c) })
			expect(t, sys.server(l), 1, 1)
			if tokens, logins := l.sts.Requests(), sys.server(l).Calls(sys.login); tokens != 1 || logins != 1 {
				t.Errorf("%d goroutines: %d requests for a token, %d for a login, want 1 and 1", n, tokens, logins)
			}
		}
	})
}

// Fault 68: the session ends while 1000 requests are under way in it.
func TestThousandRequestsWithoutSessionAreOneLogin(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		n := 100
		if sys.name == overSOAP.name {
			n = 1000
		}
		l := newLab(t)
		l.base.ForceAttemptHTTP2, l.base.MaxConnsPerHost = true, 0 // or they would not be under way at once
		c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
		must(t, sys.call, c)
		g := newGate()
		sys.server(l).Inject(sys.op, n, g.hold)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() { succeeds(t, sys.call, c) })
		}
		synctest.Wait()
		if held := int(g.held.Load()); held != n || sys.server(l).Kill() != 1 {
			t.Fatalf("%d requests under way, want %d in one session", held, n)
		}
		close(g.open)
		wg.Wait()
		expect(t, sys.server(l), 2, 1)
		if calls := sys.server(l).Calls(sys.op); calls != 1+2*n || l.sts.Requests() != 2 {
			t.Errorf("%d calls, %d requests for a token, want each of the %d sent twice, and one more token", calls, l.sts.Requests(), n)
		}
	})
}

// Fault 69: the caller that began the login gives up.
func TestLoginGoesOnWhenItsFirstCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		g := newGate()
		l.vsphere.Inject("LoginByToken", 1, g.hold)
		c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
		cause := errors.New("the user pressed escape")
		ctx, cancel := context.WithCancelCause(t.Context())
		var first, others sync.WaitGroup
		first.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, vcURL+"/folder/x", nil)
			if _, err := tr.RoundTrip(req); !errors.Is(err, cause) {
				t.Errorf("the first caller got %v, want its own cause", err)
			}
		})
		synctest.Wait()
		for range 10 {
			others.Go(func() { succeeds(t, currentTime, c) })
		}
		synctest.Wait()
		cancel(cause)
		first.Wait() // at once: the gate is still closed
		close(g.open)
		others.Wait()
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
		if n := l.sts.Requests(); n != 1 {
			t.Errorf("%d requests for a token, want 1", n)
		}
	})
}

// Fault 70: all callers give up while the login is under way.
func TestLoginThatNobodyWaitsForLeavesNoSessionBehind(t *testing.T) {
	for _, tc := range []struct {
		name             string
		takes            time.Duration // the login
		deaf             bool
		sessions, logins int // when all is over; after the next request
	}{
		{"it ends and is kept", 10 * time.Second, false, 1, 1},
		{"it has no end", 1 << 62, false, 0, 1},
		{"it ends too late", time.Minute, true, 0, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				var gone atomic.Int64 // after how many seconds the client hangs up
				start := time.Now()
				l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					select {
					case <-time.After(tc.takes):
						next.ServeHTTP(w, r)
					case <-r.Context().Done():
						gone.Store(int64(time.Since(start).Seconds()))
					}
				})
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), l.deaf(tc.deaf))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				atOnce(10, func(int) {
					if _, _, err := currentTime(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want the caller's own deadline", err)
					}
				})
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if tc.takes > time.Hour && gone.Load() != 30 {
					t.Errorf("the login was under way for %d seconds, want the 30 of LoginTimeout", gone.Load())
				}
				if n := l.vsphere.Sessions(); n != tc.sessions {
					t.Errorf("%d sessions, want %d", n, tc.sessions)
				}
				must(t, currentTime, c)
				expect(t, l.vsphere, tc.logins, 1)
			})
		})
	}
}

// panicSigner is a key in a device whose driver panics.
type panicSigner struct {
	crypto.Signer
	signatures atomic.Int64 // until then
}

func (s *panicSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.signatures.Add(-1) < 0 {
		panic("s3cr3t of the driver")
	}
	return s.Signer.Sign(rand, digest, opts)
}

// Fault 71: the caller's own token source or key panics during the login.
func TestPanicInALoginIsAnErrorForAllWhoWait(t *testing.T) {
	tok := holder(rsaPair())
	driver := &panicSigner{Signer: tok.Key}
	driver.signatures.Store(1) // the trial, which comes before the login
	for _, tc := range []struct {
		name   string
		source sourceFunc
		begun  int // logins: the signer panics in the middle of one
	}{
		{"source", func(context.Context) (*vmsso.Token, error) { time.Sleep(time.Second); panic("s3cr3t of the source") }, 0},
		{"signer", func(context.Context) (*vmsso.Token, error) {
			time.Sleep(time.Second)
			return &vmsso.Token{Assertion: tok.Assertion, Key: driver}, nil
		}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				var repaired atomic.Bool
				c, _ := l.soap(t, sourceFunc(func(ctx context.Context) (*vmsso.Token, error) {
					if repaired.Load() {
						return holder(rsaPair()), nil
					}
					return tc.source(ctx)
				}))
				atOnce(100, func(int) {
					_, _, err := currentTime(t.Context(), c)
					if err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "s3cr3t") {
						t.Errorf("got %v, want an error that tells of the panic but not its value", err)
					}
				})
				if begun, sent := l.vsphere.Calls("RetrieveServiceContent"), l.vsphere.Calls("LoginByToken"); begun != tc.begun || sent != 0 {
					t.Errorf("%d logins begun, %d sent, want %d and none", begun, sent, tc.begun)
				}
				repaired.Store(true)
				atOnce(100, func(int) { succeeds(t, currentTime, c) })
				expect(t, l.vsphere, 1, 1)
			})
		})
	}
}

// Fault 72: the token source never returns, whatever its context says.
func TestSourceThatBlocksForEverStopsNobodyForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		never := make(chan struct{})
		var asked atomic.Int64
		sts := l.source(t, tokensource.STSConfig{})
		c, tr := l.soap(t, sourceFunc(func(ctx context.Context) (*vmsso.Token, error) {
			if asked.Add(1) == 1 {
				<-never
			}
			return sts.Token(ctx)
		}))
		start := time.Now()
		atOnce(100, func(int) {
			_, _, err := currentTime(t.Context(), c)
			if le := loginError(err); le == nil || !le.Timeout() || time.Since(start) != 30*time.Second {
				t.Errorf("got %v after %v, want a timeout after the 30s of LoginTimeout", err, time.Since(start))
			}
		})
		atOnce(100, func(int) { succeeds(t, currentTime, c) }) // the first call of the source still blocks
		expect(t, l.vsphere, 1, 1)
		if err := tr.Close(); err != nil || time.Since(start) != 35*time.Second {
			t.Errorf("Close: %v after %v, want no error after 5s", err, time.Since(start)-30*time.Second)
		}
		close(never)
		synctest.Wait()
		expect(t, l.vsphere, 1, 0) // what it returned at last is not used
	})
}
