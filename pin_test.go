package vmsso_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestPinnedServerAloneIsTrusted(t *testing.T) {
	calls := 0
	server := vmssotest.Listen(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer server.Close()
	pin := fmt.Sprintf("%X", sha256.Sum256(server.Certificate().Raw))
	var colons []string
	for i := 0; i < len(pin); i += 2 {
		colons = append(colons, pin[i:i+2])
	}
	other := strings.Repeat("0", 64)
	for _, tc := range []struct {
		name  string
		pins  []string
		trust bool
	}{
		{"capitals", []string{pin}, true},
		{"small letters", []string{strings.ToLower(pin)}, true},
		{"colons", []string{strings.Join(colons, ":")}, true},
		{"one of two", []string{other, pin}, true},
		{"another", []string{other}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls = 0
			cfg, err := vmsso.PinCertificate(nil, tc.pins...)
			if err != nil {
				t.Fatal(err)
			}
			base := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
			defer base.CloseIdleConnections()
			s := newSystem()
			tr, err := vmsso.New(vmsso.Config{Endpoint: server.URL, Source: tokens(oneToken), Auth: &auth{sys: s}, Base: base})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			for range 2 { // the second connection may resume the TLS session of the first
				req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
				resp, err := tr.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
				if tc.trust != (err == nil) || !tc.trust && (!errors.Is(err, vmsso.ErrTLSIdentity) || !strings.Contains(err.Error(), pin)) {
					t.Errorf("got %v, want trust %t", err, tc.trust)
				}
				base.CloseIdleConnections()
			}
			if !tc.trust && calls != 0 {
				t.Errorf("the server saw %d requests", calls)
			}
		})
	}
}

// A proxy connects to whom it likes: the pin holds for the TLS inside.
func TestPinHoldsBehindAProxy(t *testing.T) {
	impostor := vmssotest.Listen(http.NotFoundHandler())
	defer impostor.Close()
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			running.Go(func() { tunnel(c, strings.TrimPrefix(impostor.URL, "https://")) })
		}
	})
	defer running.Wait()
	defer proxy.Close()

	for pin, trust := range map[string]bool{strings.Repeat("0", 64): false, fmt.Sprintf("%x", sha256.Sum256(impostor.Certificate().Raw)): true} {
		cfg, err := vmsso.PinCertificate(&tls.Config{}, pin)
		if err != nil {
			t.Fatal(err)
		}
		base := &http.Transport{TLSClientConfig: cfg, Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.Addr().String()})}
		resp, err := (&http.Client{Transport: base}).Get("https://vc.example.test/")
		if err == nil {
			resp.Body.Close()
		}
		if trust != (err == nil) || !trust && !errors.Is(err, vmsso.ErrTLSIdentity) {
			t.Errorf("got %v, want trust %t", err, trust)
		}
		base.CloseIdleConnections()
	}
}

// tunnel answers CONNECT with a connection to addr, whatever was asked for.
func tunnel(c net.Conn, addr string) {
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := http.ReadRequest(r); err != nil {
		return
	}
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(to, r); to.Close() })
	both.Go(func() { _, _ = io.Copy(c, to); c.Close() })
	both.Wait()
}

func TestPinThatIsNoneIsRefused(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"00"}, {strings.Repeat("0", 40)}, {strings.Repeat("x", 64)}, {strings.Repeat("0", 64), "sha1"}} {
		if cfg, err := vmsso.PinCertificate(nil, bad...); err == nil || cfg != nil {
			t.Errorf("%q: got %v, want an error", bad, err)
		}
	}
}

func TestPinKeepsTheRestOfTheConfiguration(t *testing.T) {
	called := false
	mine := &tls.Config{ServerName: "vc.example.test", MinVersion: tls.VersionTLS13, VerifyConnection: func(tls.ConnectionState) error { called = true; return errBoom }}
	server := vmssotest.Listen(http.NotFoundHandler())
	defer server.Close()
	cfg, err := vmsso.PinCertificate(mine, fmt.Sprintf("%x", sha256.Sum256(server.Certificate().Raw)))
	if err != nil || cfg.ServerName != mine.ServerName || cfg.MinVersion != mine.MinVersion || mine.InsecureSkipVerify {
		t.Errorf("got %v, %+v; the caller's own was changed: %t", err, cfg, mine.InsecureSkipVerify)
	}
	base := &http.Transport{TLSClientConfig: cfg}
	if _, err := (&http.Client{Transport: base}).Get(server.URL); !errors.Is(err, errBoom) || !called {
		t.Errorf("the caller's own check was not made: %v", err)
	}
}
