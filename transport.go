package vmsso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/vmsso/vmsso/internal/endpoint"
	"github.com/vmsso/vmsso/internal/retry"
)

// A Transport is an http.RoundTripper that keeps a session with one system: it
// logs in when there is no session, and once more for everybody when the server
// says that the session is gone. Requests to other origins pass through it
// untouched. It is safe for concurrent use and meant to be shared. It starts no
// goroutine that outlives a login. Use [New] or [Wrap] to make one, and Close
// it to log out.
type Transport struct {
	endpoint *url.URL
	origin   endpoint.Origin
	base     http.RoundTripper
	auth     Authenticator
	source   TokenSource
	cfg      *Config
	events   *events
	refused  *refusals
	breaker  *breaker
	keeper   *keeper // nil: the session is not kept alive
	shelf    *shelf  // nil: the session lives in memory

	session atomic.Pointer[Session] // nil: there is none
	ended   atomic.Pointer[Session] // the one before, which is not taken from the store again
	flight  singleflight.Group      // the login that is under way
	born    time.Time
	renewal atomic.Int64 // before how many nanoseconds since then MaxAge makes no other login

	state      sync.Mutex     // guards closed and doubtful, and with them the setting of session and generation, and the adding to busy
	closed     bool           // no session is set and no login begun any more
	doubtful   []*Session     // that were dropped, and may be alive
	generation atomic.Uint64  // counts the Logouts
	busy       sync.WaitGroup // logins and logouts under way
	atLogin    atomic.Int64   // logins whose token may have been sent
	closing    chan struct{}  // closed by Close: nobody waits for a session any more
	life       chan struct{}  // closed at the end of Close, which ends the logins that are still under way
}

// RoundTrip sends the request in the session. The chain, from the outside:
// retry, which is entered only with a result that calls for it, so that every
// attempt below it has a session of its own time; authentication; Config.Base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.owns(req.URL) {
		return t.base.RoundTrip(req) // another origin, perhaps by redirect
	}
	body, head, err := newPayload(req, t.cfg.ReplayBody)
	if err != nil {
		return nil, err
	}
	defer body.release()
	x := exchange{t: t, req: req, body: body, class: t.auth.Classify(req, head)}
	resp, err := x.send()
	if x.retryable(resp, err) {
		again := x // on the heap, where few requests need one
		resp, err = again.policy().Do(req.Context(), resp, err, again.send)
	}
	if resp != nil {
		resp.Request = req // ours has the session on it
	}
	return resp, err
}

// An exchange is one request of the caller on its way, however often it is sent.
type exchange struct {
	t        *Transport
	req      *http.Request
	body     payload
	class    Class
	bound    *Session // the one in which a SessionBound request was sent first
	replayed bool
	lost     bool // the error is that of an attempt at the request itself, not of a login
}

// send sends the request by the rule of its class.
func (x *exchange) send() (*http.Response, error) {
	x.lost = false
	if x.class != Normal && x.t.isClosing() {
		return nil, ErrClosed // the others find out when they ask for a session
	}
	switch x.class {
	case Anonymous:
		return x.attempt(nil)
	case OwnLogin:
		if !x.t.cfg.AllowOwnLogin {
			return nil, ErrOwnLogin
		}
		return x.attempt(nil)
	case OwnLogout:
		s := x.t.session.Load()
		resp, err := x.attempt(s)
		if err == nil && (resp.StatusCode < 400 || x.t.auth.Expired(resp) == Yes) {
			x.t.forget(s)
		}
		return resp, err
	}
	return x.authenticated()
}

// authenticated sends the request in the session and, when that turns out to be
// gone, once more in a new one. What the server says then is handed up.
func (x *exchange) authenticated() (*http.Response, error) {
	ctx := x.req.Context()
	s, err := x.t.current(ctx)
	if err != nil {
		return nil, err
	}
	if x.class == SessionBound && x.bound != nil && x.bound != s { // a retry that comes too late
		return nil, errSessionBound
	}
	x.bound = s
	x.t.keeper.use()
	resp, err := x.attempt(s)
	if err != nil || x.replayed {
		return resp, err
	}
	verdict := x.t.auth.Expired(resp)
	if verdict == No {
		x.t.breaker.works(s)
		// Not before the request, which the end of the old session could meet.
		x.t.renewIfOld(ctx, x.t.adopt(s, resp))
		return resp, nil
	}
	if !x.t.gone(ctx, verdict, s) {
		return resp, nil
	}
	if x.class == SessionBound || !x.body.rewind(ctx) {
		x.leave(ctx, s)
		return resp, nil
	}
	dead := false
	if x.t.drop(ctx, s, true) {
		defer func() { x.t.settle(s, dead) }()
	}
	discard(resp)
	fresh, err := x.t.current(ctx)
	if err != nil {
		return nil, err
	}
	x.replayed = true
	x.t.events.replay(x.req)
	if resp, err = x.attempt(fresh); err != nil {
		return nil, err
	}
	switch x.t.auth.Expired(resp) {
	case No:
		dead = true
		x.t.breaker.works(fresh)
		x.t.adopt(fresh, resp)
	case Yes: // of the new session as well: see settle
		x.t.breaker.arm()
	}
	return resp, nil
}

