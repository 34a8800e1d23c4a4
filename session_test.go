package vmsso_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
)

func TestRefusalInANewSessionIsHandedUpAndProbedFromThenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		forbidden := func(req *http.Request) *http.Response {
			if req.URL.Path == "/forbidden" { // vCenter says so when a privilege is missing
				return answer(req, http.StatusUnauthorized, "no privilege")
			}
			return nil
		}
		s.onCall = forbidden
		tr := newTransport(t, s)
		call := func(path string) *http.Response {
			resp, err := tr.RoundTrip(newRequest(t, "GET", path, nil))
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		for range 10 {
			resp := call("/forbidden")
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 401 || string(text) != "no privilege" {
				t.Errorf("got %d %q, want the server's answer", resp.StatusCode, text)
			}
		}
		synctest.Wait()
		if logins, live := s.counts(); logins != 2 || live != 1 || s.probes != 9 {
			t.Errorf("%d logins, %d live sessions, %d probes, want 2, 1 and 9", logins, live, s.probes)
		}
		s.kill() // really gone, within the window
		if status := call("/x").StatusCode; status != 200 {
			t.Errorf("a session that died within the window: status %d", status)
		}
		time.Sleep(31 * time.Second)
		call("/forbidden")
		synctest.Wait()
		if logins, live := s.counts(); logins != 4 || live != 1 {
			t.Errorf("after the window: %d logins, %d live sessions, want 4 and 1", logins, live)
		}
	})
}

// A refusal may mean a missing privilege: then the session that it ended lives on
// at the server, unless it is logged out.
func TestRefusalThatIsNotProvedLeavesNoSessionBehind(t *testing.T) {
	for name, send := range map[string]func(*testing.T, *system, *vmsso.Transport){
		"body that cannot be sent again": func(t *testing.T, s *system, tr *vmsso.Transport) {
			req := newRequest(t, "PUT", "/forbidden", hidden{strings.NewReader(strings.Repeat("x", 100))})
			if resp, err := tr.RoundTrip(req); err != nil || resp.StatusCode != 401 {
				t.Error(resp, err)
			}
		},
		"bound to the session": func(t *testing.T, s *system, tr *vmsso.Transport) {
			if resp, err := tr.RoundTrip(newRequest(t, "GET", "/bound", nil)); err != nil || resp.StatusCode != 401 {
				t.Error(resp, err)
			}
		},
		"login fails": func(t *testing.T, s *system, tr *vmsso.Transport) {
			s.mu.Lock()
			s.onLogin = func(context.Context) error { return errBoom }
			s.mu.Unlock()
			if _, err := tr.RoundTrip(newRequest(t, "GET", "/forbidden", nil)); !errors.Is(err, errBoom) {
				t.Error(err)
			}
		},
		"caller leaves": func(t *testing.T, s *system, tr *vmsso.Transport) {
			s.mu.Lock()
			s.onLogin = func(context.Context) error { time.Sleep(time.Minute / 4); return nil }
			s.mu.Unlock()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := tr.RoundTrip(newRequest(t, "GET", "/forbidden", nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem()
			s.onCall = func(req *http.Request) *http.Response {
				if req.URL.Path == "/x" {
					return nil
				}
				return answer(req, http.StatusUnauthorized, "no privilege")
			}
			tr := newTransport(t, s, classed(s, "/bound", vmsso.SessionBound), func(c *vmsso.Config) { c.ReplayBody = 10 })
			get(t, tr)
			send(t, s, tr)
			synctest.Wait()
			want := map[string][2]int{ // logins that were tried, live sessions
				"body that cannot be sent again": {1, 1}, // the server is asked, and knows the session
				"bound to the session":           {1, 1},
				"login fails":                    {2, 0},
				"caller leaves":                  {2, 1},
			}[name]
			if logins, live := s.counts(); [2]int{logins, live} != want {
				t.Errorf("%s: %d logins, %d live sessions, want %v", name, logins, live, want)
			}
		})
	}
}

// Callers that leave while they are refused see no replay that tells of the breaker.
func TestRefusedCallersThatLeaveMakeNoStormOfLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path == "/x" {
				return nil
			}
			return answer(req, http.StatusUnauthorized, "no privilege")
		}
		s.onLogin = func(context.Context) error { time.Sleep(time.Second / 2); return nil }
		tr := newTransport(t, s)
		get(t, tr)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/4)
			resp, err := tr.RoundTrip(newRequest(t, "GET", "/forbidden", nil).WithContext(ctx))
			cancel()
			if (resp == nil) == (err == nil) {
				t.Error(resp, err)
			}
			time.Sleep(time.Second)
		}
		if logins, live := s.counts(); logins > 2 || live != 1 {
			t.Errorf("%d logins, %d live sessions, want 2 and 1", logins, live)
		}
	})
}

