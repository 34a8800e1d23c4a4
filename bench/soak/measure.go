package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// Figures are what must not grow.
type figures struct {
	sessions   int // that live on the servers, without those of which no client knows
	heap       int64
	goroutines int
	sockets    int // of the clients
}

// A report is what was measured: before anything was there, warm, at the end of the
// calls, and after the end of clients and servers; and the most in between.
type report struct {
	start, warm, end, closed, peak figures

	began time.Time
	took  time.Duration
}

// What may be more than before.
const (
	moreHeap     = 256 << 10
	mostSessions = 4 // of a system: the current one, and those that are replaced
)

func (s *soak) measure() figures {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f := figures{heap: int64(m.HeapAlloc), goroutines: runtime.NumGoroutine()}
	for _, sys := range s.systems {
		f.sessions += sys.sessions()
		f.sockets += sys.network.sockets()
	}
	if s.tokens != nil {
		f.sockets += s.tokens.network.sockets()
	}
	return f
}

// settle measures into f what is left when all that goes on in the background has
// ended: when the figures are right, or do not become so for six seconds, of which a
// logout may take five. The heap is the least after some collections.
func (s *soak) settle(f *figures, right func(figures) bool) {
	for end := time.Now().Add(6 * time.Second); ; {
		s.closeIdle()
		if *f = s.measure(); right(*f) || time.Now().After(end) {
			break
		}
		time.Sleep(20 * time.Millisecond) // sockets tell nobody when they are closed
	}
	for range 5 {
		runtime.GC()
		f.heap = min(f.heap, s.measure().heap)
	}
}

// rest measures while nobody calls. What it finds is to be no more than before, if
// that is given.
//
// The servers begin anew, so that neither their memory counts nor the sessions of
// which no client knows; then each client has one session.
func (s *soak) rest(f, before *figures) {
	each := len(s.systems)
	s.settle(f, func(now figures) bool { return now.sessions <= each })
	left := f.sessions
	for _, sys := range s.systems {
		sys.renew()
		c := caller{number: len(s.callers), system: sys, rand: rand.New(rand.NewPCG(s.opts.seed, 0))}
		for n := 0; n < 5 && !c.call(); n++ { // what cannot be sent again is handed up
		}
	}
	same, last := 0, 0
	s.settle(f, func(now figures) bool {
		if same++; now.goroutines != last {
			same, last = 0, now.goroutines
		}
		return now.sessions <= each && now.sockets == 0 && (same >= 10 || before != nil && now.goroutines <= before.goroutines)
	})
	f.sessions = max(f.sessions, left)
}

// watch looks for the peaks, and prints lines, until stop is called.
func (s *soak) watch(r *report, progress io.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			for _, sys := range s.systems {
				if live := sys.sessions(); live > mostSessions {
					s.count.fail(fmt.Sprintf("%s: %d live sessions at a time", sys.name, live))
				}
			}
			now := s.measure()
			r.peak = figures{max(r.peak.sessions, now.sessions), max(r.peak.heap, now.heap), max(r.peak.goroutines, now.goroutines), max(r.peak.sockets, now.sockets)}
			if n%50 == 0 {
				s.line(progress, time.Since(r.began), now)
			}
			pause(ctx, 100*time.Millisecond)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
