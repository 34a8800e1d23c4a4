package vmsso_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

func TestBadConfigIsRefusedWithAdvice(t *testing.T) {
	s := newSystem()
	inner := newTransport(t, s)
	for _, tc := range []struct {
		name   string
		change func(*vmsso.Config)
		want   string
	}{
		{"no endpoint", func(c *vmsso.Config) { c.Endpoint = "" }, "Config.Endpoint is missing: give a URL"},
		{"no URL", func(c *vmsso.Config) { c.Endpoint = "https://vc\x00:s3cr3t@x" }, "Config.Endpoint is not a URL"},
		{"no host", func(c *vmsso.Config) { c.Endpoint = "https:///sdk" }, "names no host"},
		{"a host alone", func(c *vmsso.Config) { c.Endpoint = "vcenter.example.com" }, "names no host"},
		{"plain http", func(c *vmsso.Config) { c.Endpoint = "http://vc.example.test/sdk" }, "plain http"},
		{"another scheme", func(c *vmsso.Config) { c.Endpoint = "ftp://vc.example.test" }, "use https"},
		{"password in the URL", func(c *vmsso.Config) { c.Endpoint = "https://root:s3cr3t@vc.example.test/sdk" }, "credentials belong to the token source"},
		{"query", func(c *vmsso.Config) { c.Endpoint = "https://vc.example.test/sdk?password=s3cr3t" }, "query or fragment"},
		{"no source", func(c *vmsso.Config) { c.Source = nil }, "Config.Source is missing"},
		{"no authenticator", func(c *vmsso.Config) { c.Auth = nil }, "Config.Auth is missing"},
		{"wrapped twice", func(c *vmsso.Config) { c.Base = inner }, "wrap the client once"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := vmsso.Config{Endpoint: endpoint, Source: tokens(oneToken), Auth: &auth{sys: s}, Base: s}
			tc.change(&cfg)
			tr, err := vmsso.New(cfg)
			if tr != nil || err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v, want an error that says %q and no secret", err, tc.want)
			}
		})
	}
	for _, good := range []string{"https://vc.example.test", "HTTPS://VC.example.test:8443/sdk", "http://localhost:8989/sdk", "http://127.0.0.1/sdk", "http://[::1]:80"} {
		if _, err := vmsso.New(vmsso.Config{Endpoint: good, Source: tokens(oneToken), Auth: &auth{sys: s}}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestWrapTakesTheClientsTransportAsBase(t *testing.T) {
	s := newSystem()
	orig := &http.Client{Transport: s, Timeout: 7}
	cfg := vmsso.Config{Endpoint: endpoint, Source: tokens(oneToken), Auth: &auth{sys: s}}
	wrapped, tr, err := vmsso.Wrap(orig, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if orig.Transport != http.RoundTripper(s) || wrapped == orig || wrapped.Transport != http.RoundTripper(tr) || wrapped.Timeout != orig.Timeout {
		t.Errorf("original %v, wrapped %v: want a copy with the new transport, and the original as it was", orig, wrapped)
	}
	if status := get(t, wrapped.Transport); status != 200 {
		t.Errorf("status %d", status)
	}
	cfg.Base = s
	if _, _, err := vmsso.Wrap(orig, cfg); err == nil {
		t.Error("two base transports are no error")
	}
	cfg.Base = nil
	if c, _, err := vmsso.Wrap(nil, cfg); err != nil || c.Transport == nil {
		t.Errorf("a nil client: %v", err)
	}
}

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	base := &idler{system: newSystem()}
	tr := newTransport(t, base.system, func(c *vmsso.Config) { c.Base = base })
	(&http.Client{Transport: tr}).CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("called %d times, want once", base.closed)
	}
}

type idler struct {
	*system
	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestDroppedResponseIsDrainedAndClosed(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	get(t, tr)
	s.kill()
	refused := &countingBody{Reader: strings.NewReader(strings.Repeat("x", 1000))}
	once := true
	s.onCall = func(req *http.Request) *http.Response {
		if once {
			once = false
			resp := answer(req, 401, "")
			resp.Body = refused
			return resp
		}
		return nil
	}
	get(t, tr)
	if n, _ := refused.Read(make([]byte, 1)); n != 0 || refused.closes() != 1 {
		t.Errorf("%d bytes left, closed %d times, want none and once", n, refused.closes())
	}
}

func TestErrorsTellWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		err  *vmsso.LoginError
		want string
	}{
		{&vmsso.LoginError{Endpoint: "vc", Stage: "LoginByToken", Status: 500, Fault: "InvalidLogin: no", Err: vmsso.ErrRejected},
			`vmsso: log in to vc: LoginByToken: refused by the server (HTTP 500: "InvalidLogin: no")`},
		{&vmsso.LoginError{Endpoint: "vc", Stage: "Issue", Err: vmsso.ErrLocked},
			"vmsso: get a token from vc: Issue: refused by the server: the account is locked; wait until the lock ends, and find out who sends the wrong password"},
		{&vmsso.LoginError{Endpoint: "vc", Status: 503, Err: vmsso.ErrSessionLimit},
			"vmsso: log in to vc: the server has reached its limit of sessions (HTTP 503); log out sessions that are not used, or raise the limit"},
		{&vmsso.LoginError{Endpoint: "vc", Stage: "login", Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "vc"}},
			"vmsso: log in to vc: login: x509: certificate is not valid for any names, but wanted to match vc; let the base transport trust the server's CA (Base in the configuration)"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}
