package vmssotest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is what one direction of a pipe holds before a writer waits, like the buffer of a socket.
const pipeBuffer = 64 << 10

// newPipe returns the two ends of a connection in memory. Unlike those of net.Pipe they have buffers, as sockets have: a TLS server that still
// writes its certificate and a client that writes an alert about it would wait for each other for ever.
func newPipe() (net.Conn, net.Conn) {
	a, b := newDirection(), newDirection()
	return &pipeConn{in: a, out: b}, &pipeConn{in: b, out: a}
}

// pipeConn is one end of a pipe.
type pipeConn struct{ in, out *direction }

func (c *pipeConn) Read(p []byte) (int, error)  { return c.in.get(p) }
func (c *pipeConn) Write(p []byte) (int, error) { return c.out.put(p) }

func (c *pipeConn) Close() error {
	c.in.end(func(d *direction) { d.deaf = true })
	c.out.end(func(d *direction) { d.over = true })
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.getBy, t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.putBy, t)
	return nil
}

func (c *pipeConn) LocalAddr() net.Addr  { return memAddr("pipe") }
func (c *pipeConn) RemoteAddr() net.Addr { return memAddr("pipe") }

// direction is what flows one way.
type direction struct {
	mu     sync.Mutex // guards the fields below
	change *sync.Cond
	buf    []byte
	over   bool // the writer's end is closed: what is in buf is the rest
	deaf   bool // the reader's end is closed

	getBy, putBy deadline
}

// deadline wakes those who wait when it has come.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (l *deadline) passed() bool { return !l.at.IsZero() && !time.Now().Before(l.at) }

func (l *deadline) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

func newDirection() *direction {
	d := &direction{}
	d.change = sync.NewCond(&d.mu)
	return d
}

func (d *direction) get(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.deaf:
			return 0, io.ErrClosedPipe
		case d.getBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(d.buf) > 0 || len(p) == 0:
			n := copy(p, d.buf)
			if d.buf = d.buf[n:]; len(d.buf) == 0 {
				d.buf = nil
			}
			d.change.Broadcast()
			return n, nil
		case d.over:
			return 0, io.EOF
		}
		d.change.Wait()
	}
}

func (d *direction) put(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch room := pipeBuffer - len(d.buf); {
		case d.over || d.deaf:
			return n, io.ErrClosedPipe
		case d.putBy.passed():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		case room > 0:
			m := min(room, len(p))
			d.buf = append(d.buf, p[:m]...)
			p, n = p[m:], n+m
			d.change.Broadcast()
			continue
		}
		d.change.Wait()
	}
}

func (d *direction) end(mark func(*direction)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	mark(d)
	d.getBy.stop()
	d.putBy.stop()
	d.change.Broadcast()
}

func (d *direction) setDeadline(l *deadline, t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.stop()
	l.at, l.timer = t, nil
	if !t.IsZero() && !d.over && !d.deaf {
		l.timer = time.AfterFunc(time.Until(t), func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.change.Broadcast()
		})
	}
	d.change.Broadcast()
}
