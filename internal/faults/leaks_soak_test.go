package faults_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// newAuth returns what logs in to a system of a lab.
func newAuth(sys system) vmsso.Authenticator {
	switch sys.name {
	case overSOAP.name:
		return &soap.Authenticator{}
	case overREST.name:
		return &automation.Authenticator{}
	}
	return &vcloud.Authenticator{Org: "Finance"}
}

// A soak is a day of one system with faults in one of a hundred calls, and in one of five logins and logouts.
type soak struct {
	sys    system
	server faultyServer
	client *http.Client

	calls, failed, faults atomic.Int64

	mu   sync.Mutex
	lost []time.Time // when a session was begun or not ended without the client's knowledge
}

// oneOf is in the way of a request: one of n meets a fault.
func (s *soak) oneOf(n int) vmssotest.Injector {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if rand.N(n) > 0 {
			next.ServeHTTP(w, r)
			return
		}
		s.faults.Add(1)
		s.fault(w, r, next)
	}
}

func (s *soak) fault(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch rand.N(6) {
	case 0:
		s.lose()
		panic(http.ErrAbortHandler)
	case 1: // the answer is lost
		s.lose()
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case 2: // it comes late, for a login perhaps too late
		s.lose()
		time.Sleep(20 * time.Second)
		next.ServeHTTP(w, r)
	case 3:
		s.lose()
		instead(503, "text/html", noUpstream)(w, r, next)
	case 4:
		s.lose()
		instead(429, "text/plain", "slow down", "Retry-After", "1")(w, r, next)
	case 5:
		s.server.Kill()
		next.ServeHTTP(w, r)
	}
}

// lose notes that this may have been a login or a logout.
func (s *soak) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, time.Now())
}

// bound is how many sessions there may be: that of the client, one that takes its place, and those that are lost until the server finds them idle.
func (s *soak) bound() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = slices.DeleteFunc(s.lost, func(at time.Time) bool { return time.Since(at) > 31*time.Minute })
	return 2 + len(s.lost)
}

// run makes calls until the time is over.
func (s *soak) run(t *testing.T, until time.Time) {
	for time.Now().Before(until) {
		time.Sleep(rand.N(12 * time.Minute))
		s.calls.Add(1)
		if status, _, err := s.sys.call(t.Context(), s.client); err != nil || status != 200 {
			s.failed.Add(1)
		}
		bound := s.bound()
		if n := s.server.Sessions(); n > bound {
			t.Errorf("%s: %d sessions, want %d at most", s.sys.name, n, bound)
			return
		}
	}
}

// countConnections makes a lab's transport count what it dials and has not closed.
func countConnections(l *lab) *atomic.Int64 {
	open := &atomic.Int64{}
	l.base.IdleConnTimeout = 0
	l.base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := l.net.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &countedConn{conn, sync.OnceFunc(func() { open.Add(-1) })}, nil
	}
	return open
}

type countedConn struct {
	net.Conn
	once func()
}

func (c *countedConn) Close() error {
	c.once()
	return c.Conn.Close()
}

// nothingLeaksInADay makes some thousand calls to the three systems, four at a time each. Old sessions that were not logged out would pile up: MaxAge is
// less than half of the time in which the server finds them idle.
func nothingLeaksInADay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		open := countConnections(l)
		pair := rsaPair()
		sources := map[string]vmsso.TokenSource{
			overSOAP.name:   l.source(t, tokensource.STSConfig{}),
			overREST.name:   l.source(t, tokensource.STSConfig{Certificate: &pair}),
			onDirector.name: tokensource.Static(bearer(func(c *vmssotest.Claims) { c.NotOnOrAfter = time.Now().Add(48 * time.Hour) })),
		}
		var soaks []*soak
		var transports []*vmsso.Transport
		for _, sys := range systems {
			c, tr := sys.client(l, t, sources[sys.name], func(cfg *vmsso.Config) { cfg.KeepAlive, cfg.MaxAge = 5*time.Minute, 14*time.Minute })
			s := &soak{sys: sys, server: sys.server(l), client: c}
			soaks, transports = append(soaks, s), append(transports, tr)
		}
		runAll(t, soaks, time.Hour)
		goroutines, before := l.goroutines(), heap()
		runAll(t, soaks, 23*time.Hour)
		if n := l.goroutines(); n > goroutines || open.Load() != 0 {
			t.Errorf("%d goroutines, %d connections after a day, %d and 0 after the first hour", n, open.Load(), goroutines)
		}
		if grown := heap() - before; grown > 8<<20 {
			t.Errorf("%d bytes more after a day than after the first hour", grown)
		}
		for i, s := range soaks {
			calls, failed := s.calls.Load(), s.failed.Load()
			t.Logf("%s: %d calls, %d failed, %d faults, %d logins", s.sys.name, calls, failed, s.faults.Load(), s.server.Logins())
			if calls < 700 || failed*20 > calls || s.faults.Load() == 0 {
				t.Errorf("%s: %d of %d calls failed, with %d faults", s.sys.name, failed, calls, s.faults.Load())
			}
			if s.server.Refused() != 0 {
				t.Errorf("%s: %d refused logins: %q", s.sys.name, s.server.Refused(), s.server.Reasons())
			}
			if err := transports[i].Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(31 * time.Minute) // the lost ones
		for _, s := range soaks {
			if n := s.server.Sessions(); n != 0 {
				t.Errorf("%s: %d sessions after Close", s.sys.name, n)
			}
		}
	})
}

// runAll makes calls with faults, then lets what is under way come to its end.
func runAll(t *testing.T, soaks []*soak, d time.Duration) {
	until := time.Now().Add(d)
	var wg sync.WaitGroup
	for _, s := range soaks {
		s.server.Inject(s.sys.login, -1, s.oneOf(5))
		s.server.Inject(s.sys.logout, -1, s.oneOf(5))
		s.server.Inject("", -1, s.oneOf(100))
		for range 4 {
			wg.Go(func() { s.run(t, until) })
		}
	}
	wg.Wait()
	for _, s := range soaks {
		for _, op := range []string{s.sys.login, s.sys.logout, ""} {
			s.server.Inject(op, 0, nil)
		}
	}
	time.Sleep(time.Minute)
}
