package faults_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// A wire is the way of a lab's base transport into its network. It counts the dials, and can be bent.
type wire struct {
	dials atomic.Int64
	bend  atomic.Pointer[dialFunc] // dials in the network's place; nil: the wire is straight
}

// newWire is to be called before the first request.
func newWire(l *lab) *wire {
	w := &wire{}
	l.base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		w.dials.Add(1)
		if f := w.bend.Load(); f != nil {
			return (*f)(ctx, network, addr)
		}
		return l.net.DialContext(ctx, network, addr)
	}
	return w
}

func (w *wire) bendTo(f dialFunc) { w.bend.Store(&f) }
func (w *wire) straighten()       { w.bend.Store(nil) }

// leaves calls until ctx ends and tells after which time and with what the call came back.
func leaves(ctx context.Context, call func(context.Context, *http.Client) (int, string, error), c *http.Client) (time.Duration, error) {
	start := time.Now()
	_, _, err := call(ctx, c)
	return time.Since(start), err
}

// Fault 1: DNS does not know the server. Nothing has happened, so the call is tried again after a random wait; no credentials count as refused, and
// the first call after DNS is back logs in at once.
func TestLoginSurvivesAFailureOfDNS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		w := newWire(l)
		w.bendTo(func(_ context.Context, network, addr string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: vcHost, IsNotFound: true}}
		})
		first := map[time.Duration]bool{} // the waits before the first repetition
		var c *http.Client
		for n := range 10 {
			var waits []time.Duration
			c, _ = l.soap(t, l.source(t, tokensource.STSConfig{}), func(cfg *vmsso.Config) {
				cfg.Trace = &vmsso.Trace{Retry: func(_, _ string, _ int, wait time.Duration) { waits = append(waits, wait) }}
			})
			took, err := leaves(t.Context(), currentTime, c)
			var dns *net.DNSError
			if !errors.As(err, &dns) || loginError(err) == nil || errors.Is(err, vmsso.ErrRejected) {
				t.Fatalf("got %v, want a LoginError that wraps the DNSError", err)
			}
			if len(waits) != 2 {
				t.Fatalf("the call was tried again after %v, want two waits", waits)
			}
			if took != waits[0]+waits[1] || waits[0] < 500*time.Millisecond || waits[0] > time.Second || waits[1] < time.Second || waits[1] > 2*time.Second {
				t.Errorf("waits of %v in %v, want one of 0.5 to 1 s and one of 1 to 2 s", waits, took)
			}
			if got := w.dials.Load(); got != int64(3*(n+1)) {
				t.Errorf("%d dials after %d calls, want 3 for each", got, n+1)
			}
			first[waits[0]] = true
		}
		if len(first) < 3 {
			t.Errorf("the first waits of 10 clients are %v: clients of a site would come back together", first)
		}
		w.straighten()
		start := time.Now()
		must(t, currentTime, c)
		if took := time.Since(start); took != 0 {
			t.Errorf("the call after DNS was back waited for %v", took)
		}
		expect(t, l.vsphere, 1, 1)
		if l.sts.Requests() != 1 || l.sts.Failures() != 0 {
			t.Errorf("the token service counted %d requests and %d failures, want 1 and 0", l.sts.Requests(), l.sts.Failures())
		}
	})
}

// Fault 2: vCenter reboots, at first before the program has ever reached it and later in the middle of a session. The same client works again as soon
// as the server does, and a call at the end of the boot waits for it.
func TestLoginSurvivesARebootOfTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
		c2, _ := l.rest(t, tokensource.Static(bearer()))
		for boots := 1; boots <= 3; boots++ {
			l.net.Stop(vcHost)
			l.vsphere.Kill() // a reboot ends the sessions
			l.automation.Kill()
			for range 20 {
				_, _, err := currentTime(t.Context(), c)
				_, _, err2 := vms(t.Context(), c2)
				if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err2, syscall.ECONNREFUSED) {
					t.Fatalf("boot %d: got %v and %v, want that the connection was refused", boots, err, err2)
				}
			}
			go func() {
				time.Sleep(1400 * time.Millisecond) // a call waits for 1.5 to 3 s in all
				l.net.Serve(vcHost, l.vcenter)
			}()
			must(t, currentTime, c)
			must(t, vms, c2)
			expect(t, l.vsphere, boots, 1)
			expect(t, l.automation, boots, 1)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		expect(t, l.vsphere, 3, 0)
		if l.sts.Requests() != 3 || l.sts.Failures() != 0 {
			t.Errorf("the token service counted %d requests and %d failures, want 3 and 0", l.sts.Requests(), l.sts.Failures())
		}
	})
}

