package automation_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
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

func (l *lab) client(t *testing.T, source vmsso.TokenSource, protocol automation.Protocol) (*http.Client, *vmsso.Transport) {
	t.Helper()
	c, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: "https://vc.example.test", Source: source, Auth: &automation.Authenticator{Protocol: protocol}, Base: l.base})
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

// A way is how the virtual machines are listed.
type way struct {
	name     string
	protocol automation.Protocol
	legacy   bool // a server before 7.0 U2
	rest     bool // list over REST in a session of JSON-RPC
}

var ways = []way{
	{"REST", automation.REST, false, false},
	{"REST before 7.0 U2", automation.REST, true, false},
	{"JSON-RPC", automation.JSONRPC, false, false},
	{"JSON-RPC before 7.0 U2", automation.JSONRPC, true, false},
	{"REST in a session of JSON-RPC", automation.JSONRPC, false, true},
}

// login is how the server counts a login.
func (w way) login() string {
	switch {
	case w.protocol == automation.JSONRPC:
		return "com.vmware.cis.session create"
	case w.legacy:
		return "POST /rest/com/vmware/cis/session"
	}
	return "POST /api/session"
}

// vms lists the virtual machines.
func (w way) vms(ctx context.Context, c *http.Client) (int, string, error) {
	method, path, body := http.MethodGet, "/api/vcenter/vm", ""
	switch {
	case w.protocol == automation.JSONRPC && !w.rest:
		method, path, body = http.MethodPost, "/api", listVMs
	case w.legacy:
		path = "/rest/vcenter/vm"
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://vc.example.test"+path, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// listVMs is a call as programs with VMware's SDK make it.
const listVMs = `{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list","input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}},"id":"7"}`

// has tells whether an answer lists machines.
func has(status int, text string, err error) bool {
	return err == nil && status == 200 && strings.Contains(text, "vm-") && !strings.Contains(text, "unauthenticated")
}

func TestLoginByEveryKindOfToken(t *testing.T) {
	pair := rsaPair()
	for _, w := range ways {
		for name, cfg := range map[string]tokensource.STSConfig{
			"password":    {Username: user, Password: password},
			"certificate": {Certificate: &pair},
			"both":        {Username: user, Password: password, Certificate: &pair},
		} {
			t.Run(w.name+", "+name, func(t *testing.T) {
				l := newLab(t, w.legacy)
				var used *vmsso.Token
				source := l.sts(t, cfg)
				c, tr := l.client(t, sourceFunc(func(ctx context.Context) (tok *vmsso.Token, err error) {
					used, err = source.Token(ctx)
					return used, err
				}), w.protocol)
				for range 3 {
					if status, text, err := w.vms(t.Context(), c); !has(status, text, err) {
						t.Fatalf("status %d, %v, %.200s; the server says %q", status, err, text, l.server.Reasons())
					}
				}
				if l.server.Logins() != 1 || l.server.Sessions() != 1 || l.server.Calls(w.login()) != 1 {
					t.Errorf("%d logins, %d sessions, %d by %s, want 1, 1 and 1", l.server.Logins(), l.server.Sessions(), l.server.Calls(w.login()), w.login())
				}
				if login := l.logins[0]; login.Assertion != used.Assertion || login.HolderOfKey != (cfg.Certificate != nil) {
					t.Errorf("the assertion arrived byte for byte: %t, holder-of-key %t", login.Assertion == used.Assertion, login.HolderOfKey)
				}
				if w.protocol == automation.REST && l.logins[0].Header.Get("vmware-use-header-authn") == "" {
					t.Error("the login allows a session cookie, which some servers prefer to the header")
				}
				l.server.Kill()
				if status, text, err := w.vms(t.Context(), c); !has(status, text, err) || l.server.Logins() != 2 {
					t.Errorf("after the session was killed: status %d, %v, %.200s, %d logins", status, err, text, l.server.Logins())
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
	for _, w := range []way{ways[0], ways[2]} {
		t.Run(w.name, func(t *testing.T) {
			l := newLab(t, w.legacy)
			c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Certificate: &pair}), w.protocol)
			for round := 1; round <= 3; round++ {
				var wg sync.WaitGroup
				for range 1000 {
					wg.Go(func() {
						if status, text, err := w.vms(t.Context(), c); !has(status, text, err) {
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
		})
	}
}

func TestRequestOfADeadSessionIsSentAgainWithItsBody(t *testing.T) {
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}), automation.REST)
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

// VMware's Python and Go runtimes call a request invalid whose signature they
// cannot verify. It is the token's refusal, and not offered again.
func TestRequestThatIsInvalidForItsSignatureIsARefusal(t *testing.T) {
	pair := rsaPair()
	l := newLab(t, false)
	l.server.Inject("com.vmware.cis.session create", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":"1","error":{"code":-32600,"message":"Invalid Request.","data":null}}`)
	})
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Certificate: &pair}), automation.JSONRPC)
	for range 3 {
		if _, _, err := ways[2].vms(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "JSON-RPC error -32600: Invalid Request.") {
			t.Errorf("got %v, want ErrRejected", err)
		}
	}
	if n := l.server.Calls("com.vmware.cis.session create"); n > 2 { // one more with a fresh token
		t.Errorf("%d logins were tried", n)
	}
}

func TestOwnLoginIsRefused(t *testing.T) {
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}), automation.REST)
	if _, err := c.Post("https://vc.example.test/api/session", "", nil); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("got %v, want ErrOwnLogin", err)
	}
	create := strings.NewReplacer("com.vmware.vcenter.VM", "com.vmware.cis.session", "list", "create").Replace(listVMs)
	if _, err := c.Post("https://vc.example.test/api", "application/json", strings.NewReader(create)); !errors.Is(err, vmsso.ErrOwnLogin) {
		t.Errorf("over JSON-RPC: got %v, want ErrOwnLogin", err)
	}
}

