package vmsso

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// A Trace has functions that a [Transport] calls on its events; each may be
// nil. They get plain values without secrets, run on the goroutine where the
// event happens and must be safe for concurrent use.
type Trace struct {
	LoginStart func()
	Restored   func(session string)                                // in place of a login: it was in Config.Store
	LoginDone  func(took time.Duration, session string, err error) // session: its ID
	Expired    func(session string)                                // the server ended it
	Replay     func(method, path string)                           // a request is sent again in a new session
	Retry      func(method, path string, attempt int, wait time.Duration)
	KeepAlive  func(session string, err error) // err wraps ErrNoSession if the session has ended, or the Authenticator cannot ask
	Logout     func(session string, err error)
	StoreFault func(op string, err error) // "load", "lock", "save" or "release" failed; the session lives in memory
}

// events tells the logger and the trace what happens.
type events struct {
	log   *slog.Logger
	trace *Trace
}

func newEvents(log *slog.Logger, trace *Trace, endpoint string, auth Authenticator) *events {
	if trace == nil {
		trace = &Trace{}
	}
	if log == nil {
		return &events{slog.New(slog.DiscardHandler), trace}
	}
	return &events{log.With("endpoint", endpoint, "auth", protocolOf(auth)), trace}
}

// protocolOf tells apart the sessions with one host.
func protocolOf(auth Authenticator) string { return strings.TrimPrefix(fmt.Sprintf("%T", auth), "*") }

func (e *events) loginStart() {
	if e.trace.LoginStart != nil {
		e.trace.LoginStart()
	}
}

func (e *events) loginDone(ctx context.Context, took time.Duration, s *Session, err error) {
	id := ""
	if s != nil {
		id = s.ID()
		e.log.InfoContext(ctx, "vmsso: logged in", "session", id, "took", took)
	} else {
		e.log.WarnContext(ctx, "vmsso: login failed", "took", took, "err", err)
	}
	if e.trace.LoginDone != nil {
		e.trace.LoginDone(took, id, err)
	}
}

func (e *events) restored(ctx context.Context, s *Session) {
	e.log.InfoContext(ctx, "vmsso: took the session of the store", "session", s.ID())
	if e.trace.Restored != nil {
		e.trace.Restored(s.ID())
	}
}

func (e *events) storeFault(ctx context.Context, op string, err error) {
	e.log.WarnContext(ctx, "vmsso: the session store failed", "op", op, "err", err)
	if e.trace.StoreFault != nil {
		e.trace.StoreFault(op, err)
	}
}

func (e *events) expired(ctx context.Context, s *Session) {
	e.log.InfoContext(ctx, "vmsso: the server ended the session", "session", s.ID())
	if e.trace.Expired != nil {
		e.trace.Expired(s.ID())
	}
}

func (e *events) replay(req *http.Request) {
	e.log.DebugContext(req.Context(), "vmsso: sending again in a new session", "method", req.Method, "path", req.URL.Path)
	if e.trace.Replay != nil {
		e.trace.Replay(req.Method, req.URL.Path)
	}
}

func (e *events) retry(req *http.Request, attempt int, wait time.Duration) {
	e.log.DebugContext(req.Context(), "vmsso: trying again", "method", req.Method, "path", req.URL.Path, "attempt", attempt, "wait", wait)
	if e.trace.Retry != nil {
		e.trace.Retry(req.Method, req.URL.Path, attempt, wait)
	}
}

func (e *events) keepAlive(ctx context.Context, s *Session, err error) {
	if err != nil {
		e.log.InfoContext(ctx, "vmsso: keep-alive failed", "session", s.ID(), "err", err)
	} else {
		e.log.DebugContext(ctx, "vmsso: kept the session alive", "session", s.ID())
	}
	if e.trace.KeepAlive != nil {
		e.trace.KeepAlive(s.ID(), err)
	}
}

func (e *events) logout(ctx context.Context, s *Session, err error) {
	if err != nil {
		e.log.WarnContext(ctx, "vmsso: logout failed", "session", s.ID(), "err", err)
	} else {
		e.log.InfoContext(ctx, "vmsso: logged out", "session", s.ID())
	}
	if e.trace.Logout != nil {
		e.trace.Logout(s.ID(), err)
	}
}
