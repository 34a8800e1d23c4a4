//go:build model

package model_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// What takes long to make is made once, outside the bubbles.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	stranger  = sync.OnceValue(vmssotest.NewAuthority)
	pairs     = sync.OnceValue(func() (p [3]tls.Certificate) {
		for i := range p {
			p[i] = vmssotest.NewKeyPair(fmt.Sprintf("solution-%d", i), nil)
		}
		return p
	})
)

const user = "alice@vsphere.local"

// A world is one run of a plan: the servers, the transport, and what is known of both.
type world struct {
	sys    *system
	plan   plan
	start  time.Time
	net    *vmssotest.Network
	server server
	base   *http.Transport
	tr     *vmsso.Transport

	processing sync.Mutex // held while the server processes a login or ends all sessions, so that the two have an order

	mu           sync.Mutex // guards the fields below
	broken       *violation // the first
	journal      []string
	clock        int // orders what happens at the same time
	windows      []*window
	sendings     []*sending
	calls        []*call
	faults       map[role][]fault // of the logins to come
	sts          *vmssotest.STS
	serving      int // the version of the credentials that the token service takes
	known        int // the version that the source offers
	asked        int // the version that it offered last
	mistyped     int // how often they were mistyped
	token        *vmsso.Token
	offered      string    // by the source last: the token, or the version of the credentials
	upAgain      time.Time // when the server is back; zero: it is up
	restart      *time.Timer
	closing      bool
	closed       bool
	lateComers   bool // a login was under way at the end of Close that did not heed its context
	deaf         int  // requests under way that do not heed their context
	abandoned    int  // logins whose context ended before the answer
	refusals     []refusal
	fullUntil    time.Time            // until when it counts that the server has no room for another session
	refusedBy    map[string]time.Time // by credentials: until when the token service's refusal counts
	flight       int                  // when the source was asked for a token last
	began        time.Time            // the same on the clock
	boundAt      time.Time            // when Close returned because it had waited long enough
	renewed      time.Time            // when Config.MaxAge had a session replaced
	alarms       []alarm
	anyForbidden bool
	needlessAt   []time.Time // when a login came while there was a session
}

// A violation is a rule that was broken. The rule has no figures in it: rapid compares the texts of failures.
type violation struct{ rule, detail, journal string }

// A reason is why a call may fail.
type reason int

const (
	ended   reason = 1 << iota // the session was
	lost                       // connections were
	busy                       // 503 to a login
	slow                       // a login was
	refused                    // a login was
)

// A window is the time in which a reason counts: until everything has come to rest after it is over.
type window struct {
	why      reason
	from, to int // to 0: still
	over     bool
}

func newWorld(sys *system, p plan) *world {
	w := &world{sys: sys, plan: p, start: time.Now(), net: vmssotest.NewNetwork(), faults: map[role][]fault{}, refusedBy: map[string]time.Time{}}
	w.server = sys.server([]*x509.Certificate{authority().Certificate()})
	w.server.Inject("", -1, w.inject)
	w.net.Serve(systemURL, w.server)
	w.net.Serve(stsURL, http.HandlerFunc(w.serveSTS))
	w.rotateServer()
	w.learn()
	w.base = w.net.Transport()
	w.base.MaxConnsPerHost = 64
	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: stsURL, Credentials: w.credentials, Base: wire{w}})
	if err != nil {
		panic(err)
	}
	w.tr, err = vmsso.New(vmsso.Config{
		Endpoint: systemURL, Source: &sourceOf{w, source}, Auth: sys.auth(), Base: wire{w},
		KeepAlive: p.keepAlive, MaxAge: p.maxAge, ReplayBody: replayBody,
	})
	if err != nil {
		panic(err)
	}
	return w
}

// fail notes the first violation.
func (w *world) fail(rule, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(rule, format, args...)
}

func (w *world) failLocked(rule, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	w.noteLocked("VIOLATION %s: %s", rule, detail)
	if w.broken == nil {
		w.broken = &violation{rule: rule, detail: detail}
	}
}

// note writes into the journal.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(format, args...)
}

func (w *world) noteLocked(format string, args ...any) {
	if w.broken != nil {
		return // what follows does not matter
	}
	w.journal = append(w.journal, fmt.Sprintf("%12v %s", time.Since(w.start).Round(time.Millisecond), fmt.Sprintf(format, args...)))
}

// tick is the next moment. The lock is held.
func (w *world) tick() int {
	w.clock++
	return w.clock
}

// open begins a window. The lock is held.
func (w *world) open(why reason) *window {
	win := &window{why: why, from: w.tick()}
	w.windows = append(w.windows, win)
	return win
}

// flash is a window that is over at once.
func (w *world) flash(why reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open(why).over = true
}

