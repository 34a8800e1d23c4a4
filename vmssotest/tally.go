package vmssotest

import (
	"sync"
	"sync/atomic"
)

// tally counts what comes to a server that is logged in to.
type tally struct {
	calls sync.Map // operation → *atomic.Int64

	accepted, refused, loggingIn, maxLoggingIn atomic.Int64
}

// call counts a request of this operation.
func (t *tally) call(op string) {
	n, ok := t.calls.Load(op)
	if !ok {
		n, _ = t.calls.LoadOrStore(op, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// of returns how many requests of this operation have come.
func (t *tally) of(op string) int {
	if n, ok := t.calls.Load(op); ok {
		return int(n.(*atomic.Int64).Load())
	}
	return 0
}

// login notes that a login is in flight, until the function that it returns is called.
func (t *tally) login() (done func()) {
	n := t.loggingIn.Add(1)
	for m := t.maxLoggingIn.Load(); n > m && !t.maxLoggingIn.CompareAndSwap(m, n); m = t.maxLoggingIn.Load() {
	}
	return func() { t.loggingIn.Add(-1) }
}