func TestCloseEndsTheSessionThatARefusalPutInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path == "/x" {
				return nil
			}
			return answer(req, http.StatusUnauthorized, "no privilege")
		}
		tr := newTransport(t, s)
		get(t, tr)
		s.mu.Lock()
		s.onLogin = func(context.Context) error { time.Sleep(time.Second); return nil }
		s.mu.Unlock()
		done := make(chan error)
		go func() {
			_, err := tr.RoundTrip(newRequest(t, "GET", "/forbidden", nil))
			done <- err
		}()
		synctest.Wait()
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, vmsso.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		if logins, live := s.counts(); logins != 2 || live != 0 {
			t.Errorf("%d logins, %d live sessions, want 2 and none", logins, live)
		}
	})
}

func TestManyForbiddenRequestsLeaveOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onCall = func(req *http.Request) *http.Response {
			time.Sleep(time.Second)
			return answer(req, http.StatusUnauthorized, "no privilege")
		}
		tr := newTransport(t, s)
		together(100, func(int) { get(t, tr) })
		synctest.Wait()
		if logins, live := s.counts(); logins != 2 || live != 1 || s.logouts != 1 {
			t.Errorf("%d logins, %d live sessions, %d logouts, want 2, 1 and 1", logins, live, s.logouts)
		}
	})
}

func TestYoungSessionThatWasKilledIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s)
		for i := range 10 {
			time.Sleep(10 * time.Millisecond)
			s.kill()
			if status := get(t, tr); status != 200 {
				t.Fatalf("after kill %d: status %d", i, status)
			}
		}
		if logins, _ := s.counts(); logins != 10 || s.probes != 0 {
			t.Errorf("%d logins, %d probes, want 10 and 0: a replay that succeeds arms nothing", logins, s.probes)
		}
	})
}

func TestRequestBoundToTheDeadSessionIsNotSentAgain(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, classed(s, "/bound", vmsso.SessionBound))
	get(t, tr)
	s.kill()
	calls := s.calls
	resp, err := tr.RoundTrip(newRequest(t, "GET", "/bound", nil))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 401 || string(text) != "no session" {
		t.Errorf("got %d %q, want the server's answer", resp.StatusCode, text)
	}
	if logins, live := s.counts(); s.calls != calls+1 || logins != 2 || live != 1 {
		t.Errorf("%d sendings, %d logins, %d live, want one sending and a new session", s.calls-calls, logins, live)
	}
}

func TestVerdictPerhapsIsDecidedByProbe(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &doubtful{auth{sys: s}} })
	s.onCall = func(req *http.Request) *http.Response {
		if req.URL.Path == "/odd" {
			return answer(req, http.StatusUnauthorized, "")
		}
		return nil
	}
	resp, err := tr.RoundTrip(newRequest(t, "GET", "/odd", nil))
	if err != nil || resp.StatusCode != 401 {
		t.Fatal(resp, err)
	}
	if logins, _ := s.counts(); logins != 1 || s.probes != 1 {
		t.Errorf("alive: %d logins, %d probes, want 1 and 1", logins, s.probes)
	}
	s.kill()
	if status := get(t, tr); status != 200 {
		t.Errorf("dead: status %d", status)
	}
	if logins, _ := s.counts(); logins != 2 || s.probes != 2 {
		t.Errorf("dead: %d logins, %d probes, want 2 and 2", logins, s.probes)
	}
}

type doubtful struct{ auth }

func (d *doubtful) Expired(resp *http.Response) vmsso.Verdict {
	if d.auth.Expired(resp) == vmsso.Yes {
		return vmsso.Perhaps
	}
	return vmsso.No
}