var errSessionBound = fmt.Errorf("vmsso: the session that the request depends on was replaced before the request could be repeated: %w", ErrNoSession)

// leave is what becomes of a refused request that is not sent again, and of its
// session: no answer in another one will tell whether that is gone, so the server
// is asked.
func (x *exchange) leave(ctx context.Context, s *Session) {
	if !errors.Is(x.t.probe(ctx, s), ErrNoSession) {
		return
	}
	x.t.drop(ctx, s, false)
	if x.class == SessionBound {
		_, _ = x.t.current(ctx) // for what the caller does next; an error will show then
	}
}

// attempt is the one place that copies the caller's request and sends it.
func (x *exchange) attempt(s *Session) (*http.Response, error) {
	r := new(http.Request)
	*r = *x.req
	if r.Header = maps.Clone(x.req.Header); r.Header == nil {
		r.Header = make(http.Header)
	}
	if s != nil {
		if err := x.t.auth.Apply(r, s); err != nil {
			return nil, err
		}
	}
	if err := x.body.put(r); err != nil {
		return nil, err
	}
	if most := x.t.cfg.ExpectContinue; most > 0 && r.Body != nil && (r.ContentLength <= 0 || r.ContentLength >= most) && r.Header["Expect"] == nil {
		r.Header["Expect"] = []string{"100-continue"}
	}
	resp, err := x.t.base.RoundTrip(r)
	x.lost = err != nil
	switch { // not every RoundTripper keeps the contract
	case err != nil && resp != nil:
		discard(resp)
		return nil, err
	case err == nil && resp == nil:
		return nil, errors.New("vmsso: Config.Base returned neither a response nor an error")
	case err == nil && resp.Request == nil:
		resp.Request = r
	}
	return resp, err
}

// gone tells whether session s is gone after a verdict on a response in it. While
// the breaker is armed, a refusal alone does not say so.
func (t *Transport) gone(ctx context.Context, verdict Verdict, s *Session) bool {
	if verdict == Yes && !t.breaker.armed() {
		return true
	}
	return !t.breaker.worn(s) && errors.Is(t.probe(ctx, s), ErrNoSession)
}

// adopt takes over the cookies of session s that the response sets anew, and
// returns the session with them. Those of an answer that comes late, from a session
// that was replaced meanwhile, are not taken over.
func (t *Transport) adopt(s *Session, resp *http.Response) *Session {
	if len(s.Cookies) == 0 || resp.Header["Set-Cookie"] == nil {
		return s
	}
	if next := s.withCookies(resp.Cookies(), resp.Request.URL, t.endpoint); next != nil && t.session.CompareAndSwap(s, next) {
		return next
	}
	return s
}

// drop forgets session s and tells whether it did: it was not replaced already. A
// doubtful session may be alive: it is to be settled.
func (t *Transport) drop(ctx context.Context, s *Session, doubtful bool) bool {
	t.state.Lock()
	dropped := t.forget(s)
	if dropped && doubtful {
		t.doubtful = append(t.doubtful, s)
	}
	t.state.Unlock()
	if dropped {
		t.events.expired(ctx, s)
	}
	return dropped
}

// forget forgets session s, and does not take it from the store again.
func (t *Transport) forget(s *Session) bool {
	forgot := t.session.CompareAndSwap(s, nil)
	if forgot {
		t.ended.Store(s)
	}
	return forgot
}

// retryable: only what did not happen, and what may happen twice. A refused
// login is final, and a stream cannot be repeated.
func (x *exchange) retryable(resp *http.Response, err error) bool {
	if _, streams := x.body.(*stream); streams || x.t.cfg.MaxRetries == 0 || x.req.Context().Err() != nil {
		return false
	}
	if err != nil {
		return retry.DialError(err) || idempotent(x.req.Method) && x.lost && !errors.Is(err, ErrTLSIdentity) && retry.Passing(err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return resp.Header.Get("Retry-After") != "" || idempotent(x.req.Method)
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return idempotent(x.req.Method)
	}
	return false
}

func (x *exchange) policy() retry.Policy {
	return retry.Policy{
		Max:       x.t.cfg.MaxRetries,
		Retryable: x.retryable,
		OnRetry:   func(attempt int, wait time.Duration) { x.t.events.retry(x.req, attempt, wait) },
	}
}

func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// owns tells whether a request belongs to the endpoint's exact origin.
func (t *Transport) owns(u *url.URL) bool {
	if u != nil && u.Scheme == t.endpoint.Scheme && u.Host == t.endpoint.Host {
		return true
	}
	o, ok := endpoint.OriginOf(u)
	return ok && o == t.origin
}

// CloseIdleConnections closes the idle connections of the base transport.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Format writes the endpoint and the session's ID, whatever the verb.
func (t *Transport) Format(f fmt.State, verb rune) {
	id := "none"
	if s := t.session.Load(); s != nil {
		id = s.ID()
	}
	fmt.Fprintf(f, "Transport(%s, session: %s)", t.endpoint.Host, id)
}

// discard drops a response so that its connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}
