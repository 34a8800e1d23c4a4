package main

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// A system is a server with its client, and what befell them.
type system struct {
	kind
	soak     *soak
	number   int
	dice     *dice
	network  network
	listener *vmssotest.Server
	base     *http.Transport
	client   *vmsso.Transport

	mu      sync.RWMutex // held for reading while the server processes a request; guards the fields below
	server  server
	earlier int // logins that the servers before this one refused

	calls                                  [3]atomic.Int64 // by verdict
	logins, failedLogins, replays, repeats atomic.Int64

	kills       atomic.Int64 // how often all sessions ended by a fault
	ends        atomic.Int64 // the same, by a restart, a rest or a logout as well
	restarts    atomic.Int64
	renewed     atomic.Int64 // when the last one was over, or a rest began, in Unix nanoseconds
	orphans     atomic.Int64 // sessions of which no client knows, at most
	loginFaults atomic.Int64 // that a login does not survive
	spoilt      atomic.Int64 // logins
	spoiling    atomic.Bool  // one was since the last login that succeeded
	forbidden   atomic.Int64 // when a request was last, in Unix nanoseconds

	begin   time.Time // of the login under way, with
	faulted int64     // loginFaults as it was then
}

// ServeHTTP hands a request to the server of the moment.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.network.isDown() { // it came before the connection broke
		panic(http.ErrAbortHandler)
	}
	s.mu.RLock()
	now := s.server
	s.mu.RUnlock()
	now.ServeHTTP(w, r)
}

// renew puts a new server, without sessions, in the place of the old one.
func (s *system) renew() {
	next := s.newServer([]*x509.Certificate{s.soak.authority.Certificate()}, func() { s.logins.Add(1) })
	for op, serve := range map[string]func(*served){s.helloOp: (*served).hello, s.loginOp: (*served).login, s.logoutOp: (*served).logout} {
		if op != "" {
			s.inject(next, op, serve)
		}
	}
	s.inject(next, "", (*served).call) // the last: the oldest that fits is taken
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		s.earlier += s.server.Refused()
	}
	s.server = next
	s.renewed.Store(time.Now().UnixNano())
	s.ends.Add(1)
	s.orphans.Store(0)
}

func (s *system) inject(by server, op string, serve func(*served)) {
	by.Inject(op, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { serve(&served{s, by, w, r, next}) })
}

// restart lets the server be away for a moment.
func (s *system) restart(ctx context.Context, away time.Duration) {
	s.restarts.Add(1)
	s.network.goDown()
	s.renew()
	pause(ctx, away)
	s.network.comeUp()
	s.renewed.Store(time.Now().UnixNano())
}

// kill ends all sessions.
func (s *system) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Kill()
	s.kills.Add(1)
	s.ends.Add(1)
	s.orphans.Store(0)
}

// sessions counts those that live, without those of which no client knows.
func (s *system) sessions() int {
	s.mu.Lock() // no login is under way
	defer s.mu.Unlock()
	return s.server.Sessions() - int(s.orphans.Load())
}

// refusals is how many logins the servers have refused, and why the last of them
// did.
func (s *system) refusals() (int, []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.earlier + s.server.Refused(), s.server.Reasons()
}

// served is a request at the server.
type served struct {
	*system
	by   server
	w    http.ResponseWriter
	r    *http.Request
	next http.Handler
}

// process lets the server do its work, unless it is no more. An orphan is the
// session of a login whose answer the client will not get.
func (v *served) process(orphan bool) *httptest.ResponseRecorder {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.by != v.server {
		panic(http.ErrAbortHandler)
	}
	answer := httptest.NewRecorder()
	v.next.ServeHTTP(answer, v.r)
	if orphan {
		v.orphans.Add(1)
	}
	return answer
}

// call serves a request of a caller. Others, such as probes, meet no faults.
func (v *served) call() {
	c := v.soak.underWay(v.r)
	if c == nil {
		deliver(none, v.w, v.r, v.process(false))
		return
	}
	f := c.meet()
	switch f {
	case ended:
		v.kill()
	case dropped:
		reset(v.w)
	case forbid: // it comes without a session, as it were
		for _, name := range []string{"Cookie", "Authorization", "Vmware-Api-Session-Id"} {
			v.r.Header.Del(name)
		}
	}
	if answerInstead(f, v.w, "0") {
		return
	}
	answer := v.process(false)
	switch text := answer.Body.String(); {
	case v.refused(answer.Code, text):
		if f != forbid {
			c.befall(map[int]fault{500: goneFault, 401: gone401, 200: gone200}[answer.Code])
		}
	case c.exchange.right(answer.Code, text):
		c.executed.Add(1)
	}
	deliver(f, v.w, v.r, answer)
}

// hello serves what a login begins with.
func (v *served) hello() { v.ofLogin(v.draw(ofLogins()), false) }

// login serves a login. Two tokens in a row that are refused would be the end of
// all logins for minutes.
func (v *served) login() {
	f := v.draw(ofLogins())
	if f == spoilt && v.spoiling.CompareAndSwap(false, true) {
		v.spoil(v.r)
		v.spoilt.Add(1)
	}
	v.ofLogin(f, f == lost || f == cut)
}

func (v *served) ofLogin(f fault, orphan bool) {
	if f != none && f != late && f != spoilt {
		v.loginFaults.Add(1)
	}
	if f == dropped {
		reset(v.w)
	}
	if !answerInstead(f, v.w, "") {
		deliver(f, v.w, v.r, v.process(orphan))
	}
}

// logout serves a logout. One that meets a fault leaves an orphan.
func (v *served) logout() {
	f := v.draw(ofLogouts())
	if f == dropped || f == page {
		v.orphans.Add(1)
	}
	if f == dropped {
		reset(v.w)
	}
	if !answerInstead(f, v.w, "") {
		v.ends.Add(1) // of one session, in which there may be requests
		deliver(f, v.w, v.r, v.process(false))
	}
}

// requests counts the calls.
func (s *system) requests() (n int64) {
	for v := range s.calls {
		n += s.calls[v].Load()
	}
	return n
}

// draw draws a fault for a request of the library's own. There are few of them.
func (v *served) draw(from []fault) fault { return v.dice.draw(10*v.soak.share(), from) }

// traced is what the client tells of its logins.
func (s *system) traced() *vmsso.Trace {
	return &vmsso.Trace{
		LoginStart: func() { s.begin, s.faulted = time.Now(), s.loginFaults.Load() }, // there is one at a time
		LoginDone:  func(_ time.Duration, _ string, err error) { s.loginDone(err) },
		Replay:     func(string, string) { s.replays.Add(1) },
		Retry:      func(string, string, int, time.Duration) { s.repeats.Add(1) },
	}
}
