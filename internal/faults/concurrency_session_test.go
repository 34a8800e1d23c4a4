package faults_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 73: of two endpoints that share whatever can be shared, one does not answer.
func TestSlowEndpointDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		second := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}})
		l.net.Serve("vc2.example.test", second)
		source, auth := l.source(t, tokensource.STSConfig{}), &soap.Authenticator{}
		slow, _ := l.soap(t, source, func(c *vmsso.Config) { c.Auth = auth })
		other, _ := l.soap(t, source, func(c *vmsso.Config) { c.Auth, c.Endpoint = auth, "https://vc2.example.test/sdk" })
		cell, _ := l.vcd(t, source)

		g := newGate()
		l.vsphere.Inject("LoginByToken", 1, g.hold)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { succeeds(t, currentTime, slow) })
		}
		synctest.Wait()
		if g.held.Load() != 1 {
			t.Fatal("no login is under way")
		}
		start := time.Now()
		succeeds(t, func(ctx context.Context, c *http.Client) (int, string, error) {
			return do(ctx, c, http.MethodGet, "https://vc2.example.test/folder/x", nil, nil)
		}, other)
		succeeds(t, orgs, cell)
		if took := time.Since(start); took != 0 {
			t.Errorf("the others took %v", took)
		}
		expect(t, l.vsphere, 0, 0)
		expect(t, second, 1, 1)
		expect(t, l.director, 1, 1)
		close(g.open)
		wg.Wait()
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 74: Logout comes while a login is under way, or the server ends a session while the one that replaces it is made.
func TestLoginThatIsOverrunIsDiscarded(t *testing.T) {
	t.Run("logged out, nobody waits", func(t *testing.T) { bubble(t, logoutDuringReplacement) })
	t.Run("logged out, requests wait", func(t *testing.T) { bubble(t, logoutDuringLogin) })
	t.Run("ended by the server", func(t *testing.T) {
		bubble(t, func(t *testing.T) { replaceUnderLoad(t, true) })
	})
	t.Run("not ended", func(t *testing.T) {
		bubble(t, func(t *testing.T) { replaceUnderLoad(t, false) })
	})
}

// replacing returns a client whose session is being replaced: the gate holds the login.
func replacing(t *testing.T, l *lab) (*http.Client, *vmsso.Transport, *gate) {
	t.Helper()
	c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}), func(c *vmsso.Config) { c.MaxAge = 20 * time.Minute })
	must(t, currentTime, c)
	time.Sleep(20 * time.Minute)
	g := newGate()
	l.vsphere.Inject("LoginByToken", 1, g.hold)
	must(t, currentTime, c) // in the old session
	synctest.Wait()
	if g.held.Load() != 1 {
		t.Fatal("no login is under way")
	}
	return c, tr, g
}

func logoutDuringReplacement(t *testing.T) {
	l := newLab(t)
	c, tr, g := replacing(t, l)
	if err := tr.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	close(g.open)
	synctest.Wait()
	expect(t, l.vsphere, 2, 0)
	must(t, currentTime, c)
	expect(t, l.vsphere, 3, 1)
}

func logoutDuringLogin(t *testing.T) {
	l := newLab(t)
	c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
	g := newGate()
	l.vsphere.Inject("LoginByToken", 1, g.hold)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { succeeds(t, currentTime, c) })
	}
	synctest.Wait()
	if err := tr.Logout(t.Context()); err != nil {
		t.Error(err)
	}
	close(g.open)
	wg.Wait()
	expect(t, l.vsphere, 2, 1) // one more login, for all who wait
	if n := l.vsphere.Calls("Logout"); n != 1 {
		t.Errorf("%d logouts, want that of the session that was overrun", n)
	}
}

func replaceUnderLoad(t *testing.T, ended bool) {
	l := newLab(t)
	c, _, g := replacing(t, l)
	const n = 20
	calls := newGate()
	l.vsphere.Inject("CurrentTime", n, calls.hold)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { succeeds(t, currentTime, c) })
	}
	synctest.Wait()
	denied := 0
	if ended {
		l.vsphere.Kill()
		denied = n
	}
	close(calls.open)
	synctest.Wait()
	close(g.open)
	wg.Wait()
	synctest.Wait()
	must(t, currentTime, c)
	expect(t, l.vsphere, 2, 1)
	if sent := l.vsphere.Calls("CurrentTime"); sent != 3+n+denied {
		t.Errorf("%d calls, want %d", sent, 3+n+denied)
	}
	if logouts := l.vsphere.Calls("Logout"); !ended && logouts != 1 {
		t.Errorf("%d logouts, want that of the old session", logouts)
	}
}