func TestOwnLoginIsRefusedUnlessAllowed(t *testing.T) {
	for _, allow := range []bool{false, true} {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.AllowOwnLogin = allow
			c.Auth = &auth{sys: s, class: func(*http.Request) vmsso.Class { return vmsso.OwnLogin }}
		})
		resp, err := tr.RoundTrip(newRequest(t, "POST", "/login", nil))
		if allow && (err != nil || resp == nil) || !allow && !errors.Is(err, vmsso.ErrOwnLogin) {
			t.Errorf("allowed %t: got %v, %v", allow, resp, err)
		}
		if logins, _ := s.counts(); logins != 0 || s.calls != map[bool]int{true: 1}[allow] {
			t.Errorf("allowed %t: %d logins of ours, %d requests sent", allow, logins, s.calls)
		}
	}
}

func TestCallersLogoutDropsOurSession(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, classed(s, "/logout", vmsso.OwnLogout))
	get(t, tr)
	if _, err := tr.RoundTrip(newRequest(t, "POST", "/logout", nil)); err != nil {
		t.Fatal(err)
	}
	if last := s.seen[len(s.seen)-1]; last.Header.Get("X-Session") != "session-1" {
		t.Error("the logout did not carry the session")
	}
	get(t, tr)
	if logins, _ := s.counts(); logins != 2 {
		t.Errorf("%d logins, want a second one after the logout", logins)
	}
}

func TestCallersLogoutThatFailsLeavesTheSessionToClose(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, func(c *vmsso.Config) {
		classed(s, "/logout", vmsso.OwnLogout)(c)
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == "/logout" {
				return nil, errBoom
			}
			return s.RoundTrip(req)
		})
	})
	get(t, tr)
	if _, err := tr.RoundTrip(newRequest(t, "POST", "/logout", nil)); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	tr.Close()
	if logins, live := s.counts(); logins != 1 || live != 0 {
		t.Errorf("%d logins, %d live sessions, want 1 and 0", logins, live)
	}
}

func TestCallersLogoutThatIsRefusedLeavesTheSessionToClose(t *testing.T) {
	for status, dropped := range map[int]bool{200: true, 204: true, 401: true, 403: false, 405: false, 500: false} {
		s := newSystem()
		tr := newTransport(t, s, classed(s, "/logout", vmsso.OwnLogout))
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path == "/logout" {
				return answer(req, status, "")
			}
			return nil
		}
		get(t, tr)
		resp, err := tr.RoundTrip(newRequest(t, "DELETE", "/logout", nil))
		if err != nil || resp.StatusCode != status {
			t.Fatal(err, resp)
		}
		get(t, tr)
		if logins, _ := s.counts(); logins != map[bool]int{true: 2, false: 1}[dropped] {
			t.Errorf("%d: %d logins, the session was dropped: %t, want %t", status, logins, logins == 2, dropped)
		}
	}
}

// panicking is an Authenticator whose Logout panics.
type panicking struct{ auth }

func (p *panicking) Logout(context.Context, http.RoundTripper, *url.URL, *vmsso.Session) error {
	panic("s3cr3t")
}

func TestPanicInALogoutEndsTheLogoutAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var told []error
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Auth = &panicking{auth{sys: s}}
			c.MaxAge = time.Hour
			c.Trace = &vmsso.Trace{Logout: func(_ string, err error) { told = append(told, err) }}
		})
		get(t, tr)
		time.Sleep(2 * time.Hour)
		get(t, tr) // renews, and logs the old session out in the background
		synctest.Wait()
		if err := tr.Close(); err == nil || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "panicking") {
			t.Errorf("Close: %v, want an error that says where, without the panic's value", err)
		}
		if len(told) != 2 {
			t.Errorf("logouts: %v, want two", told)
		}
	})
}

func TestAnonymousRequestStartsNoLoginAndCarriesNoSession(t *testing.T) {
	s := newSystem()
	anonymous := false
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.Auth = &auth{sys: s, class: func(*http.Request) vmsso.Class {
			if anonymous {
				return vmsso.Anonymous
			}
			return vmsso.Normal
		}}
	})
	get(t, tr)
	anonymous = true
	if status := get(t, tr); status != 401 {
		t.Errorf("status %d: the request carried the session", status)
	}
	if logins, _ := s.counts(); logins != 1 {
		t.Errorf("%d logins, want 1", logins)
	}
}

