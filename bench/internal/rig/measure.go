package rig

import (
	"cmp"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Each runs f for a row.
func Each(b *testing.B, name string, f func() error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Must is f for where an error cannot be returned.
func Must(b *testing.B, f func() error) func() {
	return func() {
		if err := f(); err != nil {
			b.Error(err)
		}
	}
}

// A Pair is how long two functions took, and how much longer the second, in
// nanoseconds and by the medians.
type Pair struct{ Limit, F, Over, Times float64 }

// Measure runs both in turn, so that what disturbs the one disturbs the other
// too: where a key takes a millisecond, what is added to it is found in no other
// way. What takes less than a turn is run as often as fits.
func Measure(b *testing.B, limit, f func()) Pair {
	b.Helper()
	const turn = 50 * time.Microsecond
	runs := 1
	for ; runs < 1<<16; runs *= 2 {
		if min(run(runs, limit), run(runs, f)) > float64(turn) {
			break
		}
	}
	var limits, fs, overs, times []float64
	for b.Loop() {
		l, f := run(runs, limit)/float64(runs), run(runs, f)/float64(runs)
		limits, fs, overs, times = append(limits, l), append(fs, f), append(overs, f-l), append(times, f/l)
	}
	return Pair{Median(limits), Median(fs), Median(overs), Median(times)}
}

// run returns how many nanoseconds so many runs of f take.
func run(runs int, f func()) float64 {
	start := time.Now()
	for range runs {
		f()
	}
	return float64(time.Since(start))
}

// Median sorts the list.
func Median[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// Against runs f for a row, in turn with the limit.
func Against(b *testing.B, name string, limit, f func() error) {
	b.Run(name, func(b *testing.B) { Compare(b, limit, f) })
}

// Compare reports of f: ns/op, how much that is over the limit, and how many times
// the limit; and what f allocates.
func Compare(b *testing.B, limit, f func() error) {
	b.Helper()
	b.ReportAllocs()
	p := Measure(b, Must(b, limit), Must(b, f))
	b.ReportMetric(p.F, "ns/op")
	b.ReportMetric(p.Over, "over-ns/op")
	b.ReportMetric(p.Times, "x-limit")
	bytes, count := Allocated(50, Must(b, f))
	b.ReportMetric(bytes, "B/op")
	b.ReportMetric(count, "allocs/op")
}

// Allocated is what f allocates, by the mean of some runs.
func Allocated(runs int, f func()) (bytes, count float64) {
	var before, after runtime.MemStats
	f() // what is made once
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(runs), float64(after.Mallocs-before.Mallocs) / float64(runs)
}

// PerHost makes one for each host, and reports the memory of what stays, heap and
// stacks. It returns them.
func PerHost(b *testing.B, hosts int, one func(i int) any) []any {
	all := make([]any, hosts)
	for range b.N {
		clear(all)
		before, goroutines := living(), runtime.NumGoroutine()
		for i := range all {
			all[i] = one(i)
		}
		b.ReportMetric((living()-before)/float64(hosts), "B/host")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
	}
	return all
}

// living is what memory heap and stacks take after a collection.
func living() float64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// Parallel runs what make makes on each goroutine, on one CPU and on all.
func Parallel(b *testing.B, name string, make func() func() error) {
	for _, cpus := range []struct {
		name string
		n    int
	}{{"/1-CPU", 1}, {"/all-CPUs", runtime.GOMAXPROCS(0)}} {
		b.Run(name+cpus.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cpus.n))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				f := make()
				for pb.Next() {
					if err := f(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
