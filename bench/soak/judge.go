package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/vmsso/vmsso"
)

// A verdict is what became of a call.
type verdict int

const (
	answered verdict = iota
	handedUp         // the error, as it must be
	failed           // although it had to succeed: the call is lost
)

// judge decides whether a call may end so, and says why.
func (x *call) judge(o outcome) (verdict, string) {
	var login *vmsso.LoginError
	s := x.system
	switch {
	case !x.exchange.mayTwice() && x.executed.Load() > 1:
		return failed, "executed twice"
	case o.err == nil && x.exchange.right(o.status, o.answer):
		return answered, ""
	case o.left && (errors.Is(o.err, errLeft) || errors.Is(o.err, context.DeadlineExceeded)): // HTTP/2 does not tell the cause
		return handedUp, "the caller's own context ended"
	case errors.Is(o.err, errHang):
		return failed, "no answer"
	case errors.As(o.err, &login): // which is judged by itself, for all who waited
		return handedUp, "the login failed"
	case o.err != nil && (x.met(cut) || o.status != 0 && s.troubled(x.began)):
		return handedUp, "the answer was cut off"
	case o.err != nil:
		return x.judgeBroken(o.err)
	case o.left && s.refused(o.status, o.answer): // nobody waited to hear whether the session is gone
		return handedUp, "the caller's own context ended"
	case s.refused(o.status, o.answer):
		return x.judgeRefused()
	case o.status == http.StatusServiceUnavailable && x.met(busy), o.status == http.StatusTooManyRequests && x.met(many):
		return x.unless(!x.exchange.isStream(), "the server was busy, and the body is a stream")
	case o.status == http.StatusBadGateway && x.met(page):
		return x.unless(x.exchange.mayTwice() && !x.exchange.isStream(), "502, and the request may not be repeated")
	}
	return failed, "wrong answer"
}

// unless hands up, unless the request had to be repeated. Three attempts can meet
// one fault of their own and two restarts.
func (x *call) unless(repeated bool, why string) (verdict, string) {
	if repeated && !x.shaken() {
		return failed, "not repeated"
	}
	return handedUp, why
}

// shaken tells whether the system restarted so often that all attempts may have
// met it.
func (x *call) shaken() bool { return x.system.restarts.Load()-x.restarts >= 2 }

// judgeBroken judges the error of a connection.
func (x *call) judgeBroken(err error) (verdict, string) {
	var op *net.OpError
	dialled := errors.As(err, &op) && op.Op == "dial" // nothing was sent
	broke := x.met(dropped) || x.met(lost)
	switch {
	case !broke && !x.system.troubled(x.began):
		return failed, "an error without a cause"
	case dialled:
		return x.unless(!x.exchange.isStream(), "the server is away")
	}
	return x.unless(x.exchange.mayTwice() && !x.exchange.isStream(), "the connection broke, and the request may not be repeated")
}

// judgeRefused judges an answer that says there is no session.
func (x *call) judgeRefused() (verdict, string) {
	switch {
	case x.met(forbid):
		return handedUp, "the request is forbidden"
	case x.system.ends.Load() > x.ends: // a request is sent again once
		return handedUp, "the new session ended too"
	case x.exchange.isLong():
		return handedUp, "the session was gone, and the body cannot be sent again"
	}
	return failed, "refused, and not sent again"
}

// loginDone judges the error of a login, of which its faults or those of the
// network must be the cause. A token that is refused once is replaced.
func (s *system) loginDone(err error) {
	if err == nil {
		s.spoiling.Store(false)
		return
	}
	s.failedLogins.Add(1)
	var login *vmsso.LoginError
	switch {
	case errors.Is(err, vmsso.ErrRejected):
	case errors.As(err, &login) && login.Stage == "Issue": // the token service is judged by itself
		return
	case s.loginFaults.Load() > s.faulted || s.troubled(s.begin):
		return
	}
	s.soak.count.fail(fmt.Sprintf("%s: a login failed without a cause: %v", s.name, err))
}

// troubled tells whether the server was away or became another one since then, or
// shortly before.
func (s *system) troubled(since time.Time) bool {
	return s.network.isDown() || s.renewed.Load() > since.Add(-time.Second).UnixNano()
}
