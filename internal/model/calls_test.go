//go:build model

package model_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vmsso/vmsso"
)

// A call is one call of a caller. The lock of its world guards what is below done.
type call struct {
	id        int
	of        string
	exchange  exchange
	fault     fault
	forbidden bool // an administrator has decided that the server refuses it, whoever asks
	late      bool // it began after Close
	stale     bool // there was no session when it began

	ctx    context.Context
	cancel context.CancelCauseFunc
	body   *requestBody
	done   chan struct{}

	from, to                      int
	faulty, executions            int // what the server did
	sendings, refusals            int // on the wire
	begun, returned, endOfContext time.Time
}

// requestBody tells how often it was closed. It hides what it reads from.
type requestBody struct {
	io.Reader
	closes atomic.Int64
}

func (b *requestBody) Close() error {
	b.closes.Add(1)
	return nil
}

// call makes the calls of an action.
func (w *world) call(a action) {
	stale := w.server.Sessions() == 0
	var made []*call
	for range a.n {
		c := &call{of: a.of, fault: a.fault, forbidden: a.do == "forbidden", done: make(chan struct{}), begun: time.Now()}
		c.ctx, c.cancel = context.WithCancelCause(context.Background())
		if a.d != forever {
			c.endOfContext = c.begun.Add(a.d)
			ctx, end := context.WithDeadlineCause(c.ctx, c.endOfContext, errors.New("the caller has no more time"))
			context.AfterFunc(ctx, end)
			c.ctx = ctx
		}
		w.mu.Lock()
		c.id, c.from, c.late = len(w.calls), w.tick(), w.closed
		c.stale = stale || w.server.Sessions() <= w.unknown()
		w.calls = append(w.calls, c)
		w.anyForbidden = w.anyForbidden || c.forbidden
		w.mu.Unlock()
		made = append(made, c)
		go w.make(c)
		if a.turn {
			w.join(made)
		}
	}
	if a.join {
		w.join(made)
	}
}

// join waits for calls.
func (w *world) join(calls []*call) {
	limit := time.After(30 * time.Minute)
	for _, c := range calls {
		select {
		case <-c.done:
		case <-limit:
			w.fail("every call comes to an end", "%s %d", c.of, c.id)
			return
		}
	}
}

// make makes one call and judges what comes of it.
func (w *world) make(c *call) {
	defer close(c.done)
	defer c.cancel(nil)
	if c.of == "session" {
		s, err := w.tr.Session(c.ctx)
		w.judge(c, nil, "", err)
		if (s == nil) == (err == nil) {
			w.fail("either a result or an error", "%v and %v", s, err)
		}
		return
	}
	c.exchange = w.sys.calls[c.of](c.id)
	resp, err := w.tr.RoundTrip(c.request())
	if (resp == nil) == (err == nil) {
		w.fail("either a result or an error", "%v and %v", resp, err)
	}
	if err != nil {
		w.judge(c, nil, "", err)
		return
	}
	w.returns(c)
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	w.judge(c, resp, string(text), err)
}

func (c *call) request() *http.Request {
	e := c.exchange
	var body io.Reader
	if e.body != "" {
		c.body = &requestBody{Reader: strings.NewReader(e.body)}
		body = c.body
	}
	req, err := http.NewRequestWithContext(c.ctx, e.method, systemURL+e.path, body)
	if err != nil {
		panic(err)
	}
	req.Header.Set(callHeader, strconv.Itoa(c.id))
	if e.contentType == "" {
		return req
	}
	req.Header.Set("Content-Type", e.contentType)
	if e.again {
		req.ContentLength = int64(len(e.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(e.body)), nil }
	}
	return req
}

// returns notes when the library has returned.
func (w *world) returns(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.returned.IsZero() {
		c.returned = time.Now()
	}
	if !c.endOfContext.IsZero() && c.returned.After(c.endOfContext) && c.returned.After(c.begun) {
		w.failLocked("a caller leaves when its context ends", "%s %d: %v after it", c.of, c.id, c.returned.Sub(c.endOfContext))
	}
}

