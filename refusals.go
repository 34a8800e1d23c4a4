package vmsso

import (
	"crypto/sha256"
	"sync"
	"time"
)

// refusals remembers the tokens that the server refused, because a few failed
// logins lock an account. A refused token is not offered again for a while. A
// fresh token of the same account may be refused for the same reason: after two
// different ones nothing is offered until that while is over.
type refusals struct {
	wait time.Duration

	mu   sync.Mutex // guards last
	last []refusal  // within wait, at most two
}

type refusal struct {
	token [sha256.Size]byte
	at    time.Time
	err   *LoginError
}

// offering returns the refusal because of which tok must not be offered now.
// With a nil tok it tells whether any token may be.
func (r *refusals) offering(tok *Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for len(r.last) > 0 && now.Sub(r.last[0].at) >= r.wait {
		r.last = r.last[1:]
	}
	for _, f := range r.last {
		if len(r.last) < 2 && (tok == nil || f.token != fingerprint(tok)) {
			continue
		}
		before := *f.err
		before.RetryAfter = f.at.Add(r.wait).Sub(now)
		return &before
	}
	return nil
}

func (r *refusals) note(tok *Token, err *LoginError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, refusal{fingerprint(tok), time.Now(), err})
}

func (r *refusals) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = nil
}

func fingerprint(tok *Token) [sha256.Size]byte { return sha256.Sum256([]byte(tok.Assertion)) }

// A breaker is armed when a request was refused in a session that had just been
// made for it. vCenter says NotAuthenticated for a missing privilege as well:
// while the breaker is armed, a refusal alone does not end a session.
type breaker struct {
	mu    sync.Mutex // guards until
	until time.Time
}

const breakerWindow = 30 * time.Second

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
