package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// A progress tells on one line of the terminal how far a download is, if it takes
// longer than a second, and leaves nothing behind. It is told by the one who reads:
// there is no goroutine.
type progress struct {
	out   io.Writer // nil: silent
	r     io.Reader
	total int64 // -1: not known
	n     int64

	start, last time.Time
	width       int // of the line that stands there
}

// newProgress is silent where it would be in the way.
func newProgress(o *options, sys *system, bodyOnTerminal bool) *progress {
	p := &progress{}
	if !o.silent && !bodyOnTerminal && sys.isTerminal(sys.stderr) {
		p.out = sys.stderr
	}
	return p
}

// count returns r, whose bytes are counted.
func (p *progress) count(r io.Reader, total int64) io.Reader {
	if p.out == nil {
		return r
	}
	p.r, p.total, p.start = r, total, time.Now()
	p.last = p.start.Add(progressAfter - progressEvery)
	return p
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	if now := time.Now(); err == nil && now.Sub(p.last) >= progressEvery {
		p.last = now
		p.show(now.Sub(p.start))
	}
	return n, err
}

func (p *progress) show(took time.Duration) {
	rate := int64(float64(p.n) / took.Seconds())
	line := fmt.Sprintf("%s, %s/s", size(p.n), size(rate))
	if p.total > 0 {
		line = fmt.Sprintf("%3d %% of %s, %s/s", p.n*100/p.total, size(p.total), size(rate))
	}
	fmt.Fprintf(p.out, "\r%-*s", p.width, line)
	p.width = max(p.width, len(line))
}

// clear takes the line away.
func (p *progress) clear() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
