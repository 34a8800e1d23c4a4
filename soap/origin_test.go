package soap_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// A thief is a host that wants to see something: it records every request.
type thief struct {
	mu   sync.Mutex
	seen []*http.Request
}

func (s *thief) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r)
}

// TestSessionNotSentToOtherOrigin: other hosts, and the same host on another
// port or without TLS, see neither cookie nor token, whether they are called or
// redirected to, and cause no login.
func TestSessionNotSentToOtherOrigin(t *testing.T) {
	l := newLab(t)
	s := &thief{}
	others := []string{"https://evil.example.test/", "https://vc.example.test:8443/", "http://vc.example.test/", "https://vc.example.test.evil.example.test/"}
	for _, h := range []string{"evil.example.test", "vc.example.test:8443", "http://vc.example.test:80", "vc.example.test.evil.example.test"} {
		l.net.Serve(h, s)
	}
	c, _ := l.client(t, tokensource.Static(bearer()))
	get := func(url string) {
		t.Helper()
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for _, url := range others {
		get(url)
	}
	l.expect(t, 0, 0)
	mustCall(t, c, "CurrentTime", serviceInstance)
	for _, url := range others {
		get(url)
		l.vsphere.Inject("GET /folder", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, url, http.StatusFound)
		})
		get("https://vc.example.test/folder/x")
	}
	if len(s.seen) != 3*len(others) {
		t.Fatalf("%d requests reached the others, want %d: the test proves nothing", len(s.seen), 3*len(others))
	}
	for _, r := range s.seen {
		for name, values := range r.Header {
			if name == "Cookie" || name == "Authorization" || strings.Contains(strings.Join(values, ""), "ession") {
				t.Errorf("%s saw %s: %q", r.Host, name, values)
			}
		}
	}
}

func TestLoginFollowsNoRedirect(t *testing.T) {
	for _, operation := range []string{"RetrieveServiceContent", "LoginByToken", "Issue"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			l := newLab(t)
			s := &thief{}
			l.net.Serve("evil.example.test", s)
			redirect := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				http.Redirect(w, r, "https://evil.example.test/s3cr3t-path?a=s3cr3t", status)
			}
			l.vsphere.Inject(operation, -1, redirect)
			l.sts.Inject(operation, -1, redirect)
			c, _ := l.client(t, l.stsSource(t, tokensource.STSConfig{Username: user, Password: password}))
			_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
			var le *vmsso.LoginError
			if !errors.As(err, &le) || le.Stage != operation || le.Status != status || !strings.Contains(err.Error(), "redirected to evil.example.test,") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, %d: got %v, want an error that names the stage and the other host alone", operation, status, err)
			}
			if len(s.seen) != 0 {
				t.Errorf("%s, %d: the other host was called", operation, status)
			}
		}
	}
}

func TestUntrustedServerSeesNothingAndNoAttemptIsCounted(t *testing.T) {
	l := newLab(t)
	l.base.TLSClientConfig.RootCAs = nil // the system's: they do not know the lab
	sts := l.stsSource(t, tokensource.STSConfig{Username: user, Password: password})
	for name, source := range map[string]vmsso.TokenSource{"STS": sts, "Static": tokensource.Static(bearer())} {
		c, _ := l.client(t, source)
		_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
		if !errors.Is(err, vmsso.ErrTLSIdentity) || !strings.Contains(err.Error(), "trust the server's CA") {
			t.Errorf("%s: got %v, want ErrTLSIdentity with advice", name, err)
		}
	}
	if _, err := sts.Token(t.Context()); !errors.Is(err, vmsso.ErrTLSIdentity) {
		t.Errorf("the source alone: got %v, want ErrTLSIdentity", err)
	}
	if n := l.sts.Requests(); n != 0 {
		t.Errorf("%d requests reached the token service", n)
	}
}