// shut closes the windows that are over: everything has come to rest. The lock is held.
func (w *world) shut() {
	now := w.tick()
	for _, win := range w.windows {
		if win.over && win.to == 0 {
			win.to = now
		}
	}
	for i := range w.alarms {
		w.alarms[i].rest = cmp.Or(w.alarms[i].rest, now)
	}
}

// within tells whether a reason counted at a time between two moments. The lock is held.
func (w *world) within(why reason, from, to int) bool {
	for _, win := range w.windows {
		if win.why&why != 0 && win.from <= to && (win.to == 0 || win.to >= from) {
			return true
		}
	}
	return false
}

// sourceOf is the source of the transport. It notes what it offers.
type sourceOf struct {
	w   *world
	sts *tokensource.STS
}

func (s *sourceOf) Token(ctx context.Context) (*vmsso.Token, error) {
	s.w.mu.Lock()
	s.w.flight, s.w.began = s.w.tick(), time.Now()
	s.w.mu.Unlock()
	if s.w.plan.source == "token" {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		s.w.offered, s.w.asked = s.w.token.Assertion, s.w.known
		return s.w.token, nil
	}
	tok, err := s.sts.Token(ctx)
	if err == nil {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		s.w.offered = tok.Assertion
	}
	return tok, err
}

func password(version int) string { return fmt.Sprintf("s3cret-%d", version) }

// wrong is what a mistyped version is; two of them take turns.
func wrong(n int) int { return 1000 + n%2 }

// credentials are those that the client knows.
func (w *world) credentials(context.Context) (signer.Credentials, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := signer.Credentials{}
	if w.plan.source != "certificate" {
		c.Username, c.Password = user, password(w.known)
	}
	if w.plan.source != "password" {
		pair := pairs()[w.known%len(pairs())]
		c.Certificate = &pair
	}
	w.offered, w.asked = w.identity(), w.known
	return c, nil
}

// identity names the credentials that the client knows. The lock is held.
func (w *world) identity() string {
	if w.plan.source == "certificate" {
		return fmt.Sprint("certificate ", w.known%len(pairs()))
	}
	return fmt.Sprint("version ", w.known)
}

// rotateServer makes the token service take other credentials than before.
func (w *world) rotateServer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serving++
	w.sts = vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     authority(),
		Users:         map[string]string{user: password(w.serving)},
		SolutionUsers: map[string]*x509.Certificate{"solution": pairs()[w.serving%len(pairs())].Leaf},
	})
}

// learn tells the client what the token service takes.
func (w *world) learn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = w.serving
	w.token = issue(authority(), w.plan.source, w.known)
}

// mistype lets the client have credentials that nobody takes.
func (w *world) mistype() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mistyped++
	w.known = wrong(w.mistyped)
	if w.plan.source == "certificate" {
		w.known = w.serving + 1
	}
	w.token = issue(stranger(), w.plan.source, w.known)
}

// issue makes the token of a source that has tokens; of odd versions it is bearer.
func issue(a *vmssotest.Authority, source string, version int) *vmsso.Token {
	if source != "token" {
		return nil
	}
	claims := vmssotest.Claims{Subject: user, NotOnOrAfter: time.Now().Add(1000 * time.Hour)}
	if version%2 == 1 {
		return &vmsso.Token{Assertion: a.Issue(claims)}
	}
	pair := pairs()[version%len(pairs())]
	claims.Holder = pair.Leaf
	return &vmsso.Token{Assertion: a.Issue(claims), Key: pair.PrivateKey.(crypto.Signer)}
}

// kill ends all sessions behind the client's back.
func (w *world) kill() {
	w.processing.Lock()
	defer w.processing.Unlock()
	n := w.server.Kill()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked("the server ends %d sessions", n)
	for _, s := range w.sendings {
		s.dead = s.dead || s.accepted || s.role == logout
	}
	w.open(ended).over = true
}

// away takes the server away, with its sessions, for some time.
func (w *world) away(d time.Duration) {
	w.mu.Lock()
	if !w.upAgain.IsZero() {
		w.mu.Unlock()
		return
	}
	w.upAgain = time.Now().Add(d)
	win := w.open(lost)
	w.mu.Unlock()
	w.net.Stop(systemURL)
	w.kill()
	back := func() {
		w.net.Serve(systemURL, w.server)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.upAgain, win.over = time.Time{}, true
	}
	if d == 0 {
		back()
		return
	}
	timer := time.AfterFunc(d, back)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restart = timer
}

// unknown is how many sessions the server has of which the client has not been told. The lock is held.
func (w *world) unknown() (n int) {
	for _, s := range w.sendings {
		if s.role == login && s.accepted && !s.delivered && !s.dead && time.Since(s.born) <= idle {
			n++
		}
	}
	return n
}

// unended is how many sessions the client wants to end, or has failed to. The lock is held.
func (w *world) unended() (n int) {
	for _, s := range w.sendings {
		if s.role == logout && !s.ended && !s.dead {
			n++
		}
	}
	return n
}

var errCancelled = errors.New("the caller has cancelled")
