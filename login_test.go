package vmsso_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// together runs f on n goroutines and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func TestTenThousandGoroutinesLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onLogin = func(context.Context) error { time.Sleep(time.Second); return nil }
		tr := newTransport(t, s)
		for round := 1; round <= 3; round++ { // cold, then killed twice
			together(10000, func(int) {
				if status := get(t, tr); status != 200 {
					t.Errorf("status %d", status)
				}
			})
			if logins, live := s.counts(); logins != round || live != 1 {
				t.Fatalf("round %d: %d logins and %d live sessions, want %d and 1", round, logins, live, round)
			}
			s.kill()
		}
	})
}

func TestCancelledWaiterLeavesAtOnceAndFailsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onLogin = func(ctx context.Context) error {
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		tr := newTransport(t, s)
		cause := errors.New("the caller gave up")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { // the one that starts the login
			start := time.Now()
			_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil).WithContext(ctx))
			if took := time.Since(start); !errors.Is(err, cause) || took != time.Second {
				t.Errorf("the cancelled waiter got %v after %v, want its cause after 1s", err, took)
			}
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				if status := get(t, tr); status != 200 {
					t.Errorf("another waiter got status %d", status)
				}
			})
		}
		time.Sleep(time.Second)
		cancel(cause)
		wg.Wait()
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins, want 1", logins)
		}
	})
}

func TestRequestWhoseContextHasEndedStartsNoLogin(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if logins, _ := s.counts(); logins != 0 {
		t.Errorf("%d logins, want none", logins)
	}
}

// TestCallerWhoComesAMomentTooLateFindsTheNewSession: it saw no session, and
// before it asks for a login, that of somebody else is done.
func TestCallerWhoComesAMomentTooLateFindsTheNewSession(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	late := &hookedContext{Context: t.Context(), hook: sync.OnceFunc(func() { get(t, tr) })}
	if resp, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil).WithContext(late)); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if logins, live := s.counts(); logins != 1 || live != 1 {
		t.Errorf("%d logins, %d live sessions, want 1 and 1", logins, live)
	}
}

// hookedContext calls hook when it is asked whether it has ended: that happens
// between the look at the session and the login.
type hookedContext struct {
	context.Context
	hook func()
}

func (c *hookedContext) Err() error {
	c.hook()
	return c.Context.Err()
}

func TestPanicOrGoexitInSourceIsAnErrorForEveryWaiter(t *testing.T) {
	for name, source := range map[string]tokens{
		"panic with a secret": func(context.Context) (*vmsso.Token, error) { time.Sleep(time.Second); panic("s3cr3t") },
		"runtime panic": func(context.Context) (*vmsso.Token, error) {
			time.Sleep(time.Second)
			var none []*vmsso.Token
			return none[len(none)], nil
		},
		"nil panic": func(context.Context) (*vmsso.Token, error) { time.Sleep(time.Second); panic(error(nil)) },
		"Goexit": func(context.Context) (*vmsso.Token, error) {
			time.Sleep(time.Second)
			runtime.Goexit()
			return nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem()
				sources := source
				tr := newTransport(t, s, func(c *vmsso.Config) {
					c.Source = tokens(func(ctx context.Context) (*vmsso.Token, error) { return sources(ctx) })
				})
				together(100, func(int) {
					_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
					if err == nil || strings.Contains(err.Error(), "s3cr3t") {
						t.Errorf("got %v, want an error without the panic's value", err)
					} else if strings.Contains(name, "panic") && !strings.Contains(err.Error(), "TestPanicOrGoexit") {
						t.Errorf("%v does not say where the panic was", err)
					}
				})
				sources = oneToken // the transport is not broken for ever
				if status := get(t, tr); status != 200 {
					t.Errorf("afterwards: status %d", status)
				}
			})
		})
	}
}

func TestHangingSourceIsBoundedByLoginTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		release := make(chan struct{})
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Source = tokens(func(ctx context.Context) (*vmsso.Token, error) {
				<-release // deaf to ctx
				return oneToken(ctx)
			})
		})
		start := time.Now()
		_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
		var le *vmsso.LoginError
		if took := time.Since(start); took != 30*time.Second || !errors.As(err, &le) || !le.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %v, want a LoginError with Timeout after 30s", err, took)
		}
		close(release)
	})
}

// twoSteps is a login of two requests.
type twoSteps struct{ auth }

