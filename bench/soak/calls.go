package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// callHeader names a call, so that the server knows what it does to whom.
const callHeader = "X-Soak-Call"

const (
	hang       = 30 * time.Second       // after which a call is lost
	recovery   = 100 * time.Millisecond // how long a caller leaves a system alone that failed
	thinking   = 20 * time.Millisecond  // between two calls, at most
	impatience = time.Millisecond       // of a caller whose context ends, at most
)

// A caller makes one call after the other.
type caller struct {
	number int
	system *system
	rand   *rand.Rand
}

// run makes calls until the context ends, and brings the last one to its end.
func (c *caller) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := time.Duration(c.rand.Int64N(int64(thinking)))
		if !c.call() {
			wait = recovery
		}
		pause(ctx, wait)
	}
}

// pause waits, but not after the end of the context.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// A call is one call under way, and what befell it.
type call struct {
	id       int64
	system   *system
	exchange exchange
	planned  fault
	began    time.Time
	ends     int64 // of its system's sessions, when it began
	restarts int64 // of its system, when it began
	down     bool  // its system was, when it began

	befallen atomic.Uint64 // a bit for each fault
	executed atomic.Int64  // how often the server did what it was asked
}

func (c *call) befall(f fault)   { c.befallen.Or(1 << f) }
func (c *call) met(f fault) bool { return c.befallen.Load()&(1<<f) != 0 }

// names are those of the faults that the call met.
func (c *call) names() (list []string) {
	for f := range faultKinds {
		if c.met(f) {
			list = append(list, faultNames[f])
		}
	}
	return list
}

// meet returns what happens to a request of the call: a fault once, unless the
// request is forbidden.
func (c *call) meet() fault {
	if c.planned == none || c.planned == impatient || c.befallen.Or(1<<c.planned)&(1<<c.planned) != 0 && c.planned != forbid {
		return none
	}
	return c.planned
}

// plan decides what is called, and which fault it meets.
func (c *caller) plan() *call {
	s := c.system
	x := &call{
		id: s.soak.ids.Add(1), system: s, began: time.Now(),
		ends: s.ends.Load(), restarts: s.restarts.Load(), down: s.network.isDown(),
	}
	x.exchange = s.exchanges[c.rand.IntN(len(s.exchanges))](x.id, c.number)
	share, faults := s.soak.share(), ofCalls()
	if f := faults[c.rand.IntN(len(faults))]; c.rand.Float64() < share {
		x.planned = f
	}
	if x.planned == forbid && !s.mayForbid() {
		x.planned = ended
	}
	return x
}

// mayForbid tells whether a request can be forbidden again: for half a minute after
// it the transport believes no refusal without asking.
func (s *system) mayForbid() bool {
	last, now := s.forbidden.Load(), time.Now().UnixNano()
	return now-last > int64(time.Minute) && s.forbidden.CompareAndSwap(last, now)
}

// An outcome is what a caller got.
type outcome struct {
	status int
	answer string
	err    error
	left   bool // the caller's context has ended
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d, error %v, answer %.200q", o.status, o.err, o.answer)
}

var (
	errHang = errors.New("the call did not come to an end")
	errLeft = errors.New("the caller has no patience")
)

// call makes one call, and tells whether it succeeded.
func (c *caller) call() bool {
	x := c.plan()
	s := c.system.soak
	s.calls.Store(x.id, x)
	defer s.calls.Delete(x.id)
	ctx, cancel := context.WithTimeoutCause(context.Background(), hang, errHang)
	defer cancel()
	if x.planned == impatient {
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(c.rand.Int64N(int64(impatience))), errLeft)
		defer cancel()
	}
	o := x.send(ctx)
	if o.left = errors.Is(context.Cause(ctx), errLeft); o.left {
		x.befall(impatient)
	}
	v, why := x.judge(o)
	s.count.add(x, v, why, o)
	return v == answered
}

// send sends the request through the client.
func (x *call) send(ctx context.Context) outcome {
	e := &x.exchange
	leaks := x.system.soak.opts.broken == "body"
	if leaks {
		ctx = context.WithoutCancel(ctx) // its end would close the answer
	}
	req, err := http.NewRequestWithContext(ctx, e.method, x.system.listener.URL+e.path, nil)
	if err != nil {
		return outcome{err: err}
	}
	e.setBody(req)
	req.Header.Set(callHeader, strconv.FormatInt(x.id, 10))
	resp, err := x.system.client.RoundTrip(req)
	if err != nil {
		return outcome{err: err}
	}
	if leaks && resp.StatusCode >= 400 && resp.StatusCode != 500 {
		return outcome{status: resp.StatusCode}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return outcome{status: resp.StatusCode, answer: string(answer), err: err}
}

func (e *exchange) setBody(req *http.Request) {
	if e.contentType == "" {
		return
	}
	req.Header.Set("Content-Type", e.contentType)
	open := func() (io.ReadCloser, error) {
		if e.length > 0 {
			return io.NopCloser(io.LimitReader(zeros{}, e.length)), nil
		}
		return io.NopCloser(strings.NewReader(e.body)), nil
	}
	req.Body, _ = open()
	req.ContentLength = -1
	if e.repeatable {
		req.GetBody = open
		req.ContentLength = e.length + int64(len(e.body))
	}
}

// zeros are a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
