package toyprotocol_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/examples/toyprotocol"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var authority = sync.OnceValue(vmssotest.NewAuthority) // its key takes long to make

// A lab is a toy system, another host, and a client that is logged in to the first.
type lab struct {
	sys       *system
	client    *http.Client
	transport *vmsso.Transport

	strangers []http.Header // of the requests to the other host; one at a time
}

// story runs a test in a bubble of its own. The system trusts a token of its own;
// source makes of it what the client has, nil: the same.
func story(t *testing.T, source func(*vmsso.Token) vmsso.TokenSource, f func(*testing.T, *lab)) {
	t.Helper()
	key := authority()
	synctest.Test(t, func(t *testing.T) {
		tok := &vmsso.Token{Assertion: key.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}
		if source == nil {
			source = tokensource.Static
		}
		l := &lab{sys: newSystem(tok.Assertion)}
		net := vmssotest.NewNetwork()
		defer net.Close()
		net.Serve("toy.example.test", l.sys)
		net.Serve("other.example.test", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			l.strangers = append(l.strangers, r.Header.Clone())
		}))
		base := net.Transport()
		defer base.CloseIdleConnections()
		var err error
		l.client, l.transport, err = vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
			Endpoint: "https://toy.example.test", Source: source(tok), Auth: &toyprotocol.Authenticator{}, KeepAlive: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, l)
		if err := l.transport.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, _, left := l.sys.counts(); left != 0 {
			t.Errorf("%d sessions are left after Close", left)
		}
		if len(l.sys.strange) != 0 {
			t.Errorf("the system saw what no client may send: %v", l.sys.strange)
		}
	})
}

// echo sends n requests at once, each of which must come back.
func (l *lab) echo(t *testing.T, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			resp, err := l.client.Post("https://toy.example.test/echo", "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || string(text) != "body" || err != nil {
				t.Errorf("got %s, %q, %v", resp.Status, text, err)
			}
		})
	}
	all.Wait()
}

func (l *lab) wantLogins(t *testing.T, accepted, refused int) {
	t.Helper()
	if a, r, _ := l.sys.counts(); a != accepted || r != refused {
		t.Errorf("%d logins and %d refused, want %d and %d", a, r, accepted, refused)
	}
}

func TestFiftyRequestsAtOnceShareOneLogin(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		l.echo(t, 50)
		l.echo(t, 50)
		l.wantLogins(t, 1, 0)
	})
}

func TestDeadSessionIsReplacedAndTheRequestsAreSentAgain(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		l.echo(t, 1)
		l.sys.kill()
		l.echo(t, 50)
		l.wantLogins(t, 2, 0)
	})
}

// A 401 of another meaning is the caller's, as the server wrote it.
func TestLackOfARightIsNoEndOfTheSession(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		resp, err := l.client.Get("https://toy.example.test/forbidden")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || string(text) != `{"error":"not yours"}` || err != nil {
			t.Errorf("got %s, %q, %v", resp.Status, text, err)
		}
		l.wantLogins(t, 1, 0)
	})
}

// another returns a token that the system does not trust.
func another() *vmsso.Token {
	return &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: "mallory@vsphere.local"})}
}

func TestRefusedTokenIsNotSentAgain(t *testing.T) {
	story(t, func(*vmsso.Token) vmsso.TokenSource { return tokensource.Static(another()) }, func(t *testing.T, l *lab) {
		for range 3 {
			resp, err := l.client.Get("https://toy.example.test/echo")
			var le *vmsso.LoginError
			if !errors.Is(err, vmsso.ErrRejected) || !errors.As(err, &le) || le.Stage != "POST /login" || le.Status != 401 || le.Fault != "bad assertion" {
				t.Errorf("got %v, %v, want ErrRejected of POST /login", resp, err)
			}
		}
		l.wantLogins(t, 0, 1)
		time.Sleep(3*time.Minute + time.Second)
		_, _ = l.client.Get("https://toy.example.test/echo")
		l.wantLogins(t, 0, 2)
	})
}

// The login itself tries the second token: the caller notices nothing.
func TestSecondTokenIsTriedWhenTheFirstIsRefused(t *testing.T) {
	story(t, func(tok *vmsso.Token) vmsso.TokenSource { return &toyprotocol.Pair{First: another(), Second: tok} }, func(t *testing.T, l *lab) {
		l.echo(t, 50)
		l.wantLogins(t, 1, 1)
		l.sys.kill()
		l.echo(t, 50)
		l.wantLogins(t, 2, 1)
	})
}

func TestSessionIsKeptAlive(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		for range 3 {
			l.echo(t, 1)
			time.Sleep(2 * time.Minute)
		}
		l.wantLogins(t, 1, 0)
	})
}

func TestCloseLogsOut(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		l.echo(t, 1)
		if _, _, open := l.sys.counts(); open != 1 {
			t.Errorf("%d sessions, want 1", open)
		}
	}) // which looks after Close
}

func TestSessionThatIsGoneIsNoErrorOfClose(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		l.echo(t, 1)
		l.sys.kill()
	})
}

func TestSessionNotSentToOtherHost(t *testing.T) {
	story(t, nil, func(t *testing.T, l *lab) {
		l.echo(t, 1)
		for _, url := range []string{"https://other.example.test/", "https://toy.example.test/elsewhere"} { // by itself, and by a redirect
			resp, err := l.client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if len(l.strangers) != 2 {
			t.Fatalf("the other host got %d requests, want 2", len(l.strangers))
		}
		for _, h := range l.strangers {
			if h["Toy-Ticket"] != nil || h["Toy-Assertion"] != nil {
				t.Errorf("the other host got %v", h)
			}
		}
	})
}
