package tokensource

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/vmsso/vmsso"
)

// A Reuser keeps the token of another source until shortly before it expires, so
// that many transports of one SSO domain need one token: let them share the
// Reuser. It is safe for concurrent use. Use [Reuse] to make one.
type Reuser struct {
	src    vmsso.TokenSource
	early  time.Duration
	flight singleflight.Group // the fetch that is under way

	mu    sync.Mutex // guards the fields below
	tok   *vmsso.Token
	renew time.Time // from when on another token is wanted; zero: never
}

const (
	defaultEarly = time.Minute
	fetchTimeout = 30 * time.Second // of one fetch, whoever waits for it
	retryFetch   = 10 * time.Second // after a fetch that failed while the token lives
)

// Reuse returns a Reuser. It asks src for another token so long before the one
// that it has expires, or a fifth of that token's lifetime before if that is
// shorter, less a random part of it, so that programs do not ask together. 0
// means one minute. A token without an expiry is kept until it is refused.
func Reuse(src vmsso.TokenSource, early time.Duration) *Reuser {
	if early <= 0 {
		early = defaultEarly
	}
	return &Reuser{src: src, early: early}
}

// Token implements [vmsso.TokenSource]. Those who ask while a token is fetched
// wait for that one fetch; one whose context ends leaves, and the fetch goes on
// for the others. If a fetch fails while the token before it lives, that is
// returned, and the next fetch waits a little.
func (r *Reuser) Token(ctx context.Context) (*vmsso.Token, error) {
	if tok := r.kept(time.Now()); tok != nil {
		return tok, nil
	}
	select {
	case got := <-r.flight.DoChan("", func() (any, error) { return r.fetch(context.WithoutCancel(ctx)) }):
		tok, _ := got.Val.(*vmsso.Token)
		return tok, got.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// kept returns the token if it need not be renewed.
func (r *Reuser) kept(now time.Time) *vmsso.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.renew.IsZero() || now.Round(0).Before(r.renew) { // by the wall clock, which goes on while a machine sleeps
		return r.tok
	}
	return nil
}

// fetch gets another token. It runs for all who wait.
func (r *Reuser) fetch(ctx context.Context) (tok *vmsso.Token, err error) {
	if tok := r.kept(time.Now()); tok != nil { // the flight before this one brought it
		return tok, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // under singleflight it would end the program
			tok, err = nil, fmt.Errorf("tokensource: the source panicked (%T)", p) // its value may hold a secret
		}
		tok, err = r.keep(time.Now(), tok, err)
	}()
	tok, err = r.src.Token(ctx)
	if tok == nil && err == nil {
		err = errors.New("tokensource: the source returned neither a token nor an error")
	}
	return tok, err
}

// keep keeps a token that was fetched or, after an error, the one before while it
// lives. It returns what the callers get.
func (r *Reuser) keep(now time.Time, tok *vmsso.Token, err error) (*vmsso.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.tok == nil || !now.Before(r.tok.Expires) {
			return nil, err
		}
		r.renew = now.Add(min(retryFetch, r.tok.Expires.Sub(now)))
		return r.tok, nil
	}
	r.tok, r.renew = tok, time.Time{}
	if !tok.Expires.IsZero() {
		early := min(r.early, max(tok.Expires.Sub(now), 0)/5)
		r.renew = tok.Expires.Add(-early + rand.N(early/5+1))
	}
	return tok, nil
}

// Refused implements [vmsso.Refuser]: if that is still the token which is kept,
// it is not offered again, and the source is told too.
func (r *Reuser) Refused(tok *vmsso.Token, err error) {
	r.mu.Lock()
	dropped := r.tok != nil && r.tok == tok
	if dropped {
		r.tok = nil
	}
	r.mu.Unlock()
	if !dropped {
		return
	}
	switch src := r.src.(type) {
	case vmsso.Refuser:
		src.Refused(tok, err)
	case *STS: // no Refuser, so that a Transport alone above it does not ask for two tokens
		src.drop(tok)
	}
}

var _ vmsso.Refuser = (*Reuser)(nil)
