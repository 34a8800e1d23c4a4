package vmsso

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A SessionStore keeps sessions for longer than a process lives, and for several
// processes that share one. What it keeps under a key is an opaque record of at
// most 1 MiB: [Transport] does its encoding, checks it, and encrypts it with
// Config.StoreKey. A key has the characters 0-9 and a-f. All methods are safe for
// concurrent use. A fault of a store never fails a login: the session then lives in
// memory.
//
// Package cookiejar has one in a directory, and vmssotest.TestSessionStore is what
// a store has to pass.
type SessionStore interface {
	// Load returns the record that was saved last, which the caller may modify; an
	// error that wraps ErrNoSession if there is none.
	Load(ctx context.Context, key string) ([]byte, error)

	// Lock waits until nobody else, in whatever process, holds the key's lease. The
	// lease of one who died ends by itself.
	Lock(ctx context.Context, key string) (Lease, error)
}

// A Lease is the right to write the record of one key. Who has lost it, because it
// ran out or was released, can change nothing any more: Save and Delete are errors
// then.
type Lease interface {
	// Save replaces the record, all of it or nothing. It may be dropped when ttl
	// is over, and is not needed after that.
	Save(ctx context.Context, record []byte, ttl time.Duration) error

	// Delete removes the record, if there is one.
	Delete(ctx context.Context) error

	// Release lets the next one have the lease. Only the first call does something.
	Release() error
}

// staleAfter is from which age on a session of the store is probed before its first
// use here: whoever kept it alive may have stopped.
const staleAfter = 5 * time.Minute

// A shelf is the place of one transport in its SessionStore. What goes wrong there
// is told, and otherwise passed over. A nil shelf is empty and takes nothing.
type shelf struct {
	store  SessionStore
	codec  *recordCodec
	events *events
}

// load returns the record, an empty one if there is none that can be used.
func (s *shelf) load(ctx context.Context) (r record) {
	b, err := s.store.Load(ctx, s.codec.key)
	if err == nil {
		r, err = s.codec.decode(b)
	}
	if err != nil && !errors.Is(err, ErrNoSession) {
		s.events.storeFault(ctx, "load", err)
	}
	return r
}

// lock returns nil if the lease cannot be had in half of the time that is left, or in
// 15 s: the login goes on without it.
func (s *shelf) lock(ctx context.Context) Lease {
	wait := 15 * time.Second
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	lease, err := s.store.Lock(ctx, s.codec.key)
	if err == nil && lease == nil {
		err = errors.New("the SessionStore returned neither a lease nor an error")
	}
	if err != nil {
		s.events.storeFault(ctx, "lock", err)
		return nil
	}
	return lease
}

// save tells whether the record is in the store now. One of nothing is deleted.
func (s *shelf) save(ctx context.Context, lease Lease, r record) bool {
	var err error
	if r.empty() {
		err = lease.Delete(ctx)
	} else {
		var b []byte
		if b, err = s.codec.encode(r); err == nil {
			err = lease.Save(ctx, b, r.ttl(time.Now()))
		}
	}
	if err != nil {
		s.events.storeFault(ctx, "save", err)
	}
	return err == nil
}

func (s *shelf) release(ctx context.Context, lease Lease) {
	if err := lease.Release(); err != nil {
		s.events.storeFault(ctx, "release", err)
	}
}

// obtain gets a session: that of the store or, by a login, a new one, which then is
// the session of all who share the store. Whoever comes second finds it there.
func (t *Transport) obtain(ctx context.Context, old *Session, loginStart func()) (*Session, error) {
	if t.shelf == nil {
		loginStart()
		return t.login(ctx)
	}
	if s := t.fromStore(ctx, old); s != nil {
		return s, nil
	}
	lease := t.shelf.lock(ctx)
	if lease == nil {
		loginStart()
		return t.login(ctx)
	}
	defer t.shelf.release(ctx, lease)
	if s := t.fromStore(ctx, old); s != nil {
		return s, nil
	}
	loginStart()
	s, err := t.login(ctx)
	switch {
	case err == nil && t.shelf.save(ctx, lease, record{session: s}):
		s = s.kept()
	case errors.Is(err, ErrRejected) || errors.Is(err, ErrSessionLimit):
		t.shelf.save(context.WithoutCancel(ctx), lease, record{refusals: t.refused.live()})
	}
	return s, err
}

// fromStore returns the session of the store, if it can be used: it is neither old
// nor the one that ended last here, and alive as far as can be told. What the store
// knows of refusals is taken over.
func (t *Transport) fromStore(ctx context.Context, old *Session) *Session {
	r := t.shelf.load(ctx)
	t.refused.learn(r.refusals)
	s := r.session
	if s == nil || s.same(old) || s.same(t.ended.Load()) {
		return nil
	}
	if age := time.Since(s.Created); age < 0 || age > staleAfter || !s.Expires.IsZero() && !time.Now().Before(s.Expires) {
		if errors.Is(t.auth.Probe(ctx, t.base, t.endpoint, s), ErrNoSession) {
			t.ended.Store(s)
			t.abandon(s) // an Authenticator without a Probe cannot tell
			return nil
		}
	}
	return s
}

// logoutStored ends session s, which may be nil, and that of the store.
func (t *Transport) logoutStored(ctx context.Context, s *Session) (err error) {
	if s != nil {
		err = t.logout(ctx, s)
	}
	lease := t.shelf.lock(ctx)
	if lease == nil {
		return errors.Join(err, fmt.Errorf("vmsso: %w: a session in it may live on until the server ends it", ErrStore))
	}
	defer t.shelf.release(ctx, lease)
	r := t.shelf.load(ctx)
	if r.session != nil && !r.session.same(s) {
		err = errors.Join(err, t.logout(ctx, r.session))
	}
	if !t.shelf.save(ctx, lease, record{refusals: r.refusals}) {
		err = errors.Join(err, fmt.Errorf("vmsso: %w: the session that has ended is still in it", ErrStore))
	}
	return err
}

// refresh puts the cookies into the store that the server has changed meanwhile,
// unless it holds another session by now.
func (t *Transport) refresh(ctx context.Context, s *Session) {
	if s.ID() == s.stored {
		return
	}
	lease := t.shelf.lock(ctx)
	if lease == nil {
		return
	}
	defer t.shelf.release(ctx, lease)
	if r := t.shelf.load(ctx); r.session != nil && r.session.ID() == s.stored {
		t.shelf.save(ctx, lease, record{session: s})
	}
}
