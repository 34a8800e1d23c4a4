package vmsso

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// idleKeeps is after how many intervals without a request a session is left to
// its end.
const idleKeeps = 12

// A keeper keeps the session of a transport alive. It has one timer, which runs
// while the session is in use.
type keeper struct {
	t     *Transport
	every time.Duration

	mu      sync.Mutex // guards the fields below
	timer   *time.Timer
	running bool
	closed  bool
	used    time.Time
}

// use notes that a request uses the session. A nil keeper keeps nothing.
func (k *keeper) use() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used = time.Now()
	if !k.running && !k.closed {
		k.running = true
		k.schedule(k.every)
	}
}

// schedule sets the timer to d from now and up to a fifth of an interval more, so
// that programs which were started together do not call together. The lock is
// held.
func (k *keeper) schedule(d time.Duration) {
	d += rand.N(k.every/5 + 1)
	if k.timer == nil {
		k.timer = time.AfterFunc(d, k.tick)
		return
	}
	k.timer.Reset(d)
}

// tick probes the session, unless requests did that already.
func (k *keeper) tick() {
	s := k.t.session.Load()
	if idle := k.idle(); s == nil || idle > idleKeeps*k.every {
		k.next(0)
		return
	} else if idle < k.every {
		k.next(k.every - idle)
		return
	}
	ctx := context.Background()
	err := k.t.probe(ctx, s)
	k.t.events.keepAlive(ctx, s, err)
	if errors.Is(err, ErrNoSession) && !errors.Is(err, errNoProbe) {
		k.t.drop(ctx, s, false) // the next request logs in
	}
	k.next(k.every)
}

func (k *keeper) idle() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.used)
}

// next schedules the next tick; none if d is 0: then the next use does.
func (k *keeper) next(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running = d > 0 && !k.closed; k.running {
		k.schedule(d)
	}
}

// close stops the timer for good. A nil keeper has none.
func (k *keeper) close() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
}
