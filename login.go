package vmsso

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Session returns the current session and logs in if there is none. It is for
// code that needs the cookie or header itself. The server may end the session
// at any time; the caller must not modify it.
func (t *Transport) Session(ctx context.Context) (*Session, error) { return t.current(ctx) }

// current returns the session, from one login for all who ask at the same time.
// A caller whose context ends leaves at once; the login goes on for the others.
func (t *Transport) current(ctx context.Context) (*Session, error) {
	if s := t.session.Load(); s != nil {
		return s, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if ctx.Value(loginOf{t}) != nil {
		return nil, errors.New("vmsso: the login sends a request that needs the login: give the token source an http.Client that is not wrapped by this transport")
	}
	s, err := wait(ctx, t.replace(ctx, nil))
	if errors.Is(err, errLoggedOut) { // this request may come after the Logout
		s, err = wait(ctx, t.replace(ctx, nil))
	}
	return s, err
}

// replace logs in, once for all who ask at the same time, unless the session is
// another than old already.
func (t *Transport) replace(ctx context.Context, old *Session) <-chan singleflight.Result {
	return t.flight.DoChan("login", func() (any, error) {
		if s := t.session.Load(); s != nil && s != old { // the flight before this one brought it
			return s, nil
		}
		if !t.enter() {
			return nil, ErrClosed
		}
		defer t.busy.Done()
		start, generation := time.Now(), t.generation.Load()
		loginStart := sync.OnceFunc(t.events.loginStart)
		s, err := t.detached(ctx, func(ctx context.Context) (*Session, error) { return t.obtain(ctx, old, loginStart) })
		if err == nil {
			s = s.ready()
			err = t.publish(s, generation)
		}
		if err == nil && s.restored {
			t.events.restored(ctx, s)
			return s, nil
		}
		loginStart() // unless it was told
		t.events.loginDone(ctx, time.Since(start), s, err)
		return s, err
	})
}

// renewIfOld replaces a session that has reached Config.MaxAge, in the
// background: requests go on in the old one, also if that fails.
func (t *Transport) renewIfOld(ctx context.Context, s *Session) {
	if t.cfg.MaxAge <= 0 || s.Created.IsZero() {
		return
	}
	now, due := time.Since(t.born), t.renewal.Load() // whatever the wall clock does
	if time.Since(s.Created) < t.cfg.MaxAge || int64(now) < due || !t.renewal.CompareAndSwap(due, int64(now+time.Minute)) {
		return
	}
	t.replace(ctx, s)
}

// probe asks the server whether s is alive, once for all who ask at the same time.
func (t *Transport) probe(ctx context.Context, s *Session) error {
	_, err := wait(ctx, t.flight.DoChan("probe "+s.ID(), func() (any, error) {
		if !t.enter() {
			return nil, ErrClosed
		}
		defer t.busy.Done()
		return t.detached(ctx, func(ctx context.Context) (*Session, error) {
			heard := &hearing{rt: t.base}
			err := t.auth.Probe(ctx, heard, t.endpoint, s)
			if err == nil && heard.last != nil {
				t.adopt(s, heard.last)
			}
			return nil, err
		})
	}))
	return err
}

// hearing notes the last response, whose cookies may be those of the session.
type hearing struct {
	rt   http.RoundTripper
	last *http.Response
}

func (h *hearing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.rt.RoundTrip(req)
	if err == nil {
		h.last = &http.Response{Header: resp.Header, Request: req}
	}
	return resp, err
}

// wait waits for a flight; a caller whose context ends leaves at once.
func wait(ctx context.Context, flight <-chan singleflight.Result) (*Session, error) {
	select {
	case r := <-flight:
		s, _ := r.Val.(*Session)
		return s, r.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// login gets a token and logs in with it. A source that wants to know of a
// refusal may offer one more token.
func (t *Transport) login(ctx context.Context) (*Session, error) {
	source, hears := t.source.(Refuser)
	for more := hears; ; more = false {
		tok, s, err := t.tryLogin(ctx)
		refused := tok != nil && errors.Is(err, ErrRejected)
		if refused && hears {
			source.Refused(tok, err)
		}
		if !refused || !more {
			return s, err
		}
	}
}

// tryLogin also returns the token that it sent, if it sent one.
func (t *Transport) tryLogin(ctx context.Context) (*Token, *Session, error) {
	if before := t.refused.offering(nil); before != nil {
		return nil, nil, before
	}
	tok, err := t.source.Token(ctx)
	switch {
	case err != nil:
		le := loginError(t.endpoint.Host, "token", err)
		t.refused.noteSource(le)
		return nil, nil, le
	case tok == nil || tok.Assertion == "":
		return nil, nil, t.noToken(fmt.Errorf("%w: the source returned none", ErrUnsupportedToken))
	case !tok.Expires.IsZero() && !time.Now().Round(0).Before(tok.Expires): // by the wall clock, which goes on while a machine sleeps
		return nil, nil, t.noToken(fmt.Errorf("%w at %s", ErrTokenExpired, tok.Expires.UTC().Format(time.RFC3339)))
	}
	if before := t.refused.offering(tok); before != nil {
		return nil, nil, before
	}
	t.atLogin.Add(1)
	defer t.atLogin.Add(-1)
	switch { // nothing was sent, and nothing will be
	case t.isClosing():
		return nil, nil, ErrClosed
	case ctx.Err() != nil: // the source is deaf; another login may be under way by now
		return nil, nil, context.Cause(ctx)
	}
	s, err := t.auth.Login(ctx, punctual{t.base}, t.endpoint, tok)
	if err != nil {
		le := loginError(t.endpoint.Host, "login", err)
		t.refused.note(tok, le)
		return tok, nil, le
	}
	if s == nil {
		return tok, nil, loginError(t.endpoint.Host, "login", errors.New("the Authenticator returned neither a session nor an error"))
	}
	t.refused.forget()
	return tok, s, nil
}

// punctual begins no request of a login whose time is over: a base that is deaf to
// that answers late, and another login may be under way by then.
type punctual struct{ http.RoundTripper }

func (p punctual) RoundTrip(req *http.Request) (*http.Response, error) {
	if ctx := req.Context(); ctx.Err() != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, context.Cause(ctx)
	}
	return p.RoundTripper.RoundTrip(req)
}

func (t *Transport) noToken(err error) error {
	return &LoginError{Endpoint: t.endpoint.Host, Stage: "token", Err: err}
}

var errLoggedOut = errors.New("vmsso: Logout was called during the login")

// publish makes s the session of all requests, unless the transport was closed or
// logged out since the login began. A session that it replaces is logged out.
func (t *Transport) publish(s *Session, generation uint64) (err error) {
	unused := s
	t.state.Lock()
	switch {
	case t.closed:
		err = ErrClosed
	case t.generation.Load() != generation:
		err = errLoggedOut
	default:
		unused = t.session.Swap(s)
	}
	t.state.Unlock()
	switch {
	case errors.Is(err, errLoggedOut) && s.stored != "":
		_ = t.logoutStored(context.Background(), s)
	case err != nil:
		t.leaveUnused(context.Background(), s)
	case unused != nil && (!s.restored || unused.stored == ""): // else whoever replaced it in the store does
		t.abandon(unused)
	}
	return err
}

// loginOf is the context key that marks what a transport does to log in.
type loginOf struct{ t *Transport }

// detached runs f apart from the caller: with a deadline of its own instead of
// the caller's, and so that neither a panic nor a Goexit nor a hang in a token
// source or Authenticator reaches others than those who wait for it. They leave
// when the transport is closed; f goes on for as long as Close lets it. A session
// that comes too late is logged out.
func (t *Transport) detached(ctx context.Context, f func(context.Context) (*Session, error)) (*Session, error) {
	type outcome struct {
		s   *Session
		err error
	}
	ctx = context.WithValue(context.WithoutCancel(ctx), loginOf{t}, true)
	ctx, cancel := context.WithTimeoutCause(ctx, t.cfg.LoginTimeout, timeoutError{t.cfg.LoginTimeout})
	ctx, end := context.WithCancelCause(ctx)
	done, left := make(chan outcome), make(chan struct{})
	defer close(left)
	t.busy.Add(1)
	go func() {
		defer t.busy.Done()
		defer cancel()
		defer end(nil)
		o := outcome{err: errors.New("vmsso: the token source or Authenticator ended its goroutine (runtime.Goexit)")}
		defer func() {
			if p := recover(); p != nil {
				o = outcome{err: panicked(p)}
			}
			select {
			case done <- o:
			case <-left:
				if o.s != nil {
					t.leaveUnused(ctx, o.s)
				}
			}
		}()
		o.s, o.err = f(ctx)
	}()
	select {
	case o := <-done:
		return o.s, o.err
	case <-ctx.Done():
		return nil, &LoginError{Endpoint: t.endpoint.Host, Stage: "login", Err: context.Cause(ctx)}
	case <-t.closing:
		go func() {
			select {
			case <-t.life:
				end(ErrClosed)
			case <-ctx.Done(): // f has ended
			}
		}()
		return nil, ErrClosed
	}
}

// panicked describes a panic by its kind and place. Its value may hold a
// secret, unless the Go runtime made it.
func panicked(p any) error {
	what := fmt.Sprintf("panic (%T)", p)
	if e, ok := p.(runtime.Error); ok {
		what = "panic: " + e.Error()
	}
	where := "unknown place"
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for seen := false; ; {
		f, more := frames.Next()
		if seen && !strings.HasPrefix(f.Function, "runtime.") {
			where = fmt.Sprintf("%s, line %d", f.Function, f.Line)
			break
		}
		seen = seen || f.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	return fmt.Errorf("vmsso: %s in the token source or Authenticator, at %s", what, where)
}
