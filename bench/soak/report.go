package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// line prints a line of what goes on.
func (s *soak) line(w io.Writer, since time.Duration, now figures) {
	var requests, logins int64
	for _, sys := range s.systems {
		requests, logins = requests+sys.requests(), logins+sys.logins.Load()
	}
	fmt.Fprintf(w, "%5.0fs %9d requests %6d logins %3d sessions %6s heap %4d goroutines %3d sockets\n",
		since.Seconds(), requests, logins, now.sessions, mebibytes(now.heap), now.goroutines, now.sockets)
}

// print prints what happened, and tells whether nothing was lost and nothing grew.
func (s *soak) print(w io.Writer, r *report) bool {
	s.count.mu.Lock()
	defer s.count.mu.Unlock()
	fmt.Fprintf(w, "Soak for %v, and %v to measure: %d callers of %d systems, %g %% of the requests meet a fault, seed %d\n\n",
		s.opts.duration, (r.took - s.opts.duration).Round(100*time.Millisecond), len(s.callers), len(s.systems), 100*s.opts.faults, s.opts.seed)
	s.printSystems(w)
	s.printFaults(w)
	wrong := s.printFigures(w, r)
	for _, sys := range s.systems {
		most := int(sys.spoilt.Load() + sys.restarts.Load()) // a restart may come in the middle of a login
		if n, reasons := sys.refusals(); n > most {
			wrong = append(wrong, fmt.Sprintf("logins: %s refused %d, want %d at most: %.300q", sys.name, n, most, reasons))
		}
	}
	if n := s.count.failures; n > 0 {
		wrong = append(wrong, fmt.Sprintf("lost: %d calls, logins or tokens, such as those above", n))
	}
	for _, example := range s.count.examples {
		fmt.Fprintln(w, "  !", example)
	}
	for _, why := range wrong {
		fmt.Fprintln(w, "FAILED:", why)
	}
	if len(wrong) == 0 {
		fmt.Fprintln(w, "Nothing was lost, and nothing has grown.")
	}
	return len(wrong) == 0
}

// printSystems prints a column for each system.
func (s *soak) printSystems(w io.Writer) {
	row := func(name string, of func(*system) int64) {
		fmt.Fprintf(w, "%-34s", name)
		sum := int64(0)
		for _, sys := range s.systems {
			n := of(sys)
			sum += n
			fmt.Fprintf(w, "%10d", n)
		}
		fmt.Fprintf(w, "%10d\n", sum)
	}
	counted := func(v verdict) func(*system) int64 {
		return func(sys *system) int64 { return sys.calls[v].Load() }
	}
	fmt.Fprintf(w, "%-34s", "")
	for _, sys := range s.systems {
		fmt.Fprintf(w, "%10s", sys.name)
	}
	fmt.Fprintf(w, "%10s\n", "all")
	row("requests", (*system).requests)
	row("  answered", counted(answered))
	row("  handed up as it must be", counted(handedUp))
	row("  lost", counted(failed))
	row("sent again in a new session", func(sys *system) int64 { return sys.replays.Load() })
	row("repeated for other reasons", func(sys *system) int64 { return sys.repeats.Load() })
	row("all sessions ended, times", func(sys *system) int64 { return sys.kills.Load() })
	row("server restarted, times", func(sys *system) int64 { return sys.restarts.Load() })
	row("logins", func(sys *system) int64 { return sys.logins.Load() })
	row("  with the second token", func(sys *system) int64 { return sys.spoilt.Load() })
	row("  failed, by a fault of their own", func(sys *system) int64 { return sys.failedLogins.Load() })
}

// printFaults prints what became of the requests that met faults.
func (s *soak) printFaults(w io.Writer) {
	fmt.Fprintf(w, "\n%-44s%10s%10s%10s%10s\n", "requests by fault", "met", "survived", "handed up", "lost")
	row := func(name string, n [3]int64) {
		fmt.Fprintf(w, "%-44s%10d%10d%10d%10d\n", name, n[0]+n[1]+n[2], n[answered], n[handedUp], n[failed])
	}
	for f, n := range s.count.faults {
		if faultNames[f] == "" {
			continue
		}
		row(faultNames[f], n)
	}
	row("one of them or more", s.count.faulty)
	fmt.Fprintf(w, "\nhanded up because\n")
	for _, why := range slices.SortedFunc(maps.Keys(s.count.reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.count.reasons[b], s.count.reasons[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "%8d  %s\n", s.count.reasons[why], why)
	}
}

// printFigures prints what must not grow, and returns what has.
func (s *soak) printFigures(w io.Writer, r *report) (wrong []string) {
	fmt.Fprintf(w, "\n%-22s%10s%10s%10s%10s%10s\n", "", "start", "warm", "peak", "end", "closed")
	row := func(name string, of func(figures) string, reasons ...string) {
		fmt.Fprintf(w, "%-22s%10s%10s%10s%10s%10s\n", name, of(r.start), of(r.warm), of(r.peak), of(r.end), of(r.closed))
		for _, why := range reasons {
			if why != "" {
				wrong = append(wrong, name+": "+why)
			}
		}
	}
	is := func(wrong bool, format string, args ...any) string {
		if !wrong {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	row("live server sessions", func(f figures) string { return fmt.Sprint(f.sessions) },
		is(max(r.warm.sessions, r.end.sessions) > len(s.systems), "%d while nobody called, want one for each of %d clients", max(r.warm.sessions, r.end.sessions), len(s.systems)),
		is(r.closed.sessions > 0, "%d are left after Close, want none", r.closed.sessions))
	row("heap", func(f figures) string { return mebibytes(f.heap) },
		is(r.end.heap > r.warm.heap+moreHeap, "%s at the end, want %s more than %s at most", mebibytes(r.end.heap), mebibytes(moreHeap), mebibytes(r.warm.heap)))
	row("goroutines", func(f figures) string { return fmt.Sprint(f.goroutines) },
		is(r.end.goroutines > r.warm.goroutines, "%d at the end, want %d at most", r.end.goroutines, r.warm.goroutines),
		is(r.closed.goroutines > r.start.goroutines, "%d are left after the end, want %d at most", r.closed.goroutines, r.start.goroutines))
	row("sockets", func(f figures) string { return fmt.Sprint(f.sockets) },
		is(r.end.sockets > r.warm.sockets, "%d at the end, want %d at most", r.end.sockets, r.warm.sockets),
		is(r.closed.sockets > 0, "%d are left after the end, want none", r.closed.sockets))
	fmt.Fprintln(w)
	return wrong
}

func mebibytes(n int64) string { return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20)) }
