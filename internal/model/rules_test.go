//go:build model

package model_test

import (
	"context"
	"time"

	"testing/synctest"
)

// rest waits until nothing happens any more and checks what must hold then, by what the server counts.
func (w *world) rest() {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut()
	unknown := w.unknown()
	if n := w.server.MaxConcurrentLogins(); n > 1+w.abandoned {
		w.failLocked("one login at a time", "%d at the same time, %d were abandoned", n, w.abandoned)
	}
	n, most := w.server.Sessions(), 1+unknown+w.unended()
	if w.closed && w.deaf == 0 {
		most--
	}
	if n > most {
		w.failLocked("no session is left behind", "%d; the client was not told of %d, and could not end %d", n, unknown, w.unended())
	}
	if n < unknown {
		w.failLocked("the model knows the server", "%d sessions, of which the client was not told of %d", n, unknown)
	}
}

// An alarm is a request that was refused in a session that was made for it. For some time after it no other session is made because of a refusal
// alone.
type alarm struct {
	at   time.Time
	rest int // when everything had come to rest after it, 0: not yet; what went on at the same time has no order
}

// needless judges a login that came while there was a session: it comes of Config.MaxAge, once a minute, or of a request that is refused in any
// session. The lock is held.
func (w *world) needless(s *sending) {
	now, aged := time.Now(), w.plan.maxAge > 0 && time.Since(w.renewed) >= time.Minute
	w.needlessAt = append(w.needlessAt, now)
	n := len(w.needlessAt)
	switch {
	case w.unended() > 0: // there may be sessions that nobody uses
		return
	case aged:
		w.renewed = now
		return
	case !w.anyForbidden && !w.within(ended, w.flight, w.clock):
		w.failLocked("no login without need", "%d", s.n)
	case n > stormy && w.began.Sub(w.needlessAt[n-1-stormy]) < breakerWait:
		w.failLocked("refusals make no storm of logins", "%d in %v", stormy, breakerWait)
	}
	for _, a := range w.alarms {
		if a.rest > 0 && a.rest < w.flight && w.began.Before(a.at.Add(breakerWait)) {
			w.failLocked("no login without need", "%d, although a request was refused in a new session %v before", s.n, w.began.Sub(a.at))
		}
	}
}

// stormy is how many logins come of refusals in the time that the breaker is armed, at most: those that were under way when it was.
const stormy = 4

// cancel cancels each n-th of the calls under way.
func (w *world) cancel(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.calls {
		if i%n == 0 && c.to == 0 && c.endOfContext.IsZero() {
			c.endOfContext = time.Now()
			c.cancel(errCancelled)
		}
	}
}

// logout ends the session by the library's method.
func (w *world) logout() {
	w.flash(ended)
	w.ends("Logout", w.tr.Logout(context.Background()))
}

// ends judges what a logout returns: an error says that the session may live on.
func (w *world) ends(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !w.within(lost|busy|slow, w.clock, w.clock) {
		w.failLocked("every error has a cause", "%s: %v", what, err)
	}
}

// close closes the transport.
func (w *world) close() {
	w.note("* Close")
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.flash(ended)
	start := time.Now()
	w.ends("Close", w.tr.Close())
	w.ends("another Close", w.tr.Close())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed, w.lateComers = true, w.deaf > 0
	took := time.Since(start)
	if took == 5*time.Second {
		w.boundAt = time.Now()
	}
	if took > 5*time.Second {
		w.failLocked("Close takes five seconds at most", "%v", took)
	}
}

// bodies checks that all bodies were closed.
func (w *world) bodies() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sendings {
		if !s.over {
			w.failLocked("every answer is closed", "%s %d", s.role, s.n)
		}
	}
	for _, c := range w.calls {
		if c.body != nil && c.body.closes.Load() != 1 {
			w.failLocked("every body is closed once", "%s %d: %d times", c.of, c.id, c.body.closes.Load())
		}
	}
}
