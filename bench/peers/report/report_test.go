package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/want anew")

// A fixed output of go test becomes the README and the charts in testdata/want.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	old := "# Benchmarks\n\n<!-- results -->\nold\n<!-- end of results -->\nAnd so on.\n"
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open("testdata/bench.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := write(dir, in, "go1.26.0, 2026-11-22"); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 7 {
		t.Fatalf("%d files were written, want README.md and 6 charts: %v", len(files), err)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "want", f.Name())
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not as in testdata/want: look at the difference, then run the test with -update", f.Name())
		}
	}
}

func TestParse(t *testing.T) {
	const text = `goos: linux
goarch: amd64
pkg: github.com/vmsso/vmsso/bench
cpu: Some CPU
BenchmarkRequest/limit:base-8  1000  2.5 ns/op  0 B/op
BenchmarkRequest/level-6-8  1000  250 ns/op  720 B/op
PASS
pkg: github.com/vmsso/vmsso/bench/peers
BenchmarkRequest/oauth2-8  1000  600 ns/op
BenchmarkRequest/oauth2-8  1000  700 ns/op
pkg: github.com/vmsso/vmsso/bench
BenchmarkRequest/limit:base-8  1000  3.5 ns/op  0 B/op
BenchmarkRequest/level-6-8  1000  450 ns/op  720 B/op
pkg: github.com/vmsso/vmsso/bench
BenchmarkRequest/limit:base-8  1000  2 ns/op  0 B/op
BenchmarkRequest/level-6-8  1000  220 ns/op  720 B/op
`
	r, err := parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if r.machine != "linux/amd64, Some CPU" || r.cpus != 8 || r.rounds != 3 {
		t.Errorf("%q, %d CPUs, %d rounds; want linux/amd64, Some CPU; 8 and 3", r.machine, r.cpus, r.rounds)
	}
	if got := slices.Sorted(maps.Keys(r.rows)); strings.Join(got, ", ") != "Request/level-6, Request/limit:base, peers Request/oauth2" {
		t.Errorf("the rows are %q", got)
	}
	for name, c := range map[string]struct {
		figure
		want float64
	}{
		"median":               {is("Request/level-6", "ns/op"), 250},
		"of two":               {is("peers Request/oauth2", "ns/op"), 650},
		"median of the ratios": {times("Request/level-6", "Request/limit:base", "ns/op"), 110},
		"median of the rests":  {over("Request/level-6", "Request/limit:base", "ns/op"), 247.5},
	} {
		if got := c.figure(r); got != c.want {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
	if len(r.missing) > 0 {
		t.Errorf("missing: %v", r.missing)
	}
}

// Where go test runs on one CPU, names have no number of CPUs behind them.
func TestParseOneCPU(t *testing.T) {
	r, err := parse(strings.NewReader("pkg: a/bench\nBenchmarkA/level-6 1 5 ns/op\nBenchmarkA/level-9 1 6 ns/op\n"))
	if err != nil || r.cpus != 1 || r.rows["A/level-6"] == nil || r.rows["A/level-9"] == nil {
		t.Errorf("%+v, %v; want the rows A/level-6 and A/level-9, 1 CPU", r, err)
	}
}

// Results of a part of the benchmarks must not replace those of all.
func TestNothingIsWrittenOfAPart(t *testing.T) {
	dir := t.TempDir()
	err := write(dir, strings.NewReader("pkg: a/bench\nBenchmarkSession/vmsso/1-CPU-2 1 5 ns/op\n"), "")
	if err == nil || !strings.Contains(err.Error(), "no ns/op of peers Request/oauth2") {
		t.Errorf("the error is %v, want one that names the rows which are missing", err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("%v was written", files)
	}
}

func TestShow(t *testing.T) {
	for want, c := range map[string]struct {
		v    float64
		unit string
	}{
		"0 ns":     {-0.00001, "ns"},
		"9.99 ns":  {9.99, "ns"},
		"0.0058x":  {0.0058, "x"},
		"-12.3 µs": {-12_345, "ns"},
		"1.06 ms":  {1_060_970, "ns"},
		"784 B":    {784, "B"},
		"12.4 KB":  {12_416, "B"},
		"1.15x":    {1.15, "x"},
		"100x":     {99.96, "x"},
		"4 allocs": {4, "allocs"},
	} {
		if got := show(c.v, c.unit); got != want {
			t.Errorf("show(%g, %s) is %s, want %s", c.v, c.unit, got, want)
		}
	}
}