// judge decides whether a call may end so.
func (w *world) judge(c *call, resp *http.Response, text string, err error) {
	w.returns(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	c.to = w.tick()
	status := 0
	if resp != nil {
		status = resp.StatusCode
	}
	w.noteLocked("call %d, %s: %d, %v", c.id, c.of, status, err)
	switch {
	case err != nil && w.explained(c, err):
	case err != nil:
		w.failLocked("every error has a cause", "%s %d: %v", c.of, c.id, err)
	case resp == nil || c.of == "logout":
	case w.sys.refused(status, text):
		if !w.mayBeRefused(c) {
			w.failLocked("a session that is gone is replaced", "%s %d: %d", c.of, c.id, status)
		}
	case status == http.StatusServiceUnavailable && c.fault.how == "busy" && w.mayGiveUp(c):
	case c.forbidden || !c.exchange.right(status, text):
		w.failLocked("every answer is the right one", "%s %d: %d %.200s", c.of, c.id, status, text)
	}
	if c.exchange.once && c.executions > 1 {
		w.failLocked("no call is executed twice", "%s %d: %d times", c.of, c.id, c.executions)
	}
	if c.of == "bound" && c.refusals > 0 && c.sendings > 1 && c.fault.how == "" && !w.within(lost, c.from, c.to) {
		w.failLocked("what is bound to a session is not sent in another", "%s %d", c.of, c.id)
	}
	if c.refusals > 2 {
		w.failLocked("a call is sent again once", "%s %d was refused %d times", c.of, c.id, c.refusals)
	}
	if late := c.returned.Sub(c.begun); late > 10*time.Minute {
		w.failLocked("every call comes to an end", "%s %d after %v", c.of, c.id, late)
	}
}

// mayBeRefused: by an administrator; when the session ended a second time; when the call cannot be sent again; when the probe could not tell. The
// lock is held.
func (w *world) mayBeRefused(c *call) bool {
	return c.forbidden || w.within(ended, c.from, c.to) || c.exchange.bound && c.stale || w.within(lost, c.from, c.to)
}

// mayGiveUp: after the last attempt; when the context has ended; when the body cannot be sent again. The lock is held.
func (w *world) mayGiveUp(c *call) bool {
	return c.sendings > 2 || w.within(lost, c.from, c.to) || c.ctx.Err() != nil || c.of == "stream" || c.of == "large"
}

// explained tells whether an error has a cause. The lock is held.
func (w *world) explained(c *call, err error) bool {
	var le *vmsso.LoginError
	var op *net.OpError
	inLogin := errors.As(err, &le)
	switch {
	case c.ctx.Err() != nil && errors.Is(err, context.Cause(c.ctx)):
		return true
	case errors.Is(err, vmsso.ErrClosed):
		return w.closing
	case errors.Is(err, vmsso.ErrNoSession): // it was lost, and the session replaced before the retry
		return c.exchange.bound && (w.within(lost, c.from, c.to) || c.faulty > 0)
	case errors.Is(err, vmsso.ErrRejected):
		return w.within(refused, c.from, c.to) || w.blocked(login, w.offered) != "" || w.blocked(sts, w.identity()) != ""
	case errors.Is(err, vmsso.ErrSessionLimit):
		return w.within(busy, c.from, c.to) || time.Now().Before(w.fullUntil)
	case inLogin && le.Status == http.StatusServiceUnavailable:
		return w.within(busy, c.from, c.to) || time.Now().Before(w.fullUntil)
	case inLogin && le.Timeout():
		return w.within(slow, c.from, c.to)
	case errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED):
		return !w.upAgain.IsZero() || w.within(lost, c.to, c.to)
	case broken(err):
		return w.within(lost, c.from, c.to) || c.faulty > 0 && (c.exchange.once || c.fault.how == "cut" || c.of == "stream" || c.exchange.bound || c.faulty > 1)
	}
	return false
}

// broken tells whether err is that of a connection that broke.
func broken(err error) bool {
	for _, is := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed} {
		if errors.Is(err, is) {
			return true
		}
	}
	return strings.Contains(err.Error(), "server closed idle connection")
}
