package vmsso_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
)

// settingAuth has a session of cookies, as SOAP has.
type settingAuth struct {
	auth
}

func (c *settingAuth) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	s, err := c.auth.Login(ctx, rt, u, tok)
	if err == nil {
		s.Cookies = []*http.Cookie{{Name: "session", Value: "first"}, {Name: "lb", Value: "node-1"}, {Name: "stale", MaxAge: -1}}
	}
	return s, err
}

// setCookies lets the system set cookies for this path.
func setCookies(s *system, path string, lines ...string) {
	s.onCall = func(req *http.Request) *http.Response {
		if req.URL.Path != path {
			return nil
		}
		resp := answer(req, 200, "")
		resp.Header["Set-Cookie"] = lines
		return resp
	}
}

func TestCookiesThatTheServerSetsAnewAreSentFromThenOn(t *testing.T) {
	for _, tc := range []struct {
		name, line, want string
	}{
		{"the session's own", "session=second; Path=/; Secure", "session=second; lb=node-1"},
		{"that of a load balancer", "lb=node-2", "session=first; lb=node-2"},
		{"another", "theme=dark", "session=first; lb=node-1"},
		{"the same", "session=first", "session=first; lb=node-1"},
		{"deleted", "session=x; Max-Age=0", "session=first; lb=node-1"},
		{"empty", "session=", "session=first; lb=node-1"},
		{"one that is deleted from requests", "stale=x", "session=first; lb=node-1"},
		{"for the service that sets it", "session=second; Path=/set", "session=first; lb=node-1"},
	} {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} })
		setCookies(s, "/set", tc.line)
		before, err := tr.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/set", "/x"} {
			resp, err := tr.RoundTrip(newRequest(t, "GET", path, nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if got := s.seen[len(s.seen)-1].Header.Get("Cookie"); got != tc.want {
			t.Errorf("%s: sent %q, want %q", tc.name, got, tc.want)
		}
		if before.Cookies[0].Value != "first" || before.Cookies[1].Value != "node-1" {
			t.Errorf("%s: the session that a caller holds was modified: %v", tc.name, before.Cookies)
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%s: %d logins", tc.name, logins)
		}
	}
}

func TestCookiesOfAReplayedRequestAreTakenOver(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} })
	get(t, tr)
	s.kill()
	s.onCall = func(req *http.Request) *http.Response {
		if logins, _ := s.counts(); logins < 2 {
			return nil
		}
		resp := answer(req, 200, "")
		resp.Header["Set-Cookie"] = []string{"session=second"}
		return resp
	}
	get(t, tr)
	if now, err := tr.Session(t.Context()); err != nil || now.Cookies[0].Value != "second" {
		t.Errorf("%v: the session has %v", err, now.Cookies)
	}
}

// An answer that comes late belongs to a session that is replaced.
func TestCookieOfAnOlderSessionIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		release := make(chan struct{})
		tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} })
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path != "/slow" {
				return nil
			}
			<-release
			resp := answer(req, 200, "")
			resp.Header["Set-Cookie"] = []string{"session=old"}
			return resp
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			resp, err := tr.RoundTrip(newRequest(t, "GET", "/slow", nil))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		}()
		synctest.Wait()
		s.kill()
		get(t, tr) // makes another session
		close(release)
		<-done
		if now, err := tr.Session(t.Context()); err != nil || now.Cookies[0].Value != "first" {
			t.Errorf("%v: the session has the cookie of the one before", err)
		}
	})
}

// A refusal may come with the cookie of a session that is not logged in.
func TestCookieOfARefusalIsNotTakenOver(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} })
	s.onCall = func(req *http.Request) *http.Response {
		if req.URL.Path != "/forbidden" {
			return nil
		}
		resp := answer(req, 401, "")
		resp.Header["Set-Cookie"] = []string{"session=anonymous"}
		return resp
	}
	for range 2 {
		resp, err := tr.RoundTrip(newRequest(t, "GET", "/forbidden", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if now, err := tr.Session(t.Context()); err != nil || now.Cookies[0].Value != "first" {
		t.Errorf("%v: the cookie of a refusal was taken over", err)
	}
}

func TestLargeBodiesAskFirst(t *testing.T) {
	for _, tc := range []struct {
		name   string
		most   int64
		body   io.Reader
		expect string // the caller's own
		want   string
	}{
		{"off", 0, strings.NewReader("0123456789"), "", ""},
		{"large", 10, strings.NewReader("0123456789"), "", "100-continue"},
		{"small", 10, strings.NewReader("012345678"), "", ""},
		{"unknown", 10, hidden{strings.NewReader("0")}, "", "100-continue"},
		{"none", 1, nil, "", ""},
		{"the caller's own", 1, strings.NewReader("0123456789"), "other", "other"},
	} {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) { c.ExpectContinue = tc.most })
		req := newRequest(t, "PUT", "/x", tc.body)
		if tc.expect != "" {
			req.Header.Set("Expect", tc.expect)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := s.seen[len(s.seen)-1].Header.Get("Expect"); got != tc.want {
			t.Errorf("%s: sent Expect %q, want %q", tc.name, got, tc.want)
		}
		if req.Header.Get("Expect") != tc.expect {
			t.Errorf("%s: the caller's request was modified", tc.name)
		}
	}
}

func TestFullServerIsNotAskedForASessionAgainAndAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  *vmsso.LoginError
		wait time.Duration
	}{
		{"full", &vmsso.LoginError{Err: vmsso.ErrSessionLimit}, 3 * time.Minute},
		{"full, and says until when", &vmsso.LoginError{Err: vmsso.ErrSessionLimit, RetryAfter: 10 * time.Minute}, 10 * time.Minute},
		{"refused", &vmsso.LoginError{Err: vmsso.ErrRejected}, 3 * time.Minute},
		{"locked", &vmsso.LoginError{Err: vmsso.ErrLocked}, 15 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem()
			s.onLogin = func(context.Context) error { return tc.err }
			serial := 0
			tr := newTransport(t, s, func(c *vmsso.Config) {
				c.Source = tokens(func(context.Context) (*vmsso.Token, error) {
					if tc.err.Err == vmsso.ErrSessionLimit {
						serial++ // another token makes no room
					}
					return &vmsso.Token{Assertion: "<a" + strings.Repeat("x", serial) + "/>"}, nil
				})
			})
			for range 20 {
				_, err := tr.Session(t.Context())
				var le *vmsso.LoginError
				if !errors.Is(err, tc.err.Err) || !errors.As(err, &le) || le.RetryAfter <= 0 || le.RetryAfter > tc.wait {
					t.Errorf("%s: got %v, retry after %v", tc.name, err, le.RetryAfter)
				}
				time.Sleep((tc.wait - time.Second) / 20)
			}
			if logins, _ := s.counts(); logins != 1 {
				t.Errorf("%s: %d logins within %v, want 1", tc.name, logins, tc.wait)
			}
			s.mu.Lock()
			s.onLogin = nil
			s.mu.Unlock()
			time.Sleep(2 * time.Second)
			if _, err := tr.Session(t.Context()); err != nil {
				t.Errorf("%s: afterwards: %v", tc.name, err)
			}
			tr.Close()
		})
	}
}
