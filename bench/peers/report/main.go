// Command report makes a table and charts of what "go test -bench" printed: it
// writes the charts to a folder, and the table between the markers in the
// README.md of that folder. Its input are rounds, each with all benchmarks once:
// numbers are medians of them, and ratios medians of the ratios of each round.
//
//	go test -run '^$' -bench . ./... >bench.txt
//	report -dir bench bench.txt
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "the `folder` of README.md and charts")
	note := flag.String("note", "", "what else to say of the machine")
	flag.Parse()
	in := io.Reader(os.Stdin)
	if name := flag.Arg(0); name != "" {
		f, err := os.Open(name)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		in = f
	}
	about := runtime.Version() + ", " + time.Now().Format(time.DateOnly)
	if *note != "" {
		about += ", " + *note
	}
	if err := write(*dir, in, about); err != nil {
		log.Fatal("report: ", err)
	}
}

// write updates the folder. Without all rows that the table wants it changes
// nothing.
func write(dir string, in io.Reader, about string) error {
	r, err := parse(in)
	if err != nil {
		return err
	}
	about = fmt.Sprintf("%s, %s, %d CPUs, rounds: %d", about, r.machine, r.cpus, r.rounds)
	table := r.table(about)
	charts := r.charts(about)
	if err := errors.Join(r.missing...); err != nil {
		return err
	}
	readme := filepath.Join(dir, "README.md")
	old, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	text, err := between(old, "<!-- results -->\n", "<!-- end of results -->\n", table)
	if err != nil {
		return err
	}
	if err := os.WriteFile(readme, text, 0o644); err != nil {
		return err
	}
	for _, c := range charts {
		if err := os.WriteFile(filepath.Join(dir, c.file), c.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// between replaces what stands between two lines.
func between(text []byte, opening, closing, by string) ([]byte, error) {
	before, rest, opened := bytes.Cut(text, []byte(opening))
	_, after, closed := bytes.Cut(rest, []byte(closing))
	if !opened || !closed {
		return nil, errors.New("README.md has no lines " + opening + " and " + closing)
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", before, opening, by, closing, after), nil
}
