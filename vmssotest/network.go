package vmssotest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Network is a network in memory, made of pipes: no sockets, so that tests run under testing/synctest, and hosts with the names of one's choice.
// All servers have certificates of the network's own CA. It is safe for concurrent use. Under synctest make it, use it and close it inside the bubble.
type Network struct {
	ca *tlsAuthority

	mu     sync.Mutex // guards the fields below
	hosts  map[string]*memHost
	conns  map[net.Conn]struct{} // the clients' ends
	closed bool
}

// memHost is one server of a Network.
type memHost struct {
	listener *memListener
	host     *host
}

// NewNetwork returns a network without hosts.
func NewNetwork() *Network {
	return &Network{ca: newTLSAuthority(), hosts: map[string]*memHost{}, conns: map[net.Conn]struct{}{}}
}

// Serve begins to serve h at a host: "vc.example.test" (port 443), "vc.example.test:8443", or with a scheme, "http://localhost:8080", to serve plain
// HTTP. Servers speak HTTP/1.1 and, over TLS, HTTP/2. For a host that is served already it replaces the handler. It panics on a closed network.
func (n *Network) Serve(host string, h http.Handler) {
	addr, name, plain := splitHost(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		panic("vmssotest: Serve on a closed Network")
	}
	if have := n.hosts[addr]; have != nil {
		have.host.handler.set(h)
		return
	}
	l := &memListener{addr: memAddr(addr), conns: make(chan net.Conn), done: make(chan struct{})}
	var cert *tls.Certificate
	if !plain {
		leaf := n.ca.leaf(name)
		cert = &leaf
	}
	n.hosts[addr] = &memHost{l, serveHost(l, h, cert)}
}

// Stop ends the server of a host, named as for Serve, and its connections: further dials are refused until Serve is called again.
func (n *Network) Stop(host string) {
	addr, _, _ := splitHost(host)
	n.mu.Lock()
	have := n.hosts[addr]
	delete(n.hosts, addr)
	n.mu.Unlock()
	if have != nil {
		n.hangUp(addr)
		have.host.close()
	}
}

// splitHost gives a host its port.
func splitHost(host string) (addr, name string, plain bool) {
	host, plain = strings.CutPrefix(host, "http://")
	host = strings.TrimPrefix(host, "https://")
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "443"
		if plain {
			port = "80"
		}
	}
	return net.JoinHostPort(name, port), name, plain
}

// DialContext connects to a host of the network. A host that is not served gives the error of a refused connection: a *net.OpError with Op "dial"
// and syscall.ECONNREFUSED inside.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memAddr(addr), Err: err}
	}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	n.mu.Lock()
	host := n.hosts[addr]
	n.mu.Unlock()
	if host == nil {
		return fail(refused)
	}
	client, server := newPipe()
	conn := &memConn{Conn: client, network: n, local: "client", remote: memAddr(addr)}
	n.mu.Lock()
	n.conns[conn] = struct{}{}
	n.mu.Unlock()
	var err error
	select {
	case host.listener.conns <- &memConn{Conn: server, local: memAddr(addr), remote: "client"}:
		return conn, nil
	case <-host.listener.done:
		err = refused
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = conn.Close()
	return fail(err)
}

// Transport returns a new transport that dials in this network and trusts its CA. It speaks HTTP/1.1; set ForceAttemptHTTP2 before the first request
// for HTTP/2.
func (n *Network) Transport() *http.Transport {
	return &http.Transport{
		DialContext:     n.DialContext,
		TLSClientConfig: &tls.Config{RootCAs: n.RootCAs()},
		IdleConnTimeout: 90 * time.Second,
	}
}

// RootCAs returns a new pool with the network's CA, for transports of one's own.
func (n *Network) RootCAs() *x509.CertPool { return n.ca.pool() }

// Close ends all servers and connections, and waits for the handlers that still run: no goroutine of the servers is left. Transports find their
// connections closed.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	hosts := n.hosts
	n.hosts = map[string]*memHost{}
	n.mu.Unlock()
	n.hangUp("")
	for _, h := range hosts {
		h.host.close()
		n.hangUp("") // what was dialled meanwhile
	}
}

// hangUp closes the connections to a host, or all. The pipe is closed below TLS: a close_notify that nobody reads would wait for seconds.
func (n *Network) hangUp(addr string) {
	n.mu.Lock()
	var list []net.Conn
	for c := range n.conns {
		if addr == "" || c.RemoteAddr().String() == addr {
			list = append(list, c)
		}
	}
	n.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}

// memListener hands dialled pipes to http.Server.
type memListener struct {
	addr  memAddr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return l.addr }

// memAddr is an address in a Network: host and port.
type memAddr string

func (memAddr) Network() string  { return "tcp" }
func (a memAddr) String() string { return string(a) }

// memConn is one end of a pipe, with addresses.
type memConn struct {
	net.Conn
	network       *Network // nil for the server's end
	local, remote memAddr
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) Close() error {
	if c.network != nil {
		c.network.mu.Lock()
		delete(c.network.conns, c)
		c.network.mu.Unlock()
	}
	return c.Conn.Close()
}
