//go:build model

package model_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	serialHeader = "X-Model-Serial" // of each sending
	callHeader   = "X-Model-Call"   // of the callers' requests
)

const (
	loginTimeout = 30 * time.Second
	refusedWait  = 3 * time.Minute
	lockedWait   = 15 * time.Minute
	breakerWait  = 30 * time.Second
)

// A sending is one request on the wire. The lock of its world guards it.
type sending struct {
	n       int
	role    role
	call    *call // nil: it is not a caller's
	ctx     context.Context
	fault   fault
	window  *window // of the fault
	offered string  // the credentials or token in it
	version int     // of credentials that should be accepted; 0: they should not
	over    bool    // it has failed, or its answer was read or closed

	accepted, refused, locked bool // by the server
	born                      time.Time
	delivered                 bool // the client has read the answer
	dead                      bool // the server has ended all sessions since
	abandoned                 bool // its context ended before the answer
	ended                     bool // the server has ended the session, as it was told
}

// A refusal is an answer to a login that the client has read.
type refusal struct {
	at    time.Time
	token string
}

// A wire is the client's end of the network: the base transport of a world.
type wire struct{ w *world }

func (l wire) CloseIdleConnections() { l.w.base.CloseIdleConnections() }

func (l wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w := l.w
	s := w.send(req)
	r := req.Clone(req.Context())
	r.Header.Set(serialHeader, strconv.Itoa(s.n))
	if s.fault.how == "deaf" {
		r = r.WithContext(context.WithoutCancel(r.Context()))
		w.listen(+1)
		defer w.listen(-1)
	}
	resp, err := w.base.RoundTrip(r)
	if err != nil {
		w.end(s)
		return nil, err
	}
	w.answered(s)
	resp.Body = &answerBody{ReadCloser: resp.Body, w: w, s: s}
	return resp, nil
}

func (w *world) listen(more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf += more
}

// send notes a sending, and that it may be.
func (w *world) send(req *http.Request) *sending {
	s := &sending{ctx: req.Context(), role: w.roleOf(req)}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.n = len(w.sendings)
	w.sendings = append(w.sendings, s)
	if s.role == calling {
		id, _ := strconv.Atoi(req.Header.Get(callHeader))
		s.call = w.calls[id]
		s.call.sendings++
	}
	w.noteLocked("→ %d %s %s %s", s.n, s.role, req.Method, req.URL.Path)
	w.mayBeSent(s)
	if list := w.faults[s.role]; len(list) > 0 {
		s.fault, w.faults[s.role] = list[0], list[1:]
		w.noteLocked("  %d meets%v", s.n, s.fault)
		s.window = w.open(map[string]reason{"slow": slow, "late": slow, "deaf": slow, "busy": busy, "full": busy, "refuse": refused}[s.fault.how] | lost)
	}
	return s
}

// mayBeSent checks the rules of what the client sends. The lock is held.
func (w *world) mayBeSent(s *sending) {
	atTheBound := s.role == logout && w.boundAt.Equal(time.Now()) // of a session that came in the instant in which Close gave up waiting for it
	if w.closed && !w.lateComers && !atTheBound && s.ctx.Err() == nil && (s.call == nil || s.call.late) {
		w.failLocked("nothing is sent after Close", "%s", s.role)
	}
	switch s.role {
	case foreign, "":
		w.failLocked("requests are understood", "%q", s.role)
	case login, hello, sts:
		s.offered = w.offered
		if w.asked == w.serving {
			s.version = w.asked
		}
		if why := w.blocked(s.role, s.offered); why != "" {
			w.failLocked("refused credentials are not offered again", "%s by a %s", why, s.role)
		}
	}
	if s.role != login {
		return
	}
	for _, other := range w.sendings[:s.n] {
		if other.role != login || other.over {
			continue
		}
		if w.abandon(other); other.ctx.Err() == nil {
			w.failLocked("one login at a time", "the logins %d and %d", other.n, s.n)
		}
	}
}

// abandon counts the logins whose context ended before the answer. The lock is held.
func (w *world) abandon(s *sending) {
	if s.role == login && !s.delivered && !s.abandoned && s.ctx.Err() != nil {
		s.abandoned = true
		w.abandoned++
	}
}

// blocked tells why credentials must not be offered now, "" if they may. The lock is held.
func (w *world) blocked(to role, offered string) string {
	now := time.Now()
	if now.Before(w.fullUntil) {
		return "a server that has no room"
	}
	n := 0
	for _, r := range w.refusals {
		if now.Before(r.at.Add(refusedWait)) {
			n++
			if to == login && r.token == offered {
				return "the token that was refused"
			}
		}
	}
	if n >= 2 {
		return "another token, after two were refused"
	}
	if to == sts && now.Before(w.refusedBy[offered]) {
		return "refused " + offered
	}
	return ""
}

// roleOf finds out what a request is for.
func (w *world) roleOf(req *http.Request) role {
	switch {
	case strings.HasPrefix(stsURL, "http://"+req.URL.Host):
		return sts
	case req.Header.Get(callHeader) != "":
		return calling
	}
	var text []byte
	if req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			text, _ = io.ReadAll(body)
		}
	}
	return w.sys.role(req, text)
}

// answered notes that the client has an answer.
func (w *world) answered(s *sending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.call == nil || !s.refused {
		return
	}
	s.call.refusals++
	if s.call.forbidden && s.call.refusals == 2 && s.call.of != "perhaps" { // there is no doubt about the others
		w.alarms = append(w.alarms, alarm{at: time.Now()})
	}
}

// end notes that nothing more comes of a sending.
func (w *world) end(s *sending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	if s.window != nil {
		s.window.over = true
	}
	w.abandon(s)
	if !s.delivered {
		w.noteLocked("← %d %s: no answer", s.n, s.role)
	}
}

// deliver notes that the client has read an answer to its end.
func (w *world) deliver(s *sending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.delivered {
		return
	}
	s.delivered = true
	w.noteLocked("← %d %s: accepted %t, refused %t", s.n, s.role, s.accepted, s.refused)
	switch {
	case s.fault.how == "full":
		w.fullUntil = time.Now().Add(refusedWait)
	case s.fault.how == "busy" && (s.role == login || s.role == hello || s.role == sts):
		w.fullUntil = time.Now().Add(s.fault.d)
	case s.role == login && s.accepted:
		w.refusals = nil
	case s.role == login && s.refused:
		w.refusals = append(w.refusals, refusal{time.Now(), s.offered})
		w.open(refused).over = true
	case s.role == sts && s.refused:
		wait := refusedWait
		if s.locked {
			wait = lockedWait
		}
		w.refusedBy[s.offered] = time.Now().Add(wait)
		w.refusals = append(w.refusals, refusal{time.Now().Add(wait - refusedWait), ""}) // of a source, which counts as a token does
		w.open(refused).over = true
	}
	if s.call == nil && s.refused && !s.locked && s.fault.how != "refuse" && s.ctx.Err() == nil && s.version == w.serving && !w.within(lost, w.clock, w.clock) {
		w.failLocked("no login is refused without a cause", "%d: %q", s.n, w.server.Reasons())
	}
}

// An answerBody is the body of an answer, and tells its end.
type answerBody struct {
	io.ReadCloser
	w *world
	s *sending
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.w.deliver(b.s)
	}
	return n, err
}

func (b *answerBody) Close() error {
	defer b.w.end(b.s)
	return b.ReadCloser.Close()
}
