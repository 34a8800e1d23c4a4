package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are what benchmarks measured, of one number for each round.
type results struct {
	machine string // system and CPU
	cpus    int
	rounds  int
	rows    map[string]map[string][]float64 // by package and name ("peers Request/oauth2"), and unit

	missing []error // what was asked for and is not there
}

// parse reads what go test -bench printed.
func parse(in io.Reader) (*results, error) {
	r := &results{rows: map[string]map[string][]float64{}}
	var names []string
	var lines [][]string
	about := map[string]string{}
	for scan := bufio.NewScanner(in); ; {
		if !scan.Scan() {
			if err := scan.Err(); err != nil {
				return nil, err
			}
			break
		}
		line := scan.Text()
		if key, value, ok := strings.Cut(line, ": "); ok && slices.Contains([]string{"goos", "goarch", "cpu", "pkg"}, key) {
			about[key] = strings.TrimSpace(value)
			continue
		}
		if fields := strings.Fields(line); strings.HasPrefix(line, "Benchmark") && len(fields) >= 4 {
			_, pkg, _ := strings.Cut(about["pkg"], "/bench/")
			names = append(names, strings.TrimSpace(pkg+" "+strings.TrimPrefix(fields[0], "Benchmark")))
			lines = append(lines, fields[2:])
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no benchmarks in the input")
	}
	r.cpus = cutCPUs(names)
	for i, name := range names {
		if err := r.add(name, lines[i]); err != nil {
			return nil, err
		}
	}
	r.machine = strings.TrimSuffix(about["goos"]+"/"+about["goarch"]+", "+about["cpu"], ", ")
	return r, nil
}

var cpuSuffix = regexp.MustCompile(`-(\d+)$`)

// cutCPUs removes the number of CPUs that go test puts behind each name, unless
// there is one CPU only.
func cutCPUs(names []string) int {
	suffix := cpuSuffix.FindString(names[0])
	for _, name := range names {
		if suffix == "" || !strings.HasSuffix(name, suffix) {
			return 1
		}
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], suffix)
	}
	n, _ := strconv.Atoi(suffix[1:])
	return n
}

// add takes "123 ns/op 4 B/op" in.
func (r *results) add(name string, fields []string) error {
	row := r.rows[name]
	if row == nil {
		row = map[string][]float64{}
		r.rows[name] = row
	}
	for ; len(fields) >= 2; fields = fields[2:] {
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return fmt.Errorf("%s: %q is no number", name, fields[0])
		}
		row[fields[1]] = append(row[fields[1]], v)
		r.rounds = max(r.rounds, len(row[fields[1]]))
	}
	return nil
}

// A figure is a number that the benchmarks tell.
type figure func(r *results) float64

// is is what a row measured.
func is(row, unit string) figure {
	return func(r *results) float64 { return median(r.get(row, unit)) }
}

// over is how much more a row took than another of the same round.
func over(row, limit, unit string) figure {
	return func(r *results) float64 {
		return median(each(r.get(row, unit), r.get(limit, unit), func(a, b float64) float64 { return a - b }))
	}
}

// times is how many times as much a row took as another of the same round.
func times(row, limit, unit string) figure {
	return func(r *results) float64 {
		return median(each(r.get(row, unit), r.get(limit, unit), func(a, b float64) float64 { return a / b }))
	}
}

// get is what a row measured in the rounds. One that is missing is noted.
func (r *results) get(row, unit string) []float64 {
	list := r.rows[row][unit]
	if len(list) == 0 {
		r.missing = append(r.missing, fmt.Errorf("no %s of %s", unit, row))
		return []float64{0}
	}
	return list
}

func each(a, b []float64, f func(a, b float64) float64) []float64 {
	list := make([]float64, min(len(a), len(b)))
	for i := range list {
		list[i] = f(a[i], b[i])
	}
	return list
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}
