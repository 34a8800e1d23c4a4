package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// counted is a source whose tokens are numbered.
type counted struct {
	mu      sync.Mutex // guards the fields below
	n       int
	life    time.Duration // 0: no expiry
	err     error
	wait    time.Duration
	refused []string
	panics  bool
}

func (c *counted) Token(ctx context.Context) (*vmsso.Token, error) {
	c.mu.Lock()
	c.n++
	n, life, err, wait, panics := c.n, c.life, c.err, c.wait, c.panics
	c.mu.Unlock()
	if panics {
		panic("s3cr3t")
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	tok := &vmsso.Token{Assertion: fmt.Sprintf("<token %d>", n)}
	if life > 0 {
		tok.Expires = time.Now().Add(life)
	}
	return tok, nil
}

func (c *counted) Refused(tok *vmsso.Token, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, tok.Assertion)
}

func (c *counted) change(f func(*counted)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *counted) fetches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func mustToken(t *testing.T, s vmsso.TokenSource) *vmsso.Token {
	t.Helper()
	tok, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenIsKeptUntilShortlyBeforeItExpires(t *testing.T) {
	for _, tc := range []struct {
		life, early time.Duration
		kept, gone  time.Duration // it is kept until then, and another one is fetched from then on
	}{
		{time.Hour, 0, 59 * time.Minute, 59*time.Minute + 13*time.Second},
		{time.Hour, 10 * time.Minute, 50 * time.Minute, 52*time.Minute + time.Second},
		{10 * time.Second, 0, 8 * time.Second, 8500 * time.Millisecond},
		{5 * time.Minute, time.Hour, 4 * time.Minute, 4*time.Minute + 13*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &counted{life: tc.life}
			r := tokensource.Reuse(src, tc.early)
			first := mustToken(t, r)
			time.Sleep(tc.kept - time.Millisecond)
			if mustToken(t, r) != first || src.fetches() != 1 {
				t.Errorf("%v, early %v: another token before %v", tc.life, tc.early, tc.kept)
			}
			time.Sleep(tc.gone - tc.kept + time.Millisecond)
			if mustToken(t, r) == first || src.fetches() != 2 {
				t.Errorf("%v, early %v: the same token after %v", tc.life, tc.early, tc.gone)
			}
		})
	}
}

func TestTokenWithoutExpiryIsKeptUntilItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{}
		r := tokensource.Reuse(src, 0)
		first := mustToken(t, r)
		time.Sleep(1000 * time.Hour)
		if mustToken(t, r) != first {
			t.Error("another token although nobody refused the first")
		}
		r.Refused(first, errors.New("refused"))
		second := mustToken(t, r)
		if second == first || src.fetches() != 2 {
			t.Errorf("%d fetches after the refusal, want 2", src.fetches())
		}
		r.Refused(first, errors.New("refused")) // by another system, late
		if mustToken(t, r) != second || src.fetches() != 2 {
			t.Error("a late refusal of the old token dropped the new one")
		}
		if len(src.refused) != 1 || src.refused[0] != first.Assertion {
			t.Errorf("the source was told of %q, want the first token once", src.refused)
		}
	})
}

func TestAllWhoAskShareOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{life: time.Hour, wait: 5 * time.Second}
		r := tokensource.Reuse(src, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { // the one who asks first leaves early
			if _, err := r.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the context's end", err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() { mustToken(t, r) })
		}
		wg.Wait()
		if src.fetches() != 1 {
			t.Errorf("%d fetches, want 1", src.fetches())
		}
	})
}

func TestTokenServesWhileAnotherCannotBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{life: 10 * time.Minute}
		r := tokensource.Reuse(src, 2*time.Minute)
		first := mustToken(t, r)
		src.change(func(c *counted) { c.err = errors.New("down") })
		time.Sleep(9 * time.Minute)
		for range 100 {
			if mustToken(t, r) != first {
				t.Error("another token")
			}
		}
		if src.fetches() != 2 {
			t.Errorf("%d fetches within a moment, want one try", src.fetches())
		}
		time.Sleep(time.Minute)
		if _, err := r.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "down") {
			t.Errorf("the token has expired: got %v, want the source's error", err)
		}
		src.change(func(c *counted) { c.err = nil })
		if mustToken(t, r) == first {
			t.Error("the expired token")
		}
	})
}

func TestShortTokensMakeNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{life: 10 * time.Second}
		r := tokensource.Reuse(src, 0)
		for range 600 {
			if tok := mustToken(t, r); !time.Now().Before(tok.Expires) {
				t.Error("an expired token")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := src.fetches(); n > 8 {
			t.Errorf("%d fetches in a minute for tokens of 10 seconds", n)
		}
	})
}

func TestSourceThatMisbehavesIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &counted{panics: true}
		r := tokensource.Reuse(src, 0)
		if _, err := r.Token(t.Context()); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v, want an error without the panic's value", err)
		}
		src.change(func(c *counted) { c.panics, c.wait = false, time.Hour }) // hangs
		start := time.Now()
		if _, err := r.Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Minute {
			t.Errorf("got %v after %v, want a bounded wait", err, time.Since(start))
		}
		src.change(func(c *counted) { c.wait = 0 })
		mustToken(t, r)
	})
	if _, err := tokensource.Reuse(nothing{}, 0).Token(t.Context()); err == nil {
		t.Error("neither a token nor an error")
	}
}

type nothing struct{}

func (nothing) Token(context.Context) (*vmsso.Token, error) { return nil, nil }
