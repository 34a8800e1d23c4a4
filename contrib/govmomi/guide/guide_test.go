package guide

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var user = url.UserPassword("alice@vsphere.local", "correct horse battery staple")

// A lab is govmomi's simulator behind a vCenter that verifies tokens.
type lab struct {
	*vmssotest.VCenter
	url     *url.URL
	ca      string // file
	machine tls.Certificate
	source  vmsso.TokenSource
}

func newLab(t *testing.T) *lab {
	t.Helper()
	model := simulator.VPX()
	t.Cleanup(model.Remove)
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: user}
	vcsim := model.Service.NewServer()
	t.Cleanup(vcsim.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(vcsim.Certificate())
	direct := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.Cleanup(direct.CloseIdleConnections)
	password, _ := user.Password()

	l := &lab{machine: vmssotest.NewKeyPair("backup", nil), ca: filepath.Join(t.TempDir(), "ca.pem")}
	l.VCenter = vmssotest.NewVCenter(vmssotest.VCenterConfig{
		Users:         map[string]string{user.Username(): password},
		SolutionUsers: map[string]*x509.Certificate{"backup": l.machine.Leaf},
		Backend: &httputil.ReverseProxy{Transport: direct, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: vcsim.URL.Host})
		}},
	})
	server := vmssotest.Listen(l.VCenter)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(l.ca, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	l.url = &url.URL{Scheme: "https", Host: server.URL[len("https://"):], Path: "/sdk"}
	l.source = tokensource.Static(&vmsso.Token{Assertion: l.Authority.Issue(vmssotest.Claims{Subject: user.Username()})})
	return l
}

func (l *lab) client(t *testing.T) *soap.Client {
	t.Helper()
	c := soap.NewClient(l.url, false)
	if err := l.trust(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (l *lab) trust(c *soap.Client) error { return c.SetRootCAs(l.ca) }

// list is the work: it needs a session.
func list(t *testing.T) func(*vim25.Client) error {
	return func(vc *vim25.Client) error {
		t.Cleanup(vc.CloseIdleConnections)
		_, err := find.NewFinder(vc).VirtualMachineList(t.Context(), "*")
		return err
	}
}

// listTwice ends the session between two lists.
func (l *lab) listTwice(t *testing.T) func(*vim25.Client) error {
	return func(vc *vim25.Client) error {
		if err := list(t)(vc); err != nil {
			return err
		}
		l.Kill()
		return list(t)(vc)
	}
}

func listByREST(t *testing.T) func(*rest.Client) error {
	return func(c *rest.Client) error {
		t.Cleanup(c.CloseIdleConnections)
		var vms []struct{ Name string }
		return c.Do(t.Context(), c.Resource("/api/vcenter/vm").Request(http.MethodGet), &vms)
	}
}

// TestSnippets: what the guide shows does its work against a vCenter that verifies tokens. What was logged in by token is counted there, and logged
// out.
func TestSnippets(t *testing.T) {
	for _, tc := range []struct {
		name         string
		run          func(ctx context.Context, t *testing.T, l *lab) error
		logins, left int // by token; sessions afterwards
	}{
		{"login, before", func(ctx context.Context, t *testing.T, l *lab) error {
			return LoginBefore(ctx, l.client(t), user, list(t))
		}, 0, 0},
		{"login, after", func(ctx context.Context, t *testing.T, l *lab) error {
			return LoginAfter(ctx, l.client(t), user, l.listTwice(t))
		}, 2, 0},
		{"cache, before", func(ctx context.Context, t *testing.T, l *lab) error {
			endpoint, dir := *l.url, t.TempDir()
			endpoint.User = user
			for range 2 {
				if err := CacheBefore(ctx, &endpoint, dir, l.trust, list(t)); err != nil {
					return err
				}
			}
			return nil
		}, 0, 0},
		{"cache, after", func(ctx context.Context, t *testing.T, l *lab) error {
			dir := t.TempDir()
			for range 2 {
				if err := CacheAfter(ctx, l.client(t), l.source, dir, list(t)); err != nil {
					return err
				}
			}
			return nil
		}, 1, 1},
		{"keep-alive, before", func(ctx context.Context, t *testing.T, l *lab) error {
			return KeepAliveBefore(ctx, l.client(t), user, list(t))
		}, 0, 0},
		{"keep-alive, after", func(ctx context.Context, t *testing.T, l *lab) error {
			return KeepAliveAfter(ctx, l.client(t), l.source, l.listTwice(t))
		}, 2, 0},
		{"token, before", func(ctx context.Context, t *testing.T, l *lab) error {
			return TokenBefore(ctx, l.client(t), &l.machine, list(t))
		}, 1, 0},
		{"token, after", func(ctx context.Context, t *testing.T, l *lab) error {
			return TokenAfter(ctx, l.client(t), &l.machine, func(vc *vim25.Client, api *rest.Client) error {
				if err := listByREST(t)(api); err != nil {
					return err
				}
				return l.listTwice(t)(vc)
			})
		}, 3, 0},
		{"REST, before", func(ctx context.Context, t *testing.T, l *lab) error {
			return RESTBefore(ctx, l.client(t), &l.machine, listByREST(t))
		}, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			if err := tc.run(t.Context(), t, l); err != nil {
				t.Fatal(err)
			}
			if l.Logins() != tc.logins || l.Sessions() != tc.left {
				t.Errorf("%d logins by token, %d sessions left, want %d and %d", l.Logins(), l.Sessions(), tc.logins, tc.left)
			}
		})
	}
}

// TestOnlyAfterASessionThatEndsIsNoError: why one would change.
func TestOnlyAfterASessionThatEndsIsNoError(t *testing.T) {
	l := newLab(t)
	if err := TokenBefore(t.Context(), l.client(t), &l.machine, l.listTwice(t)); err == nil {
		t.Error("before: no error, although the session was killed")
	}
}
