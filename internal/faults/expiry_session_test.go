package faults_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func keepAlive(d time.Duration) func(*vmsso.Config) {
	return func(c *vmsso.Config) { c.KeepAlive = d }
}

// idle gives the sessions of the SOAP endpoint this long.
func idle(d time.Duration) func(*labConfig) {
	return func(c *labConfig) { c.vsphere.Idle = d }
}

// Fault 63: the server ends sessions after 24 hours, however busy they are.
func TestSessionThatIsBusyForDaysIsReplaced(t *testing.T) {
	for _, tc := range []struct {
		name           string
		maxAge         time.Duration
		logins, denied int
	}{
		{"when the server has ended it", 0, 3, 2},
		{"before the server ends it", 22 * time.Hour, 4, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				var began time.Time
				l := newLab(t, idle(100*time.Hour), func(c *labConfig) {
					c.vsphere.OnLogin = func(vmssotest.Login) {
						mu.Lock()
						defer mu.Unlock()
						began = time.Now()
					}
				})
				l.vsphere.Inject("CurrentTime", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					mu.Lock()
					if time.Since(began) >= 24*time.Hour {
						l.vsphere.Kill()
					}
					mu.Unlock()
					next.ServeHTTP(w, r)
				})
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), func(c *vmsso.Config) { c.MaxAge = tc.maxAge })
				const calls = 3 * 24
				for range calls {
					must(t, currentTime, c)
					time.Sleep(time.Hour)
				}
				expect(t, l.vsphere, tc.logins, 1)
				if n := l.vsphere.Calls("CurrentTime") - calls; n != tc.denied {
					t.Errorf("%d calls were denied and sent again, want %d", n, tc.denied)
				}
			})
		})
	}
	t.Run("while its cookie changes", func(t *testing.T) { bubble(t, sessionChangesItsCookie) })
}

// sessionChangesItsCookie: the session that is replaced is known by another cookie when its replacement comes.
func sessionChangesItsCookie(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	var first string // the cookie in whose place "second" came
	l.net.Serve(vcHost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		for _, c := range r.CookiesNamed("vmware_soap_session") {
			switch {
			case first == "" && r.URL.Path == "/folder/x":
				first = c.Value
				w.Header().Set("Set-Cookie", "vmware_soap_session=second; Path=/; Secure; HttpOnly")
			case c.Value == "second":
				r.Header.Set("Cookie", "vmware_soap_session="+first)
			case c.Value == first:
				r.Header.Set("Cookie", "vmware_soap_session=void")
			}
		}
		mu.Unlock()
		l.vcenter.ServeHTTP(w, r)
	}))
	c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}), func(c *vmsso.Config) { c.MaxAge = 20 * time.Minute })
	must(t, currentTime, c)
	time.Sleep(20 * time.Minute)
	l.vsphere.Inject("LoginByToken", 1, late(time.Second))
	must(t, folder, c)
	must(t, currentTime, c)
	time.Sleep(time.Minute)
	must(t, currentTime, c)
	expect(t, l.vsphere, 2, 1)
	tr.Close()
	expect(t, l.vsphere, 2, 0)
}

// Fault 64: nobody knows after which time a server ends an idle session.
func TestIdleSessionIsLeftToTheServerUnlessKeptAlive(t *testing.T) {
	for _, tc := range []struct {
		name   string
		idle   time.Duration
		pause  time.Duration
		logins int
	}{
		{"shorter than the server's 120 minutes", 2 * time.Hour, 110 * time.Minute, 1},
		{"longer than the server's 30 minutes", 30 * time.Minute, 31 * time.Minute, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t, idle(tc.idle))
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
				must(t, currentTime, c)
				time.Sleep(tc.pause)
				if n := l.vsphere.Calls("CurrentTime"); n != 1 {
					t.Errorf("%d calls were made that nobody asked for", n-1)
				}
				must(t, currentTime, c)
				expect(t, l.vsphere, tc.logins, 1)
			})
		})
	}
	t.Run("kept alive at one endpoint", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			source := l.source(t, tokensource.STSConfig{})
			kept, _ := l.soap(t, source, keepAlive(20*time.Minute))
			left, _ := l.rest(t, source)
			must(t, currentTime, kept)
			must(t, vms, left)
			time.Sleep(2 * time.Hour)
			expect(t, l.vsphere, 1, 1)
			expect(t, l.automation, 1, 0)
			if n := l.automation.Calls("GET /api/session"); n != 0 {
				t.Errorf("%d calls to the other endpoint", n)
			}
		})
	})
}

// Fault 65: the network fails at the moment of a keep-alive.
func TestKeepAliveGoesOnAfterANetworkFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t, idle(time.Hour))
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), keepAlive(10*time.Minute))
		must(t, currentTime, c)
		l.net.Stop(vcHost)
		time.Sleep(15 * time.Minute)
		l.net.Serve(vcHost, l.vcenter)
		l.vsphere.Inject("CurrentTime", 1, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		if n := l.vsphere.Calls("CurrentTime"); n != 1 {
			t.Errorf("%d calls reached a server without network", n-1)
		}
		time.Sleep(75 * time.Minute)
		if n := l.vsphere.Calls("CurrentTime"); n < 6 {
			t.Errorf("%d calls in 75 minutes, want one in 10", n-1)
		}
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 66: a program keeps a session alive that it does not use any more.
func TestKeepAliveGivesUpASessionThatNobodyUses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), keepAlive(10*time.Minute))
		must(t, currentTime, c)
		time.Sleep(110 * time.Minute)
		expect(t, l.vsphere, 1, 1)
		time.Sleep(22 * time.Hour)
		expect(t, l.vsphere, 1, 0)
		if n := l.vsphere.Calls("CurrentTime") - 1; n > 14 {
			t.Errorf("%d calls in a day, want about 12", n)
		}
		must(t, currentTime, c)
		time.Sleep(110 * time.Minute) // and it begins anew
		expect(t, l.vsphere, 2, 1)
	})
}
