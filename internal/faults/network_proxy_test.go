package faults_test

import (
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

const proxyHost = "http://proxy.example.test:3128"

// A proxy is an HTTP proxy in the lab's network, which notes what it sees of the requests.
type proxy struct {
	l *lab

	mu   sync.Mutex // guards the fields below
	seen []*http.Request
	to   string // where tunnels lead; "": where they should
	deny int    // the status of all answers instead of a tunnel; 0: none
}

// newProxy serves a proxy and makes the lab's base use it.
func newProxy(l *lab) *proxy {
	p := &proxy{l: l}
	l.net.Serve(proxyHost, p)
	l.base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example.test:3128"})
	return p
}

func (p *proxy) denies(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deny = status
}

func (p *proxy) leadsTo(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = addr
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r)
	deny, addr := p.deny, cmp.Or(p.to, r.Host)
	p.mu.Unlock()
	if deny != 0 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(deny)
		_, _ = io.WriteString(w, "<html><body>NotAuthenticated: the proxy wants to know you</body></html>")
		return
	}
	server, err := p.l.net.DialContext(r.Context(), "tcp", addr)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
}

// Fault 8: behind a proxy, which alone decides where a tunnel leads, stands another server with a certificate that the CA is good for. The pin holds:
// that server sees nothing, and the right one is logged in to through the same proxy.
func TestPinHoldsBehindAProxyThatLeadsElsewhere(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		l := newLab(t)
		l.base.ForceAttemptHTTP2 = http2
		pin, _ := thumbprint(t, l, vcHost)
		var err error
		if l.base.TLSClientConfig, err = vmsso.PinCertificate(l.base.TLSClientConfig, pin); err != nil {
			t.Fatal(err)
		}
		var seen atomic.Int64
		l.net.Serve("impostor.example.test", counting(&seen, l.vcenter))
		p := newProxy(l)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		p.leadsTo("impostor.example.test:443")
		for range 3 {
			if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrTLSIdentity) {
				t.Errorf("HTTP/2 %t: got %v, want ErrTLSIdentity", http2, err)
			}
		}
		if len(p.seen) != 3 || seen.Load() != 0 {
			t.Errorf("HTTP/2 %t: %d tunnels and %d requests in them, want 3 and 0", http2, len(p.seen), seen.Load())
		}
		p.leadsTo("")
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
		if l.sts.Requests() != 1 {
			t.Errorf("HTTP/2 %t: the token service saw %d requests, want 1", http2, l.sts.Requests())
		}
	}
}

// Fault 14: a proxy answers with a page of HTML instead of a tunnel, or a gateway in place of the server. That is no fault of the server whatever the
// page says: nothing counts as refused, no session as gone. The error names the status, and the proxy sees no more than CONNECT without credentials.
func TestPageOfAProxyIsNoAnswerOfTheServer(t *testing.T) {
	l := newLab(t)
	p := newProxy(l)
	first, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, first)
	second, _ := l.rest(t, tokensource.Static(holder(rsaPair())))
	for status, text := range map[int]string{http.StatusProxyAuthRequired: "Proxy Authentication Required", http.StatusBadGateway: "Bad Gateway"} {
		l.base.CloseIdleConnections()
		p.denies(status)
		for _, f := range []func() (int, string, error){
			func() (int, string, error) { return currentTime(t.Context(), first) }, // in a session
			func() (int, string, error) { return vms(t.Context(), second) },        // at the login
		} {
			if _, _, err := f(); err == nil || !strings.Contains(err.Error(), text) || errors.Is(err, vmsso.ErrRejected) || errors.Is(err, vmsso.ErrNoSession) {
				t.Errorf("%d from the proxy: got %v, want %q", status, err, text)
			}
		}
		p.denies(0)
	}
	gateway := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>NotAuthenticated s3cr3t</html>")
	}
	l.automation.Inject("POST /api/session", 1, gateway)
	_, _, err := vms(t.Context(), second)
	if le := loginError(err); le == nil || le.Status != http.StatusBadGateway || errors.Is(err, vmsso.ErrRejected) {
		t.Errorf("got %v, want a LoginError that names status 502", err)
	}
	l.vsphere.Inject("CurrentTime", 1, gateway)
	if status, page, err := currentTime(t.Context(), first); status != http.StatusBadGateway || !strings.Contains(page, "s3cr3t") {
		t.Errorf("got %d, %v, want the gateway's page as it is", status, err)
	}
	must(t, currentTime, first)
	must(t, vms, second)
	expect(t, l.vsphere, 1, 1)
	expect(t, l.automation, 1, 1)
	checkTunnels(t, p)
}

// checkTunnels demands that the proxy saw CONNECT for the servers and nothing of value.
func checkTunnels(t *testing.T, p *proxy) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) < 5 {
		t.Errorf("the proxy saw %d requests only", len(p.seen))
	}
	for _, r := range p.seen {
		for name := range r.Header {
			if !slices.Contains([]string{"User-Agent", "Content-Length"}, name) {
				t.Errorf("the proxy saw the field %s: %q", name, r.Header[name])
			}
		}
		if r.Method != http.MethodConnect || r.Host != vcHost+":443" {
			t.Errorf("the proxy saw %s for %s, want CONNECT", r.Method, r.Host)
		}
	}
}