func (a *twoSteps) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	for _, path := range []string{"/hello", "/login"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath(path).String(), strings.NewReader("x"))
		if err != nil {
			return nil, err
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	return a.auth.Login(ctx, rt, u, tok)
}

// TestLoginWhoseTimeIsOverGoesNoFurther: its base is deaf to the context, and answers the first request after the LoginTimeout.
func TestLoginWhoseTimeIsOverGoesNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent := newSystem(), 0
		s.onCall = func(req *http.Request) *http.Response {
			sent++
			if strings.HasSuffix(req.URL.Path, "/hello") {
				time.Sleep(40 * time.Second)
			}
			return answer(req, 200, "")
		}
		tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &twoSteps{auth{sys: s}} })
		if _, err := tr.Session(t.Context()); err == nil {
			t.Error("no error after the LoginTimeout")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if sent != 1 {
			t.Errorf("%d requests, want that which was answered late alone", sent)
		}
	})
}

// TestTokenThatComesTooLateIsNotUsed: another login may be under way by then.
func TestTokenThatComesTooLateIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Source = tokens(func(ctx context.Context) (*vmsso.Token, error) {
				time.Sleep(40 * time.Second) // deaf to its context
				return oneToken(ctx)
			})
		})
		if _, err := tr.Session(t.Context()); err == nil {
			t.Error("no error after the LoginTimeout")
		}
		time.Sleep(time.Minute)
		if logins, _ := s.counts(); logins != 0 {
			t.Errorf("%d logins with a token that nobody waits for", logins)
		}
	})
}

func TestSessionThatComesTooLateIsLoggedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var slow atomic.Bool
		slow.Store(true)
		s.onLogin = func(context.Context) error {
			if slow.Load() {
				time.Sleep(time.Minute) // deaf to ctx
			}
			return nil
		}
		tr := newTransport(t, s)
		if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); err == nil {
			t.Fatal("the login took a minute and there is no error")
		}
		slow.Store(false)
		if status := get(t, tr); status != 200 {
			t.Errorf("the next request: status %d", status)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if logins, live := s.counts(); logins != 2 || live != 1 {
			t.Errorf("%d logins and %d live sessions, want 2 and 1", logins, live)
		}
	})
}

func TestLoginThatNeedsItselfIsAnErrorNotADeadlock(t *testing.T) {
	s := newSystem()
	var tr *vmsso.Transport
	tr = newTransport(t, s, func(c *vmsso.Config) {
		c.Source = tokens(func(ctx context.Context) (*vmsso.Token, error) {
			req, _ := http.NewRequestWithContext(ctx, "POST", endpoint, nil)
			_, err := tr.RoundTrip(req) // an STS client that was wrapped
			return nil, err
		})
	})
	_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
	if err == nil || !strings.Contains(err.Error(), "not wrapped by this transport") {
		t.Errorf("got %v, want advice not to wrap the source's client", err)
	}
	if s.calls != 0 {
		t.Errorf("%d requests were sent, want none", s.calls)
	}
}

func TestLateRefusalOfAnOldSessionDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path == "/slow" && req.Header.Get("X-Session") == "session-1" {
				time.Sleep(10 * time.Second) // answers long after the re-login
				return answer(req, http.StatusUnauthorized, "")
			}
			return nil
		}
		tr := newTransport(t, s)
		get(t, tr)
		var wg sync.WaitGroup
		wg.Go(func() {
			resp, err := tr.RoundTrip(newRequest(t, "GET", "/slow", nil))
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("the slow request: %v, %v", resp, err)
			}
		})
		synctest.Wait()
		s.kill()
		get(t, tr) // logs in again
		wg.Wait()
		get(t, tr)
		if logins, live := s.counts(); logins != 2 || live != 1 {
			t.Errorf("%d logins and %d live sessions, want 2 and 1", logins, live)
		}
	})
}

func TestRefusedTokenIsNotOfferedAgainForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.refuse = true
		tr := newTransport(t, s)
		try := func() error {
			_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
			if !errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("got %v, want ErrRejected", err)
			}
			return err
		}
		together(100, func(int) { try() })
		time.Sleep(179 * time.Second)
		if err := try(); !strings.Contains(err.Error(), "not tried again for 1s") {
			t.Errorf("%q does not say how long the token is not tried", err)
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins within the window, want 1", logins)
		}
		time.Sleep(time.Second)
		try()
		if logins, _ := s.counts(); logins != 2 {
			t.Errorf("%d logins after the window, want 2", logins)
		}
	})
}

