package cookiejar_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestMain lets the binary also be one of the programs that share a store: see program.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(program())
	}
	goleak.VerifyTestMain(m)
}

// They take long to make.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	token     = sync.OnceValue(func() string { return authority().Issue(vmssotest.Claims{Subject: alice}) })
)

// A site is a vSphere Automation server that is called without a network, and a store for its sessions.
type site struct {
	*vmssotest.Automation
	dir   string
	store vmsso.SessionStore // nil: a new one at each run

	mu      sync.Mutex
	secrets []string // what must not be told: sessions, and the token
	users   []string // who logged in
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: filepath.Join(t.TempDir(), "sessions"), secrets: []string{token()}}
	s.Automation = vmssotest.NewAutomation(vmssotest.AutomationConfig{
		Trust: []*x509.Certificate{authority().Certificate()},
		OnLogin: func(l vmssotest.AutomationLogin) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.secrets, s.users = append(s.secrets, l.Session), append(s.users, l.Subject)
		},
	})
	return s
}

// RoundTrip lets the server answer at once.
func (s *site) RoundTrip(req *http.Request) (*http.Response, error) {
	r := req.Clone(req.Context())
	r.RequestURI, r.Host, r.TLS = req.URL.RequestURI(), req.URL.Host, &tls.ConnectionState{}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

const (
	alice = "alice@vsphere.local"
	vmURL = "https://vc.example.test/api/vcenter/vm"
	vmOp  = "GET /api/vcenter/vm"
)

// static is a source of one token.
type static string

func (s static) Token(context.Context) (*vmsso.Token, error) {
	return &vmsso.Token{Assertion: string(s)}, nil
}

// An outcome is what a run did.
type outcome struct {
	logins, calls int // that came to the server
	faults        []string
	told          string // errors and log
	closed        error
}

// run is a program that makes a call, which must succeed.
func (s *site) run(t testing.TB, change ...func(*vmsso.Config)) (o outcome) {
	t.Helper()
	logins, calls := s.Logins(), s.Calls(vmOp)
	cfg := vmsso.Config{
		Endpoint: "https://vc.example.test", Source: static(token()), Auth: &automation.Authenticator{}, Base: s, Store: s.store, Identity: alice,
	}
	if cfg.Store == nil {
		store, err := cookiejar.NewFileStore(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Store = store
	}
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Trace = &vmsso.Trace{StoreFault: func(op string, err error) { o.faults = append(o.faults, fmt.Sprintf("%s: %v %+v", op, err, err)) }}
	for _, f := range change {
		f(&cfg)
	}
	c, tr, err := vmsso.Wrap(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Get(vmURL)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, text)
	}
	o.closed = tr.Close()
	o.logins, o.calls = s.Logins()-logins, s.Calls(vmOp)-calls
	o.told = fmt.Sprint(log.String(), o.faults, o.closed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		if strings.Contains(o.told, secret) {
			t.Errorf("a secret is told: %.2000s", o.told)
		}
	}
	return o
}

// file is the only one in the store with this ending.
func (s *site) file(t testing.TB, ending string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+ending))
	if err != nil || len(names) != 1 {
		t.Fatalf("files *%s: %q, %v, want one", ending, names, err)
	}
	return names[0]
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// must is for what a test prepares.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