// Fault 75: Close comes while requests are under way, or while the login is.
func TestCloseLogsOutOnceAndLeavesNobodyWaiting(t *testing.T) {
	t.Run("requests", func(t *testing.T) { bubble(t, closeDuringRequests) })
	for _, tc := range []struct {
		name   string
		takes  time.Duration // the login, after Close
		done   bool          // by the server already
		logins int           // that end in a session
		fails  bool          // Close
	}{
		{"login that the server has done", time.Second, true, 1, false},
		{"login that the server has not begun", time.Second, false, 1, false},
		{"login without an answer", time.Minute, false, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
				l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if tc.done {
						next.ServeHTTP(w, r)
					}
					select {
					case <-r.Context().Done():
					case <-time.After(tc.takes):
						if !tc.done {
							next.ServeHTTP(w, r)
						}
					}
				})
				closeDuringLogin(t, l, c, tr, tc.fails)
				expect(t, l.vsphere, tc.logins, 0)
				if n := l.vsphere.Calls("Logout"); n != tc.logins {
					t.Errorf("%d logouts, want %d", n, tc.logins)
				}
			})
		})
	}
}

// closeDuringLogin closes while requests wait for the login. They leave before Close does.
func closeDuringLogin(t *testing.T, l *lab, c *http.Client, tr *vmsso.Transport, fails bool) {
	t.Helper()
	start := time.Now()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrClosed) || time.Since(start) != 0 {
				t.Errorf("got %v after %v, want ErrClosed at once", err, time.Since(start))
			}
		})
	}
	synctest.Wait()
	if n := l.vsphere.Calls("LoginByToken"); n != 1 {
		t.Fatalf("%d logins are under way", n)
	}
	if err := tr.Close(); (err != nil) != fails || time.Since(start) > 5*time.Second {
		t.Errorf("Close: %v after %v, want an error: %t", err, time.Since(start), fails)
	}
	wg.Wait()
	synctest.Wait()
}

func closeDuringRequests(t *testing.T) {
	l := newLab(t)
	c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, c)
	g := newGate()
	l.vsphere.Inject("CurrentTime", 10, g.hold)
	l.vsphere.Inject("CurrentTime", 10, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		<-g.open // the answer has not left yet
	})
	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range 20 {
		wg.Go(func() {
			_, _, err := currentTime(t.Context(), c)
			results <- err
		})
	}
	synctest.Wait()
	atOnce(5, func(int) {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrClosed) {
		t.Errorf("a new request: %v, want ErrClosed", err)
	}
	close(g.open)
	wg.Wait()
	served := 0
	for range 20 {
		if err := <-results; err == nil {
			served++
		} else if !errors.Is(err, vmsso.ErrClosed) {
			t.Error(err)
		}
	}
	if n := l.vsphere.Calls("Logout"); served != 10 || n != 1 {
		t.Errorf("%d requests finished, %d logouts, want the 10 that had been served, and 1", served, n)
	}
	expect(t, l.vsphere, 1, 0)
}

// Fault 76: the password is changed while a login with the old one is under way.
func TestPasswordThatChangesDuringALoginIsUsedForTheNext(t *testing.T) {
	for _, tc := range []struct {
		name, before string
		failures     int
	}{
		{"the old one is refused", "wrong", 1},
		{"the old one still works", password, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const next, nextPassword = "bob@vsphere.local", "n3w"
				var subjects []string
				l := newLab(t, func(c *labConfig) {
					c.sts.Users[next] = nextPassword
					c.vsphere.OnLogin = func(l vmssotest.Login) { subjects = append(subjects, l.Subject) }
				})
				now := make(chan signer.Credentials, 1)
				now <- signer.Credentials{Username: user, Password: tc.before}
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
					creds := <-now
					now <- creds
					return creds, nil
				}}))
				g := newGate()
				l.sts.Inject("Issue", 1, g.hold)
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, _, err := currentTime(t.Context(), c); errors.Is(err, vmsso.ErrRejected) != (tc.failures > 0) || tc.failures == 0 && err != nil {
						t.Errorf("the login under way: %v", err)
					}
				})
				synctest.Wait()
				<-now
				now <- signer.Credentials{Username: next, Password: nextPassword}
				close(g.open)
				wg.Wait()
				l.vsphere.Kill()
				must(t, currentTime, c) // at once: other credentials were refused
				if l.sts.Failures() != tc.failures || l.sts.Requests() != 2 || subjects[len(subjects)-1] != next {
					t.Errorf("%d failures in %d requests for a token, logged in %q, want %d in 2, and %s at last",
						l.sts.Failures(), l.sts.Requests(), subjects, tc.failures, next)
				}
				expect(t, l.vsphere, 2-tc.failures, 1)
			})
		})
	}
}

// Fault 77: an answer from the old session, which says that it is gone, comes when there is a new one.
func TestLateRefusalOfAnOldSessionEndsNotTheNewOne(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		l := newLab(t)
		c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
		must(t, sys.call, c)
		g := newGate()
		sys.server(l).Inject(sys.op, 20, g.hold)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { succeeds(t, sys.call, c) })
		}
		synctest.Wait()
		sys.server(l).Kill()
		must(t, sys.call, c)
		expect(t, sys.server(l), 2, 1)
		close(g.open)
		wg.Wait()
		must(t, sys.call, c)
		expect(t, sys.server(l), 2, 1)
		if n := sys.server(l).Calls(sys.op); n != 1+2+40+1 {
			t.Errorf("%d calls, want 44: the 20 late ones were sent twice, and the one that logged in", n)
		}
	})
}