func TestCloseLogsOutAndEndsTheTransport(t *testing.T) {
	s := newSystem()
	a := &auth{sys: s}
	tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = a })
	get(t, tr)
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, live := s.counts(); live != 0 || s.logouts != 1 {
		t.Errorf("%d live sessions after %d logouts, want 0 after 1", live, s.logouts)
	}
	for _, class := range []vmsso.Class{vmsso.Normal, vmsso.Anonymous, vmsso.SessionBound, vmsso.OwnLogout} {
		a.class = func(*http.Request) vmsso.Class { return class }
		body := &countingBody{Reader: strings.NewReader("x")}
		if _, err := tr.RoundTrip(newRequest(t, "PUT", "/x", body)); !errors.Is(err, vmsso.ErrClosed) || body.closes() != 1 {
			t.Errorf("class %d after Close: %v, body closed %d times, want ErrClosed and once", class, err, body.closes())
		}
	}
}

func TestCloseDuringALoginLeavesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, at := range []time.Duration{0, time.Second, time.Second + 1} {
			s := newSystem()
			s.onLogin = func(context.Context) error { time.Sleep(time.Second); return nil } // deaf to its context
			tr := newTransport(t, s)
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					resp, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
					if err != nil && !errors.Is(err, vmsso.ErrClosed) || resp != nil && err != nil {
						t.Errorf("got %v, %v, want an answer or ErrClosed", resp, err)
					}
				})
			}
			synctest.Wait()
			time.Sleep(at)
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			synctest.Wait()
			if logins, live := s.counts(); logins > 1 || live != 0 {
				t.Errorf("closed after %v: %d logins, %d live sessions, want at most 1 and 0", at, logins, live)
			}
		}
	})
}

func TestLogoutAndCloseAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &hangingLogout{auth{sys: s}} })
		get(t, tr)
		for _, end := range []func() error{func() error { return tr.Logout(context.Background()) }, tr.Close} {
			get(t, tr)
			start := time.Now()
			if err := end(); err == nil || time.Since(start) != 5*time.Second {
				t.Errorf("got %v after %v, want an error after 5s", err, time.Since(start))
			}
		}
	})
}

func TestCloseDoesNotWaitForASourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		tr := newTransport(t, newSystem(), func(c *vmsso.Config) {
			c.Source = tokens(func(context.Context) (*vmsso.Token, error) { <-release; return nil, errBoom })
		})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = tr.RoundTrip(newRequest(t, "GET", "/x", nil)) })
		synctest.Wait()
		start := time.Now()
		tr.Close()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("Close took %v, want 5s", took)
		}
		close(release)
		wg.Wait()
	})
}

// TestCloseWhileATokenIsFetchedSendsNothing: there is no session to wait for.
func TestCloseWhileATokenIsFetchedSendsNothing(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem()
			tr := newTransport(t, s, func(c *vmsso.Config) {
				c.Source = tokens(func(ctx context.Context) (*vmsso.Token, error) {
					if deaf {
						time.Sleep(time.Second)
						return oneToken(ctx)
					}
					<-ctx.Done()
					return nil, context.Cause(ctx)
				})
			})
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); !errors.Is(err, vmsso.ErrClosed) {
					t.Errorf("got %v, want ErrClosed", err)
				}
			})
			synctest.Wait()
			start := time.Now()
			if err := tr.Close(); err != nil || !deaf && time.Since(start) != 0 {
				t.Errorf("Close: %v after %v, want nil at once", err, time.Since(start))
			}
			wg.Wait()
			if logins, _ := s.counts(); logins != 0 {
				t.Errorf("%d logins after Close", logins)
			}
		})
	}
}

func TestLogoutLeavesTheTransportUsable(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	get(t, tr)
	if err := tr.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, live := s.counts(); live != 0 {
		t.Errorf("%d live sessions after Logout", live)
	}
	if status := get(t, tr); status != 200 {
		t.Errorf("after Logout: status %d", status)
	}
}

func TestSessionIsReadable(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	sess, err := tr.Session(t.Context())
	if err != nil || sess.Header.Get("X-Session") != "session-1" {
		t.Errorf("got %v, %v", sess, err)
	}
}

type hangingLogout struct{ auth }

func (*hangingLogout) Logout(ctx context.Context, _ http.RoundTripper, _ *url.URL, _ *vmsso.Session) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCloseEndsALoginThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onLogin = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		tr := newTransport(t, s)
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); !errors.Is(err, vmsso.ErrClosed) {
					t.Errorf("got %v, want ErrClosed", err)
				}
			})
		}
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- tr.Close() }()
		wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("the callers left after %v, want no time", took)
		}
		if err := <-closed; err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("Close: %v after %v, want an error after 5s: the login's session may live", err, time.Since(start))
		}
	})
}
