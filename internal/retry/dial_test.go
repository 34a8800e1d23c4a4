package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"
)

func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

func TestDialError(t *testing.T) {
	refused := dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"refused", refused, true},
		{"unknown host", dialError(&net.DNSError{Err: "no such host", Name: "vc.example.com", IsNotFound: true}), true},
		{"connect timeout", dialError(os.ErrDeadlineExceeded), true},
		{"wrapped", fmt.Errorf("vmsso: login: %w", &url.Error{Op: "Post", URL: "https://vc", Err: refused}), true},
		{"joined", errors.Join(errors.New("both addresses failed"), refused), true},
		{"unreachable proxy", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: refused}, true},

		{"none", nil, false},
		{"reset while reading", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, false},
		{"broken while writing", &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}, false},
		{"refused by the proxy", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("Bad Gateway")}, false},
		{"OpError without cause", &net.OpError{Op: "read"}, false},
		{"end of file", io.EOF, false},
		{"cancelled", context.Canceled, false},
		{"cancelled while dialling", dialError(context.Canceled), false},
		{"deadline of the caller", context.DeadlineExceeded, false},
		{"TLS alert", &net.OpError{Op: "remote error", Err: tls.AlertError(40)}, false},
		{"certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, false},
		{"certificate inside a dial", dialError(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false},
		{"unknown authority inside a dial", dialError(x509.UnknownAuthorityError{}), false},
		{"wrong host inside a dial", dialError(x509.HostnameError{Host: "vc", Certificate: &x509.Certificate{}}), false},
		{"expired inside a dial", dialError(x509.CertificateInvalidError{Reason: x509.Expired}), false},
		{"no roots inside a dial", dialError(x509.SystemRootsError{}), false},
	}
	for _, tt := range tests {
		if got := DialError(tt.err); got != tt.want {
			t.Errorf("%s (%v): got %t, want %t", tt.name, tt.err, got, tt.want)
		}
	}
}

// What net and net/http really return, through an http.Client.
func TestDialErrorOfTheNetwork(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake fails on purpose
	server.StartTLS()
	defer server.Close()

	proxy := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: closed})}
	slow := &http.Transport{DialContext: (&net.Dialer{Timeout: time.Nanosecond}).DialContext}
	tests := []struct {
		name string
		rt   *http.Transport
		url  string
		want bool
	}{
		{"closed port", &http.Transport{}, "http://" + closed, true},
		{"closed port of a proxy", proxy, "https://vc.invalid", true},
		{"connect timeout of the dialer", slow, server.URL, true},
		{"unknown authority", &http.Transport{}, server.URL, false},
	}
	for _, tt := range tests {
		defer tt.rt.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tt.rt}).Get(tt.url)
		if err == nil {
			resp.Body.Close()
		}
		if got := DialError(err); err == nil || got != tt.want {
			t.Errorf("%s: got %t for %v, want %t", tt.name, got, err, tt.want)
		}
	}
}

func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{net.ErrClosed, true},
		{dialError(errors.New("connection refused")), true},
		{errors.New("http2: client connection force closed via ClientConn.Close"), true},
		{errors.New("http: server closed idle connection"), true},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, false},
		{x509.HostnameError{Host: "vc", Certificate: &x509.Certificate{}}, false},
		{errors.New("unsupported protocol scheme \"ftp\""), false},
		{errors.New("net/http: invalid header field value for \"X\""), false},
	} {
		if got := Passing(tt.err); got != tt.want {
			t.Errorf("%v: got %t, want %t", tt.err, got, tt.want)
		}
	}
}
