package vmsso

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// refusals remembers the tokens that the server refused, because a few failed
// logins lock an account. A refused token is not offered again for a while. A
// fresh token of the same account may be refused for the same reason: after two
// different ones nothing is offered until that while is over.
//
// A server that has no room for another session, or that named a time in
// Retry-After, is not asked again for a while either, with whatever token.
type refusals struct {
	wait time.Duration

	mu   sync.Mutex // guards last
	last []refusal
}

type refusal struct {
	token [sha256.Size]byte // zero: the source was refused one
	full  bool              // the server has no room, or asked for patience
	until time.Time
	err   *LoginError
}

// mostRefused tokens and sources in a row, and no other is tried.
const mostRefused = 2

// offering returns the refusal because of which tok must not be offered now.
// With a nil tok it tells whether any token may be.
func (r *refusals) offering(tok *Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.last = slices.DeleteFunc(r.last, func(f refusal) bool { return !now.Before(f.until) })
	most := mostRefused
	for _, f := range slices.Backward(r.last) {
		if !f.full {
			most--
		}
		if f.full || most == 0 || tok != nil && f.token == fingerprint(tok) {
			return f.again(now)
		}
	}
	return nil
}

// again is the error with what is left of the wait.
func (f *refusal) again(now time.Time) *LoginError {
	before := *f.err
	before.Remembered = true
	before.RetryAfter = f.until.Sub(now)
	return &before
}

// note remembers the error of a login if it is a refusal, and notes in it when
// the next try is.
func (r *refusals) note(tok *Token, err *LoginError) {
	wait := max(err.RetryAfter, r.wait)
	rejected := errors.Is(err, ErrRejected)
	switch {
	case errors.Is(err, ErrLocked):
		wait = max(wait, 5*r.wait)
	case !rejected && !errors.Is(err, ErrSessionLimit):
		if wait = err.RetryAfter; wait == 0 { // the server names no time
			return
		}
	}
	err.RetryAfter = wait
	r.add(refusal{fingerprint(tok), !rejected, time.Now().Add(wait), err})
}

// noteSource remembers that the source was refused a token now: for the wrong
// password, say, which another process would send again.
func (r *refusals) noteSource(err *LoginError) {
	if errors.Is(err, ErrRejected) && !err.Remembered {
		r.add(refusal{until: time.Now().Add(max(err.RetryAfter, r.wait)), err: err})
	}
}

// add adds a refusal of now. Two of a source may be of the same moment, by a clock
// that ticks slowly, and are two.
func (r *refusals) add(f refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, f)
}

// learn adds refusals from the store, which may be known already.
func (r *refusals) learn(more []refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range more {
		if !slices.ContainsFunc(r.last, func(old refusal) bool { return old.token == f.token && old.until.Equal(f.until) }) {
			r.last = append(r.last, f)
		}
	}
}

// live returns those that count.
func (r *refusals) live() []refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(r.last), func(f refusal) bool { return !now.Before(f.until) })
}

// forget forgets the refused tokens after a login that was not refused.
func (r *refusals) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = slices.DeleteFunc(r.last, func(f refusal) bool { return !f.full })
}

func fingerprint(tok *Token) [sha256.Size]byte { return sha256.Sum256([]byte(tok.Assertion)) }

// A breaker is armed when a request was refused in a session that had just been
// made for it. vCenter says NotAuthenticated for a missing privilege as well:
// while the breaker is armed, a refusal alone does not end a session.
//
// It is worn when a few sessions in a row died before any request succeeded in
// them: the server refuses them all, and no other is made until the window is over.
type breaker struct {
	working atomic.Pointer[Session] // the last one in which a request succeeded

	mu    sync.Mutex // guards the fields below
	until time.Time
	vain  []*Session // that never worked, in this window
}

const (
	breakerWindow = 30 * time.Second
	mostInVain    = 3
)

// works notes that a request succeeded in session s.
func (b *breaker) works(s *Session) {
	if b.working.Load() == s {
		return // which costs a request nothing
	}
	b.working.Store(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vain = nil
}

func (b *breaker) arm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(breakerWindow)
}

func (b *breaker) armed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until)
}

// worn tells whether session s, which was refused, is one too many.
func (b *breaker) worn(s *Session) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !time.Now().Before(b.until) {
		b.vain = nil
		return false
	}
	if b.working.Load() != s && !slices.Contains(b.vain, s) {
		b.vain = append(b.vain, s)
	}
	return len(b.vain) >= mostInVain
}
