package bench_test

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/tokensource"
)

// waiters is how many wait for one login in BenchmarkStorm.
const waiters = 10_000

// contexts is what those who wait listen to, besides what they wait for.
var contexts = []struct {
	name string
	each func(shared context.Context) (context.Context, context.CancelFunc)
}{
	{"background", func(context.Context) (context.Context, context.CancelFunc) { return context.Background(), func() {} }},
	{"shared-context", func(shared context.Context) (context.Context, context.CancelFunc) { return shared, func() {} }},
	{"own-context", context.WithCancel},
}

// BenchmarkStorm is from the end of a login to the moment when the last of 10,000
// who wait for it has its answer. Limit: a channel that is closed, on which
// everybody also listens to the same kind of context; x-limit is the median of the
// ratios of storms that follow each other, so that of the limit itself shows how
// much to trust them. B/waiter and allocs/waiter are those beyond the goroutine's own.
func BenchmarkStorm(b *testing.B) {
	for _, kind := range contexts {
		b.Run(kind.name+"/limit:close(chan)", func(b *testing.B) { storm(b, kind.each, closedChannel) })
		b.Run(kind.name+"/vmsso", func(b *testing.B) { storm(b, kind.each, oneLogin(b)) })
	}
	b.Run("deaf/mutex", func(b *testing.B) { storm(b, contexts[0].each, mutex) })
}

// A wait returns what waits until release is closed.
type wait func(release <-chan struct{}) func(context.Context) error

func closedChannel(release <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func deafChannel(release <-chan struct{}) func(context.Context) error {
	return func(context.Context) error { <-release; return nil }
}

func mutex(release <-chan struct{}) func(context.Context) error {
	var mu sync.Mutex
	done := false
	return func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if !done {
			<-release
			done = true
		}
		return nil
	}
}

func oneLogin(b *testing.B) wait {
	return func(release <-chan struct{}) func(context.Context) error {
		auth := &held{release: release}
		tr, err := vmsso.New(vmsso.Config{Endpoint: "https://vc.example.test", Source: tokensource.Static(rig.Token()), Auth: auth, Base: rig.NewStub()})
		if err != nil {
			b.Fatal(err)
		}
		return func(ctx context.Context) error {
			_, err := tr.Session(ctx)
			if auth.logins.Load() != 1 {
				b.Error("more than one login")
			}
			return err
		}
	}
}

// held is a login that lasts until it is released.
type held struct {
	rig.Header
	release <-chan struct{}
	logins  atomic.Int64
}

func (h *held) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	h.logins.Add(1)
	<-h.release
	return h.Header.Login(ctx, rt, u, tok)
}

type contextFor func(shared context.Context) (context.Context, context.CancelFunc)

// storm compares one way to wait with the limit.
func storm(b *testing.B, kind contextFor, prepare wait) {
	const pairs = 5             // for one result
	gathering(b, kind, prepare) // makes the goroutines that the runtime keeps
	var ratios, took []float64
	var most gathered
	for b.Loop() {
		for range pairs {
			limit, ours := gathering(b, kind, closedChannel), gathering(b, kind, prepare)
			ratios, took = append(ratios, ours.took/limit.took), append(took, ours.took)
			most = ours
		}
	}
	bare := gathering(b, contexts[0].each, deafChannel)
	b.ReportMetric(rig.Median(took), "ns/op")
	b.ReportMetric(rig.Median(took)/waiters, "ns/waiter")
	b.ReportMetric(rig.Median(ratios), "x-limit")
	b.ReportMetric((most.bytes-bare.bytes)/waiters, "B/waiter")
	b.ReportMetric((most.count-bare.count)/waiters, "allocs/waiter")
}

// gathered is how long a release took in nanoseconds, and what was allocated until
// its end.
type gathered struct{ took, bytes, count float64 }

// gathering lets all wait and then releases them.
func gathering(b *testing.B, kind contextFor, prepare wait) gathered {
	shared, cancel := context.WithCancel(context.Background())
	defer cancel()
	release := make(chan struct{})
	wait := prepare(release)
	asleep := newSleepers()
	var done sync.WaitGroup
	var before, after runtime.MemStats
	runtime.GC() // what the runtime keeps for reuse goes: each begins the same
	runtime.ReadMemStats(&before)
	for range waiters {
		done.Go(func() {
			ctx, cancel := kind(shared)
			defer cancel()
			if err := wait(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	asleep.await(waiters)
	start := time.Now()
	close(release)
	done.Wait()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return gathered{float64(took), float64(after.TotalAlloc - before.TotalAlloc), float64(after.Mallocs - before.Mallocs)}
}

// sleepers are the goroutines that wait for something.
type sleepers struct {
	sample []metrics.Sample
	before uint64
}

func newSleepers() *sleepers {
	s := &sleepers{sample: []metrics.Sample{{Name: "/sched/goroutines/waiting:goroutines"}}}
	s.before = s.now()
	return s
}

func (s *sleepers) now() uint64 {
	metrics.Read(s.sample)
	return s.sample[0].Value.Uint64()
}

// await returns when there are n more than at first.
func (s *sleepers) await(n uint64) {
	for s.now() < s.before+n {
		runtime.Gosched()
	}
}

// BenchmarkStormLeave is how long one of many who wait for a login takes to leave
// when its context ends. The others go on waiting, for the same login.
func BenchmarkStormLeave(b *testing.B) {
	release := make(chan struct{})
	wait := oneLogin(b)(release)
	var others sync.WaitGroup
	asleep := newSleepers()
	for range waiters {
		others.Go(func() {
			if err := wait(context.Background()); err != nil {
				b.Error(err)
			}
		})
	}
	asleep.await(waiters)
	var took []time.Duration
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan time.Time)
		asleep := newSleepers()
		go func() {
			if wait(ctx) == nil {
				b.Error("the login is over")
			}
			left <- time.Now()
		}()
		asleep.await(1)
		start := time.Now()
		cancel()
		took = append(took, (<-left).Sub(start))
	}
	close(release)
	others.Wait()
	b.ReportMetric(float64(rig.Median(took)), "ns/op")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns/op")
}
