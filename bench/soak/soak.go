package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A soak is one run.
type soak struct {
	opts      options
	authority *vmssotest.Authority
	tokens    *tokenService
	systems   []*system
	callers   []*caller
	count     tally

	faulty atomic.Bool  // requests meet faults
	ids    atomic.Int64 // of calls
	calls  sync.Map     // those under way: id → *call
}

// soakFor runs a soak: a quarter of the time to warm up, the rest, the end. It
// measures before and after each of them, when nobody calls.
func soakFor(ctx context.Context, opts options, progress io.Writer) (*soak, *report, error) {
	r := &report{began: time.Now()}
	s := &soak{opts: opts}
	s.settle(&r.start, func(f figures) bool { return true })
	if err := s.start(); err != nil {
		s.stop()
		return nil, nil, err
	}
	stop := s.watch(r, progress)
	s.callFor(ctx, opts.duration/4)
	s.rest(&r.warm, nil)
	s.callFor(ctx, opts.duration-opts.duration/4)
	s.rest(&r.end, &r.warm)
	stop()
	r.took = time.Since(r.began)
	for _, sys := range s.systems {
		if err := sys.client.Close(); err != nil {
			s.count.fail(fmt.Sprintf("%s: Close: %v", sys.name, err))
		}
	}
	s.stop()
	s.settle(&r.closed, func(f figures) bool { return f.goroutines <= r.start.goroutines && f.sockets <= r.start.sockets })
	return s, r, nil
}

// start starts the servers and the clients.
func (s *soak) start() (err error) {
	s.authority = vmssotest.NewAuthority()
	pair := vmssotest.NewKeyPair("soak", nil)
	if s.tokens, err = s.startTokens(s.authority, &pair); err != nil {
		return err
	}
	vsphere := tokensource.Reuse(s.tokens, 0)
	director := tokensource.Reuse(&provider{s.authority, &pair}, 0)
	for i, k := range kinds() {
		sys := &system{kind: k, soak: s, number: i, dice: s.dice(i)}
		s.systems = append(s.systems, sys)
		sys.renew()
		sys.listener = vmssotest.Listen(sys)
		sys.base = s.newBase(sys.listener, &sys.network, k.http2)
		source := vsphere
		if k.name == "Director" {
			source = director
		}
		sys.client, err = vmsso.New(vmsso.Config{
			Endpoint: sys.listener.URL, Source: source, Auth: broken(s.opts.broken, k.auth), Base: sys.base, Trace: sys.traced(),
			LoginTimeout: 10 * time.Second, ReplayBody: replayBody, KeepAlive: 2 * time.Second, MaxAge: time.Second,
		})
		if err != nil {
			return err
		}
		for range s.opts.callers {
			n := len(s.callers)
			s.callers = append(s.callers, &caller{n, sys, rand.New(rand.NewPCG(s.opts.seed, uint64(n)))})
		}
	}
	return nil
}

// stop ends the servers, after the clients.
func (s *soak) stop() {
	s.closeIdle()
	for _, sys := range s.systems {
		if sys.listener != nil {
			sys.listener.Close()
		}
	}
	if s.tokens != nil {
		s.tokens.listener.Close()
	}
}

func (s *soak) newBase(to *vmssotest.Server, through *network, http2 bool) *http.Transport {
	base := to.Transport()
	base.DialContext = through.dial
	base.ForceAttemptHTTP2 = http2
	base.IdleConnTimeout = 0 // its timers keep closed connections of HTTP/2 in memory
	base.MaxIdleConnsPerHost = s.opts.callers
	return base
}

func (s *soak) closeIdle() {
	for _, sys := range s.systems {
		if sys.client != nil {
			sys.client.CloseIdleConnections()
		}
	}
	if s.tokens != nil {
		s.tokens.base.CloseIdleConnections()
	}
}

// dice returns those of a system; of the token service, with a negative number.
func (s *soak) dice(number int) *dice {
	return &dice{r: rand.New(rand.NewPCG(s.opts.seed, 1000_000+uint64(number+1)))}
}

// share is that of the requests that meet a fault now.
func (s *soak) share() float64 {
	if s.faulty.Load() {
		return s.opts.faults
	}
	return 0
}

// underWay finds the call of a request at a server, nil if it is none or its
// caller has left.
func (s *soak) underWay(r *http.Request) *call {
	id, _ := strconv.ParseInt(r.Header.Get(callHeader), 10, 64)
	if c, ok := s.calls.Load(id); ok {
		return c.(*call)
	}
	return nil
}

// callFor lets all callers make calls for some time, while the servers restart in
// turns: not in the last third, because a restart ends what has leaked as well.
func (s *soak) callFor(ctx context.Context, d time.Duration) {
	s.faulty.Store(true)
	defer s.faulty.Store(false)
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range s.callers {
		wg.Go(func() { c.run(ctx) })
	}
	if s.opts.faults > 0 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, d*2/3)
			defer cancel()
			s.restartInTurns(ctx)
		})
	}
	wg.Wait()
}

// restartInTurns restarts one server after the other, each several times, but not
// the same in less than a second.
func (s *soak) restartInTurns(ctx context.Context) {
	every := min(max(s.opts.duration/40, 300*time.Millisecond), 3*time.Second)
	for i := 0; ; i++ {
		if pause(ctx, every); ctx.Err() != nil {
			return
		}
		s.systems[i%len(s.systems)].restart(ctx, 100*time.Millisecond)
	}
}

// broken returns an Authenticator that is broken in this way, if it is.
func broken(way string, auth vmsso.Authenticator) vmsso.Authenticator {
	switch way {
	case "logout":
		return neverLogsOut{auth}
	case "memory":
		return &hoarder{Authenticator: auth}
	}
	return auth
}

type neverLogsOut struct{ vmsso.Authenticator }

func (neverLogsOut) Logout(context.Context, http.RoundTripper, *url.URL, *vmsso.Session) error {
	return nil
}

// A hoarder never forgets a session.
type hoarder struct {
	vmsso.Authenticator

	mu       sync.Mutex // guards sessions
	sessions []*vmsso.Session
}

func (h *hoarder) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	s, err := h.Authenticator.Login(ctx, rt, endpoint, tok)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, s)
	return s, err
}
