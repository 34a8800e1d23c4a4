package vmsso_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
)

func keepAlive(d time.Duration) func(*vmsso.Config) {
	return func(c *vmsso.Config) { c.KeepAlive = d }
}

// probes is how many probes the system saw.
func (s *system) probeCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

func TestKeepAliveCallsOnlyWhenNobodyElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s, keepAlive(10*time.Minute))
		time.Sleep(time.Hour)
		if n := s.probeCount(); n != 0 {
			t.Errorf("%d probes before there is a session", n)
		}
		for range 30 { // requests come often enough
			get(t, tr)
			time.Sleep(5 * time.Minute)
		}
		if n := s.probeCount(); n != 0 {
			t.Errorf("%d probes while requests keep the session alive", n)
		}
		time.Sleep(35 * time.Minute)
		if n := s.probeCount(); n < 2 || n > 4 {
			t.Errorf("%d probes in 40 minutes, want one in 10", n)
		}
		tr.Close()
		before := s.probeCount()
		time.Sleep(time.Hour)
		if n := s.probeCount(); n != before {
			t.Errorf("%d probes after Close", n-before)
		}
	})
}

func TestKeepAliveIsOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s)
		get(t, tr)
		time.Sleep(24 * time.Hour)
		if n := s.probeCount(); n != 0 {
			t.Errorf("%d probes", n)
		}
	})
}

// Programs that were started together do not call together.
func TestKeepAliveIsSpreadOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, seen := time.Now(), map[time.Duration]bool{}
		var mu sync.Mutex
		for range 20 {
			s := newSystem()
			tr := newTransport(t, s, keepAlive(10*time.Minute), func(c *vmsso.Config) {
				c.Trace = &vmsso.Trace{KeepAlive: func(string, error) {
					mu.Lock()
					defer mu.Unlock()
					seen[time.Since(start)] = true
				}}
			})
			get(t, tr)
		}
		time.Sleep(13 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(seen) < 10 {
			t.Errorf("20 transports call at %d times", len(seen))
		}
		for at := range seen {
			if at < 10*time.Minute || at > 12*time.Minute {
				t.Errorf("a call after %v", at)
			}
		}
	})
}

// A session that nobody uses is the server's to end: others need the room.
func TestKeepAliveStopsWhenTheSessionIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s, keepAlive(10*time.Minute))
		get(t, tr)
		time.Sleep(24 * time.Hour)
		n := s.probeCount()
		if n < 9 || n > 12 {
			t.Errorf("%d probes in a day without a request, want about 12 and then none", n)
		}
		get(t, tr)
		time.Sleep(time.Hour)
		if s.probeCount() == n {
			t.Error("no probe after the next request")
		}
	})
}

func TestKeepAliveSurvivesErrorsAndFindsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var mu sync.Mutex
		var seen []error
		failing := &probeErrors{auth: auth{sys: s}}
		tr := newTransport(t, s, keepAlive(10*time.Minute), func(c *vmsso.Config) {
			c.Auth = failing
			c.Trace = &vmsso.Trace{KeepAlive: func(session string, err error) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, err)
			}}
		})
		get(t, tr)
		failing.set(errBoom)
		time.Sleep(25 * time.Minute) // two probes
		failing.set(nil)
		time.Sleep(13 * time.Minute) // one at least
		s.kill()
		time.Sleep(30 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		last := len(seen) - 1
		if last < 3 || !errors.Is(seen[0], errBoom) || !errors.Is(seen[1], errBoom) || seen[2] != nil || !errors.Is(seen[last], vmsso.ErrNoSession) {
			t.Errorf("probes: %v, want two failures, a success, and the end of the session", seen)
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins without a request, want 1", logins)
		}
		if get(t, tr) != 200 {
			t.Error("no new session afterwards")
		}
	})
}

// probeErrors is an auth whose Probe can fail.
type probeErrors struct {
	auth
	mu  sync.Mutex
	err error
}

func (p *probeErrors) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *probeErrors) Probe(ctx context.Context, rt http.RoundTripper, u *url.URL, s *vmsso.Session) error {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.auth.Probe(ctx, rt, u, s)
}

func TestOldSessionIsReplacedWithoutDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		slow := make(chan struct{})
		tr := newTransport(t, s, func(c *vmsso.Config) { c.MaxAge = time.Hour })
		get(t, tr)
		first, _ := tr.Session(t.Context())
		time.Sleep(59 * time.Minute)
		get(t, tr)
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins before the age is reached", logins)
		}
		time.Sleep(2 * time.Minute)
		s.mu.Lock()
		s.onLogin = func(context.Context) error { <-slow; return nil }
		s.mu.Unlock()
		for range 10 { // the old session serves while the login takes its time
			if get(t, tr) != 200 {
				t.Error("a request failed while the session is replaced")
			}
		}
		close(slow)
		synctest.Wait()
		second, _ := tr.Session(t.Context())
		if logins, live := s.counts(); logins != 2 || live != 1 || first.ID() == second.ID() {
			t.Errorf("%d logins, %d sessions live, want 2 and 1: the old one is logged out", logins, live)
		}
	})
}

func TestOldSessionServesWhileNoOtherCanBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) { c.MaxAge = time.Hour })
		get(t, tr)
		s.mu.Lock()
		s.onLogin = func(context.Context) error { return errBoom }
		s.mu.Unlock()
		time.Sleep(2 * time.Hour)
		for range 100 {
			if get(t, tr) != 200 {
				t.Error("a request failed although the session is alive")
			}
			synctest.Wait()
		}
		if logins, _ := s.counts(); logins != 2 {
			t.Errorf("%d logins were tried within a minute, want one more", logins)
		}
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.onLogin = nil
		s.mu.Unlock()
		get(t, tr)
		synctest.Wait()
		if logins, live := s.counts(); logins != 3 || live != 1 {
			t.Errorf("%d logins, %d live, want 3 and 1", logins, live)
		}
	})
}

// probingAuth is a settingAuth whose Probe makes a request.
type probingAuth struct{ settingAuth }

func (p *probingAuth) Probe(ctx context.Context, rt http.RoundTripper, u *url.URL, s *vmsso.Session) error {
	req, err := http.NewRequestWithContext(ctx, "GET", u.String()+"/probe", nil)
	if err != nil {
		return err
	}
	req.Header = s.Header.Clone()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		return vmsso.ErrNoSession
	}
	return nil
}

func TestCookieOfAKeepAliveIsTakenOver(t *testing.T) {
	for status, want := range map[int]string{200: "second", 401: "first"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem()
			tr := newTransport(t, s, keepAlive(10*time.Minute), func(c *vmsso.Config) { c.Auth = &probingAuth{settingAuth{auth: auth{sys: s}}} })
			s.onCall = func(req *http.Request) *http.Response {
				if req.URL.Path != "/sdk/probe" {
					return nil
				}
				resp := answer(req, status, "")
				resp.Header["Set-Cookie"] = []string{"session=second"}
				return resp
			}
			get(t, tr)
			time.Sleep(15 * time.Minute)
			if now, err := tr.Session(t.Context()); err != nil || now.Cookies[0].Value != want {
				t.Errorf("%d: %v, the session has %v, want %s", status, err, now.Cookies[0].Value, want)
			}
		})
	}
}

// An authenticator of somebody's own that has no Probe: nothing keeps its sessions alive, and none is lost for it.
func TestKeepAliveWithoutAProbeKeepsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var seen []error
		tr := newTransport(t, s, keepAlive(time.Minute), func(c *vmsso.Config) {
			c.Auth = &mute{auth: auth{sys: s}}
			c.Trace = &vmsso.Trace{KeepAlive: func(_ string, err error) { seen = append(seen, err) }}
		})
		for range 3 {
			get(t, tr)
			time.Sleep(2 * time.Minute)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if logins, live := s.counts(); logins != 1 || live != 0 {
			t.Errorf("%d logins, %d sessions live after Close, want 1 and 0", logins, live)
		}
		if len(seen) == 0 || seen[0] == nil {
			t.Errorf("the trace got %v, want an error that says why", seen)
		}
	})
}

// mute cannot be asked whether a session lives.
type mute struct {
	vmsso.Defaults
	auth auth
}

func (m *mute) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	return m.auth.Login(ctx, rt, u, tok)
}

func (m *mute) Logout(ctx context.Context, rt http.RoundTripper, u *url.URL, s *vmsso.Session) error {
	return m.auth.Logout(ctx, rt, u, s)
}

func (m *mute) Expired(resp *http.Response) vmsso.Verdict { return m.auth.Expired(resp) }
