package tokensource

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// A lockout keeps accounts from being locked, which takes the service a few
// failures: refused credentials are not sent again for a while, and the same
// credentials are never under way twice, because until the answer is there nobody
// knows that they are wrong.
type lockout struct {
	wait time.Duration

	mu      sync.Mutex // guards the fields below
	refused []refusal  // that count, the latest last
	trying  map[fingerprint]*try
}

// mostRefused credentials are remembered at a time.
const mostRefused = 64

// A fingerprint tells credentials apart.
type fingerprint [sha256.Size]byte

type refusal struct {
	of    fingerprint // zero: whoever asks
	until time.Time
	err   *vmsso.LoginError
}

// A try is a request that is under way.
type try struct {
	of   fingerprint   // as attempt.whole
	done chan struct{} // closed when the fields below are set

	tok     *vmsso.Token
	err     error
	aborted bool // it ended because its caller left: it tells the others nothing
}

// once calls get, unless the same credentials are under way or were refused: who
// asks meanwhile waits for the outcome of that one try. The context is also that
// of get.
func (l *lockout) once(ctx context.Context, a *attempt, get func() (*vmsso.Token, error)) (*vmsso.Token, error) {
	for {
		t, mine, err := l.begin(a)
		switch {
		case err != nil:
			return nil, err
		case mine:
			return l.run(ctx, a, t, get)
		}
		select {
		case <-t.done:
			if !t.aborted && t.of == a.whole {
				return t.tok, t.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// begin returns the try that is under way, or a new one, which is the caller's to
// run. It returns an error if the credentials were refused.
func (l *lockout) begin(a *attempt) (t *try, mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.trying[a.id]; t != nil {
		return t, false, nil
	}
	now := time.Now()
	l.refused = slices.DeleteFunc(l.refused, func(r refusal) bool { return !now.Before(r.until) })
	for _, r := range l.refused {
		if r.of == a.id || r.of == a.whole || r.of == (fingerprint{}) {
			again := *r.err
			again.Remembered, again.RetryAfter = true, r.until.Sub(now)
			return nil, false, &again
		}
	}
	if l.trying == nil {
		l.trying = map[fingerprint]*try{}
	}
	t = &try{of: a.whole, done: make(chan struct{}), aborted: true} // until it has an outcome, which a panic has not
	l.trying[a.id] = t
	return t, true, nil
}

func (l *lockout) run(ctx context.Context, a *attempt, t *try, get func() (*vmsso.Token, error)) (*vmsso.Token, error) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.trying, a.id)
		close(t.done)
	}()
	t.tok, t.err = get()
	t.aborted = t.err != nil && ctx.Err() != nil
	if t.err != nil {
		l.note(a, t.err)
	}
	return t.tok, t.err
}

// note remembers a refusal, that the service cannot sign, which takes a person to
// mend, and the time that a busy service names. Network faults are none of these.
func (l *lockout) note(a *attempt, err error) {
	var le *vmsso.LoginError
	if !errors.As(err, &le) {
		return
	}
	of, wait := a.id, max(le.RetryAfter, l.wait)
	switch {
	case errors.Is(err, errActAs):
		of = a.whole // another token to act for may do
	case errors.Is(err, vmsso.ErrLocked):
		wait = max(wait, 5*l.wait)
	case errors.Is(err, vmsso.ErrRejected), errors.Is(err, vmsso.ErrSTSCertificate):
	case le.RetryAfter > 0:
		of, wait = fingerprint{}, le.RetryAfter
	default:
		return
	}
	le.RetryAfter = wait
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) == mostRefused {
		l.refused = l.refused[1:]
	}
	l.refused = append(l.refused, refusal{of, time.Now().Add(wait), le})
}

// fingerprintOf tells credentials apart, and the tokens to act for.
func fingerprintOf(c signer.Credentials, actAs *vmsso.Token) fingerprint {
	h := sha256.New()
	fmt.Fprintf(h, "%q%q", c.Username, c.Password)
	if c.Certificate != nil {
		for _, der := range c.Certificate.Certificate {
			fmt.Fprintf(h, "%x.", der)
		}
	}
	for _, tok := range []*vmsso.Token{c.Token, actAs} {
		if tok != nil {
			_, _ = io.WriteString(h, tok.Assertion)
		}
		_, _ = h.Write([]byte{0}) // which is in no assertion
	}
	return fingerprint(h.Sum(nil))
}
