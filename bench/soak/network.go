package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// A network is the way of the clients to one server. It counts their sockets, and
// can break.
type network struct {
	mu    sync.Mutex // guards the fields below
	conns map[*conn]struct{}
	down  bool // the server does not listen
}

// A conn is the client's end of a connection.
type conn struct {
	net.Conn
	network *network
	broken  atomic.Bool
}

func (n *network) dial(ctx context.Context, protocol, addr string) (net.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, protocol, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, network: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		_ = raw.Close()
		return nil, &net.OpError{Op: "dial", Net: protocol, Addr: raw.RemoteAddr(), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	if n.conns == nil {
		n.conns = map[*conn]struct{}{}
	}
	n.conns[c] = struct{}{}
	return c, nil
}

// Read tells of a broken connection what the client would hear if the server had
// broken it.
func (c *conn) Read(p []byte) (int, error) {
	k, err := c.Conn.Read(p)
	if err != nil && c.broken.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return k, err
}

func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// goDown breaks all connections and refuses others, until comeUp.
func (n *network) goDown() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for c := range n.conns {
		c.broken.Store(true)
		abort(c.Conn)
	}
}

func (n *network) comeUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

func (n *network) isDown() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

func (n *network) sockets() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// abort closes a connection so that the other end hears of a reset.
func abort(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// reset breaks the connection of a request at the server; of HTTP/2, its stream.
func reset(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		abort(c)
	}
	panic(http.ErrAbortHandler)
}
