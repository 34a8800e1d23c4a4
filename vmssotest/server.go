package vmssotest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a TLS server on a port of 127.0.0.1.
type Server struct {
	URL string // without a path: "https://127.0.0.1:port"

	ca   *tlsAuthority
	cert tls.Certificate
	host *host
}

// Listen serves h over HTTP/1.1 and HTTP/2 with a certificate of its own CA, until Close. It panics if it cannot listen.
func Listen(h http.Handler) *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("vmssotest: listen: " + err.Error())
	}
	ca := newTLSAuthority()
	s := &Server{URL: "https://" + l.Addr().String(), ca: ca, cert: ca.leaf("127.0.0.1", "localhost")}
	s.host = serveHost(l, h, &s.cert)
	return s
}

// Transport returns a new transport that trusts the server's certificate and prefers HTTP/2, as http.DefaultTransport does. It uses no proxy.
func (s *Server) Transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.ca.pool()},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   time.Minute,
	}
}

// Certificate returns the server's certificate. A client that has it among its root certificates trusts the server.
func (s *Server) Certificate() *x509.Certificate { return s.cert.Leaf }

// Close ends the server and its connections, and waits for the handlers that still run.
func (s *Server) Close() { s.host.close() }

// host is an http.Server on one listener that leaves no goroutine behind.
type host struct {
	server  *http.Server
	handler *swapHandler
	busy    busy // the accept loop, connections and handlers
}

// serveHost begins to serve; a nil certificate means plain HTTP.
func serveHost(l net.Listener, h http.Handler, cert *tls.Certificate) *host {
	t := &host{handler: &swapHandler{h: h}}
	t.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.busy.add(1)
			defer t.busy.add(-1)
			t.handler.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				t.busy.add(1)
			case http.StateClosed, http.StateHijacked:
				t.busy.add(-1)
			}
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients that break off and panic(http.ErrAbortHandler) are part of tests
	}
	serve := t.server.Serve
	if cert != nil {
		t.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		serve = func(l net.Listener) error { return t.server.ServeTLS(l, "", "") }
	}
	t.busy.add(1)
	go func() {
		defer t.busy.add(-1)
		_ = serve(l) // ends with ErrServerClosed
	}()
	return t
}

func (t *host) close() {
	_ = t.server.Close()
	t.busy.wait()
}

// busy counts what is going on. A sync.WaitGroup would not do: a handler of HTTP/2 may begin when its connection has ended already.
type busy struct {
	mu   sync.Mutex // guards the fields below
	n    int
	idle chan struct{} // closed when n is 0 again; nil: nobody waits
}

func (b *busy) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n += n; b.n == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

func (b *busy) wait() {
	b.mu.Lock()
	if b.n == 0 {
		b.mu.Unlock()
		return
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.mu.Unlock()
	<-idle
}

// swapHandler is a handler that can be replaced.
type swapHandler struct {
	mu sync.RWMutex // guards h
	h  http.Handler
}

func (s *swapHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	h := s.h
	s.mu.RUnlock()
	h.ServeHTTP(w, r)
}

func (s *swapHandler) set(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h = h
}