// Fault 3: the SYN is answered by nobody. The login ends by LoginTimeout although no caller has a deadline, and it outlives the caller that began it
// and leaves early.
func TestConnectTimeoutEndsByTheLoginTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		w := newWire(l)
		w.bendTo(func(ctx context.Context, network, addr string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), func(cfg *vmsso.Config) { cfg.LoginTimeout = 20 * time.Second })
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if took, err := leaves(short, currentTime, c); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) || loginError(err) != nil {
				t.Errorf("the caller with a deadline left after %v with %v, want 5 s and its own context's error", took, err)
			}
		})
		time.Sleep(time.Second)
		for range 10 {
			all.Go(func() {
				took, err := leaves(t.Context(), currentTime, c)
				if le := loginError(err); took != 19*time.Second || le == nil || !le.Timeout() {
					t.Errorf("a caller without one left after %v with %v, want 19 s and LoginTimeout", took, err)
				}
			})
		}
		all.Wait()
		if n := w.dials.Load(); n != 1 {
			t.Errorf("%d dials, want 1 for all", n)
		}
		w.straighten()
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
	})
}

// silent is a connection to a server that takes everything and says nothing.
func silent(open *atomic.Int64) net.Conn {
	client, server := net.Pipe()
	open.Add(1)
	go func() {
		_, _ = io.Copy(io.Discard, server) // until the client hangs up
		server.Close()
		open.Add(-1)
	}()
	return client
}

// Fault 4: the server accepts the connection but never answers the TLS handshake. The login ends by the base transport's TLSHandshakeTimeout or else
// by LoginTimeout; each caller leaves by its own context before, and nothing is left of the connection.
func TestTLSHandshakeTimeoutEndsByTheLoginTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tc := range []struct{ handshake, want time.Duration }{{0, 30 * time.Second}, {10 * time.Second, 10 * time.Second}} {
			l := newLab(t)
			w := newWire(l)
			l.base.TLSHandshakeTimeout = tc.handshake
			var open atomic.Int64
			w.bendTo(func(context.Context, string, string) (net.Conn, error) { return silent(&open), nil })
			c, tr := l.rest(t, l.source(t, tokensource.STSConfig{}))
			var all sync.WaitGroup
			for own := time.Second; own < 4*time.Second; own += time.Second {
				all.Go(func() {
					cause := errors.New("gone home")
					ctx, cancel := context.WithTimeoutCause(t.Context(), own, cause)
					defer cancel()
					if took, err := leaves(ctx, vms, c); took != own || !errors.Is(err, cause) {
						t.Errorf("a caller left after %v with %v, want %v and the cause of its context", took, err, own)
					}
				})
			}
			took, err := leaves(t.Context(), vms, c)
			if le := loginError(err); took != tc.want || le == nil || !le.Timeout() || errors.Is(err, vmsso.ErrTLSIdentity) {
				t.Errorf("TLSHandshakeTimeout %v: the login ended after %v with %v, want %v", tc.handshake, took, err, tc.want)
			}
			all.Wait()
			synctest.Wait()           // the base transport gives the login up at its own pace
			tr.CloseIdleConnections() // without a TLSHandshakeTimeout a handshake that nobody waits for is net/http's to end
			time.Sleep(time.Second)   // in the background
			if open.Load() != 0 || w.dials.Load() != 1 || l.sts.Requests() != 0 {
				t.Errorf("TLSHandshakeTimeout %v: %d connections are open of %d that were made, %d requests came", tc.handshake, open.Load(), w.dials.Load(), l.sts.Requests())
			}
		}
	})
}