func TestAfterTwoDifferentRefusedTokensTheTransportWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.refuse = true
		asked := 0
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Source = tokens(func(context.Context) (*vmsso.Token, error) {
				asked++
				return &vmsso.Token{Assertion: strings.Repeat("<a>", asked)}, nil // another one each time
			})
		})
		for range 20 {
			if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); !errors.Is(err, vmsso.ErrRejected) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if logins, _ := s.counts(); logins != 2 || asked != 2 {
			t.Errorf("%d logins with %d tokens in 20 s, want 2 and 2", logins, asked)
		}
		s.refuse = false
		time.Sleep(3 * time.Minute)
		if status := get(t, tr); status != 200 {
			t.Errorf("after the window: status %d", status)
		}
	})
}

// Two refusals of a source in one tick of the clock are two.
func TestAfterTwoRefusalsOfItsSourceTheTransportWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still
		asked := 0
		tr := newTransport(t, newSystem(), func(c *vmsso.Config) {
			c.Source = tokens(func(context.Context) (*vmsso.Token, error) {
				asked++
				return nil, &vmsso.LoginError{Stage: "Issue", Err: vmsso.ErrRejected}
			})
		})
		for range 5 {
			if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); !errors.Is(err, vmsso.ErrRejected) {
				t.Fatal(err)
			}
		}
		if asked != 2 {
			t.Errorf("the source was asked %d times, want 2", asked)
		}
	})
}

// freshTokens is a source that offers another token when one was refused.
type freshTokens struct{ refused int }

func (f *freshTokens) Token(context.Context) (*vmsso.Token, error) {
	return &vmsso.Token{Assertion: strings.Repeat("<a>", 1+f.refused)}, nil
}
func (f *freshTokens) Refused(*vmsso.Token, error) { f.refused++ }

func TestSourceThatLearnsOfARefusalMayOfferOneMoreToken(t *testing.T) {
	s := newSystem()
	tries := 0
	s.onLogin = func(context.Context) error {
		if tries++; tries == 1 {
			return &vmsso.LoginError{Stage: "login", Err: vmsso.ErrRejected}
		}
		return nil
	}
	source := &freshTokens{}
	tr := newTransport(t, s, func(c *vmsso.Config) { c.Source = source })
	if status := get(t, tr); status != 200 || source.refused != 1 {
		t.Errorf("status %d after %d refusals, want 200 after 1", status, source.refused)
	}
}

func TestUnusableTokensAreRefusedBeforeAnythingIsSent(t *testing.T) {
	for name, tc := range map[string]struct {
		tok  *vmsso.Token
		want error
	}{
		"none":    {nil, vmsso.ErrUnsupportedToken},
		"empty":   {&vmsso.Token{}, vmsso.ErrUnsupportedToken},
		"expired": {&vmsso.Token{Assertion: "<a/>", Expires: time.Now().Add(-time.Second)}, vmsso.ErrTokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem()
			tr := newTransport(t, s, func(c *vmsso.Config) {
				c.Source = tokens(func(context.Context) (*vmsso.Token, error) { return tc.tok, nil })
			})
			_, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
			var le *vmsso.LoginError
			if !errors.Is(err, tc.want) || !errors.As(err, &le) || le.Stage != "token" {
				t.Errorf("got %v, want %v at stage token", err, tc.want)
			}
			if logins, _ := s.counts(); logins != 0 || s.calls != 0 {
				t.Errorf("%d logins and %d calls were sent, want none", logins, s.calls)
			}
		})
	}
}

// A password that is refused is refused for all who share its source.
func TestTwentyTransportsWithOneSourceAskOnce(t *testing.T) {
	asked := 0
	sts := vmssotest.NewSTS(vmssotest.STSConfig{Authority: vmssotest.NewAuthority(), Users: map[string]string{"alice@vsphere.local": "right"}})
	server := vmssotest.Listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		sts.ServeHTTP(w, r)
	}))
	defer server.Close()
	base := server.Transport()
	defer base.CloseIdleConnections()
	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: server.URL, Username: "alice@vsphere.local", Password: "wrong", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) { c.Source = source })
		if _, err := tr.Session(t.Context()); !errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("got %v, want ErrRejected", err)
		}
	}
	if asked != 1 || sts.Failures() != 1 {
		t.Errorf("the token service was asked %d times, and refused %d, want once", asked, sts.Failures())
	}
}
