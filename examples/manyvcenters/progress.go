package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A progress is a line of the terminal that tells how many are done. It is safe for
// concurrent use.
type progress struct {
	mu          sync.Mutex // guards the fields below
	out         io.Writer
	done, total int
}

// newProgress writes nothing if out is no terminal, such as a log file.
func newProgress(out *os.File, total int) *progress {
	if !term.IsTerminal(int(out.Fd())) {
		return &progress{out: io.Discard, total: total}
	}
	return &progress{out: out, total: total}
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	fmt.Fprintf(p.out, "\r%d of %d vCenters", p.done, p.total)
	if p.done == p.total {
		fmt.Fprintln(p.out)
	}
}
