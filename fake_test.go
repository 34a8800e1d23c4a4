package vmsso_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A system is a server without a network: the base RoundTripper of the tests.
// A session is a header X-Session. It counts what the server of a real system
// would count.
type system struct {
	mu     sync.Mutex
	alive  map[string]bool
	serial int

	logins, logouts, probes, calls, loggingIn, most int
	refuse                                          bool // the credentials
	bodies                                          []string
	seen                                            []*http.Request

	onLogin func(ctx context.Context) error
	onCall  func(*http.Request) *http.Response // nil result: the usual answer
}

func newSystem() *system { return &system{alive: map[string]bool{}} }

func (s *system) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.alive)
}

func (s *system) counts() (logins, live int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins, len(s.alive)
}

func answer(req *http.Request, status int, text string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: req}
}

func (s *system) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	if s.onCall != nil {
		if resp := s.onCall(req); resp != nil {
			return resp, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.seen = append(s.seen, req)
	s.bodies = append(s.bodies, string(body))
	if !s.alive[req.Header.Get("X-Session")] {
		return answer(req, http.StatusUnauthorized, "no session"), nil
	}
	return answer(req, http.StatusOK, "fine"), nil
}

// auth is the Authenticator of a system.
type auth struct {
	vmsso.Defaults
	sys   *system
	class func(*http.Request) vmsso.Class
}

func (a *auth) Login(ctx context.Context, rt http.RoundTripper, _ *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	s := a.sys
	s.mu.Lock()
	s.logins++
	s.loggingIn++
	s.most = max(s.most, s.loggingIn)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.loggingIn--
		s.mu.Unlock()
	}()
	if s.onLogin != nil {
		if err := s.onLogin(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse {
		return nil, &vmsso.LoginError{Stage: "login", Status: 401, Fault: "InvalidLogin", Err: vmsso.ErrRejected}
	}
	s.serial++
	id := fmt.Sprintf("session-%d", s.serial)
	s.alive[id] = true
	return &vmsso.Session{Header: http.Header{"X-Session": {id}}, Created: time.Now()}, nil
}

func (a *auth) Logout(ctx context.Context, rt http.RoundTripper, _ *url.URL, sess *vmsso.Session) error {
	a.sys.mu.Lock()
	defer a.sys.mu.Unlock()
	a.sys.logouts++
	delete(a.sys.alive, sess.Header.Get("X-Session"))
	return nil
}

func (a *auth) Probe(ctx context.Context, rt http.RoundTripper, _ *url.URL, sess *vmsso.Session) error {
	a.sys.mu.Lock()
	defer a.sys.mu.Unlock()
	a.sys.probes++
	if !a.sys.alive[sess.Header.Get("X-Session")] {
		return vmsso.ErrNoSession
	}
	return nil
}

func (a *auth) Classify(req *http.Request, head []byte) vmsso.Class {
	if a.class != nil {
		return a.class(req)
	}
	return vmsso.Normal
}

func (a *auth) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode == http.StatusUnauthorized {
		return vmsso.Yes
	}
	return vmsso.No
}

// tokens is a source made of a function.
type tokens func(context.Context) (*vmsso.Token, error)

func (f tokens) Token(ctx context.Context) (*vmsso.Token, error) { return f(ctx) }

func oneToken(context.Context) (*vmsso.Token, error) {
	return &vmsso.Token{Assertion: "<saml2:Assertion>s3cr3t-assertion</saml2:Assertion>"}, nil
}

const endpoint = "https://vc.example.test/sdk"

// newTransport returns a transport for the system; it is closed with the test.
func newTransport(t *testing.T, s *system, change ...func(*vmsso.Config)) *vmsso.Transport {
	t.Helper()
	cfg := vmsso.Config{Endpoint: endpoint, Source: tokens(oneToken), Auth: &auth{sys: s}, Base: s}
	for _, f := range change {
		f(&cfg)
	}
	tr, err := vmsso.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// classed gives the requests with this path a class.
func classed(s *system, path string, class vmsso.Class) func(*vmsso.Config) {
	return func(c *vmsso.Config) {
		c.Auth = &auth{sys: s, class: func(r *http.Request) vmsso.Class {
			if r.URL.Path == path {
				return class
			}
			return vmsso.Normal
		}}
	}
}

func newRequest(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://vc.example.test"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// get makes a request and returns the status.
func get(t *testing.T, rt http.RoundTripper) int {
	t.Helper()
	resp, err := rt.RoundTrip(newRequest(t, "GET", "/x", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// countingBody tells how often it was closed.
type countingBody struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (b *countingBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *countingBody) closes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// hidden keeps http.NewRequest from finding out what a reader is, so that the
// request has no GetBody: as with govmomi's bodies.
type hidden struct{ io.Reader }

var errBoom = errors.New("boom")
