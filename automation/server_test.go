package automation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys take long to make and are the same for all tests.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	rsaPair   = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("solution", nil) })
)

const (
	user     = "alice@vsphere.local"
	password = "s3cr3t"
)

// A lab is a vCenter in memory: Automation and token service on one host.
type lab struct {
	server *vmssotest.Automation
	base   *http.Transport
	logins []vmssotest.AutomationLogin
}

func newLab(t *testing.T, legacy bool) *lab {
	t.Helper()
	l := &lab{}
	l.server = vmssotest.NewAutomation(vmssotest.AutomationConfig{
		Trust:   []*x509.Certificate{authority().Certificate()},
		Legacy:  legacy,
		OnLogin: func(login vmssotest.AutomationLogin) { l.logins = append(l.logins, login) }, // one at a time
	})
	mux := http.NewServeMux()
	mux.Handle("/", l.server)
	mux.Handle("/sts/", vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     authority(),
		Users:         map[string]string{user: password},
		SolutionUsers: map[string]*x509.Certificate{"solution": rsaPair().Leaf},
	}))
	net := vmssotest.NewNetwork()
	net.Serve("vc.example.test", mux)
	l.base = net.Transport()
	l.base.MaxConnsPerHost = 64
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		net.Close()
	})
	return l
}

func (l *lab) client(t *testing.T, source vmsso.TokenSource) (*http.Client, *vmsso.Transport) {
	t.Helper()
	c, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: "https://vc.example.test", Source: source, Auth: &automation.Authenticator{}, Base: l.base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return c, tr
}

func (l *lab) sts(t *testing.T, cfg tokensource.STSConfig) vmsso.TokenSource {
	t.Helper()
	cfg.URL, cfg.Base = "https://vc.example.test", l.base
	s, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// vms lists the virtual machines.
func vms(ctx context.Context, c *http.Client, legacy bool) (int, string, error) {
	path := "/api/vcenter/vm"
	if legacy {
		path = "/rest/vcenter/vm"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://vc.example.test"+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestLoginByEveryKindOfToken(t *testing.T) {
	pair := rsaPair()
	for _, legacy := range []bool{false, true} {
		for name, cfg := range map[string]tokensource.STSConfig{
			"password":    {Username: user, Password: password},
			"certificate": {Certificate: &pair},
			"both":        {Username: user, Password: password, Certificate: &pair},
		} {
			t.Run(name, func(t *testing.T) {
				l := newLab(t, legacy)
				var used *vmsso.Token
				source := l.sts(t, cfg)
				c, tr := l.client(t, sourceFunc(func(ctx context.Context) (tok *vmsso.Token, err error) {
					used, err = source.Token(ctx)
					return used, err
				}))
				for range 3 {
					if status, text, err := vms(t.Context(), c, legacy); err != nil || status != 200 || !strings.Contains(text, "vm") {
						t.Fatalf("status %d, %v, %.200s; the server says %q", status, err, text, l.server.Reasons())
					}
				}
				if l.server.Logins() != 1 || l.server.Sessions() != 1 {
					t.Errorf("%d logins, %d sessions, want 1 and 1", l.server.Logins(), l.server.Sessions())
				}
				if login := l.logins[0]; login.Assertion != used.Assertion || login.HolderOfKey != (cfg.Certificate != nil) {
					t.Errorf("the assertion arrived byte for byte: %t, holder-of-key %t", login.Assertion == used.Assertion, login.HolderOfKey)
				}
				if err := tr.Close(); err != nil || l.server.Sessions() != 0 {
					t.Errorf("after Close: %v, %d sessions", err, l.server.Sessions())
				}
			})
		}
	}
}

type sourceFunc func(context.Context) (*vmsso.Token, error)

func (f sourceFunc) Token(ctx context.Context) (*vmsso.Token, error) { return f(ctx) }

func TestThousandGoroutinesLogInOnceAtTheServer(t *testing.T) {
	pair := rsaPair()
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Certificate: &pair}))
	for round := 1; round <= 3; round++ {
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if status, text, err := vms(t.Context(), c, false); err != nil || status != 200 {
					t.Errorf("status %d, %v, %.200s", status, err, text)
				}
			})
		}
		wg.Wait()
		if l.server.Logins() != round || l.server.Sessions() != 1 {
			t.Errorf("round %d: %d logins, %d sessions; refusals %q", round, l.server.Logins(), l.server.Sessions(), l.server.Reasons())
		}
		l.server.Kill()
	}
	if n := l.server.MaxConcurrentLogins(); n != 1 {
		t.Errorf("%d logins at the same time", n)
	}
}

func TestRequestOfADeadSessionIsSentAgainWithItsBody(t *testing.T) {
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}))
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "https://vc.example.test/api/echo", io.MultiReader(strings.NewReader(`{"a":1}`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(text) != `{"a":1}` {
			t.Errorf("got %d %q", resp.StatusCode, text)
		}
		l.server.Kill()
	}
	if n := l.server.Logins(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestOwnLoginIsRefused(t *testing.T) {
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}))
	if _, err := c.Post("https://vc.example.test/api/session", "", nil); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("got %v, want ErrOwnLogin", err)
	}
}

func TestTokenThatIsRefusedOrUnusable(t *testing.T) {
	stranger := vmssotest.NewAuthority()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := vmssotest.NewKeyPair("ec", key)
	for _, tc := range []struct {
		name    string
		tok     *vmsso.Token
		want    error
		refused int
	}{
		{"another issuer", &vmsso.Token{Assertion: stranger.Issue(vmssotest.Claims{Subject: user})}, vmsso.ErrRejected, 1},
		{"an ECDSA key", &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Holder: ec.Leaf}), Key: crypto.Signer(key)}, vmsso.ErrUnsupportedKey, 0},
		{"no SAML", &vmsso.Token{Assertion: "s3cr3t"}, vmsso.ErrUnsupportedToken, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, false)
			c, _ := l.client(t, tokensource.Static(tc.tok))
			for range 5 {
				_, _, err := vms(t.Context(), c, false)
				if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("got %v, want %v", err, tc.want)
				}
			}
			if n := l.server.Refused(); n != tc.refused || l.server.Calls("POST /api/session") != tc.refused {
				t.Errorf("%d refusals, %d requests, want %d", n, l.server.Calls("POST /api/session"), tc.refused)
			}
		})
	}
}