func TestOwnLogoutEndsTheSession(t *testing.T) {
	for _, w := range []way{ways[0], ways[2]} {
		l := newLab(t, false)
		c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}), w.protocol)
		if status, text, err := w.vms(t.Context(), c); !has(status, text, err) {
			t.Fatal(status, text, err)
		}
		body := strings.NewReplacer("com.vmware.vcenter.VM", "com.vmware.cis.session", "list", "delete").Replace(listVMs)
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://vc.example.test/api", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		if w.protocol == automation.REST {
			req, _ = http.NewRequestWithContext(t.Context(), "DELETE", "https://vc.example.test/api/session", nil)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := l.server.Sessions(); n != 0 {
			t.Errorf("%s: %d sessions after the logout", w.name, n)
		}
		status, text, err := w.vms(t.Context(), c)
		if !has(status, text, err) || l.server.Logins() != 2 {
			t.Errorf("%s: afterwards %d, %v, %d logins, want another login", w.name, status, err, l.server.Logins())
		}
	}
}

// Servers tell an error in a header as well, older ones in the body alone.
func TestSessionThatIsGoneIsFoundInTheBody(t *testing.T) {
	server := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority().Certificate()}, PlainErrors: true})
	net := vmssotest.NewNetwork()
	net.Serve("vc.example.test", server)
	base := net.Transport()
	defer net.Close()
	defer base.CloseIdleConnections()
	l := &lab{server: server, base: base}
	tok := &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user})}
	c, tr := l.client(t, tokensource.Static(tok), automation.JSONRPC)
	defer tr.Close()
	for n := 1; n <= 3; n++ {
		if status, text, err := ways[2].vms(t.Context(), c); !has(status, text, err) || server.Logins() != n {
			t.Errorf("status %d, %v, %.200s, %d logins, want %d", status, err, text, server.Logins(), n)
		}
		server.Kill()
	}
}

// A result of a gigabyte passes through: what is kept of it are 4 KiB.
func TestLargeResultIsNotBuffered(t *testing.T) {
	l := newLab(t, false)
	c, _ := l.client(t, l.sts(t, tokensource.STSConfig{Username: user, Password: password}), automation.JSONRPC)
	const size = 256 << 20
	body := strings.NewReplacer("com.vmware.vcenter.VM", "com.vmware.vmssotest", `"list"`, `"fill"`, `"operation-input":{}`, fmt.Sprintf(`"operation-input":{"bytes":%d}`, size)).Replace(listVMs)
	resp, err := c.Post("https://vc.example.test/api", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, resp.Body)
	runtime.ReadMemStats(&after)
	if err != nil || n < size {
		t.Errorf("%d bytes, %v, want more than %d", n, err, size)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size/2 {
		t.Errorf("the heap grew by %d bytes while %d passed", grown, n)
	}
}

func TestTokenThatIsRefusedOrUnusable(t *testing.T) {
	stranger := vmssotest.NewAuthority()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := vmssotest.NewKeyPair("ed", key)
	groups := make([]string, 2000)
	for i := range groups {
		groups[i] = fmt.Sprintf(`vsphere.local\%x`, sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	for _, tc := range []struct {
		name    string
		tok     *vmsso.Token
		want    error
		refused int // over JSON-RPC as well
		large   bool
	}{
		{"another issuer", &vmsso.Token{Assertion: stranger.Issue(vmssotest.Claims{Subject: user})}, vmsso.ErrRejected, 1, false},
		{"an Ed25519 key", &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Holder: ed.Leaf}), Key: crypto.Signer(key)}, vmsso.ErrUnsupportedKey, 0, false},
		{"no SAML", &vmsso.Token{Assertion: "s3cr3t"}, vmsso.ErrUnsupportedToken, 0, false},
		{"a token with 2000 groups", &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Groups: groups})}, vmsso.ErrHeaderTooLarge, 0, true},
	} {
		for _, w := range []way{ways[0], ways[2]} {
			t.Run(tc.name+" over "+w.name, func(t *testing.T) {
				l := newLab(t, false)
				c, _ := l.client(t, tokensource.Static(tc.tok), w.protocol)
				if tc.large && w.protocol == automation.JSONRPC {
					if status, text, err := w.vms(t.Context(), c); !has(status, text, err) {
						t.Errorf("status %d, %v, %.200s, want success: a body may be of any size", status, err, text)
					}
					return
				}
				for range 5 {
					_, _, err := w.vms(t.Context(), c)
					if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "s3cr3t") {
						t.Errorf("got %v, want %v", err, tc.want)
					}
				}
				if n := l.server.Refused(); n != tc.refused || l.server.Calls(w.login()) != tc.refused {
					t.Errorf("%d refusals, %d requests, want %d", n, l.server.Calls(w.login()), tc.refused)
				}
			})
		}
	}
}
