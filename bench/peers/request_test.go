package peers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/tokensource"
)

// newTransport is a transport that logs in with the first request.
func newTransport(tb testing.TB, endpoint string, auth vmsso.Authenticator, base http.RoundTripper) *vmsso.Transport {
	tb.Helper()
	tr, err := vmsso.New(vmsso.Config{Endpoint: endpoint, Source: tokensource.Static(rig.Token()), Auth: auth, Base: base})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { tr.Close() })
	return tr
}

// reuse yields an OAuth token that is known already, and whose expiry is checked.
func reuse() oauth2.TokenSource {
	return oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: strings.Clone(rig.SessionID), Expiry: time.Now().Add(24 * time.Hour)}, nil)
}

// A way is a RoundTripper and what it adds to a request.
type way struct {
	name          string
	rt            http.RoundTripper
	header, value string
}

// ways are RoundTrippers that add something to each request, but for
// go-retryablehttp, which only would send it again.
func ways(tb testing.TB, base http.RoundTripper) []way {
	again := retryablehttp.NewClient()
	again.HTTPClient.Transport = base
	again.Logger = nil
	return []way{
		{"limit:maps.Clone", rig.ByHand(base), rig.SessionHeader, rig.SessionID},
		{"req.Clone", rig.ByClone(base), rig.SessionHeader, rig.SessionID},
		{"vmsso", newTransport(tb, "https://vc.example.test", rig.Header{}, base), rig.SessionHeader, rig.SessionID},
		{"oauth2", &oauth2.Transport{Source: reuse(), Base: base}, "Authorization", "Bearer " + rig.SessionID},
		{"retryablehttp", &retryablehttp.RoundTripper{Client: again}, "", ""},
	}
}

// BenchmarkRequest is one request in a session that exists, on a base that costs
// nothing. Limits: that base, and the least that keeps the contract of
// http.RoundTripper. vmsso does what oauth2 and go-retryablehttp do together.
func BenchmarkRequest(b *testing.B) {
	base := rig.NewStub()
	send := func(rt http.RoundTripper) func() error {
		req := rig.NewRequest(4)
		return func() error { _, err := rt.RoundTrip(req); return err }
	}
	rig.Each(b, "limit:base", send(base))
	list := ways(b, base)
	least := send(list[0].rt)
	rig.Each(b, list[0].name, least)
	for _, w := range list[1:] {
		rig.Against(b, w.name, least, send(w.rt))
	}
}

// BenchmarkRequestParallel is BenchmarkRequest on one CPU and on all.
func BenchmarkRequestParallel(b *testing.B) {
	for _, w := range ways(b, rig.NewStub()) {
		rig.Parallel(b, w.name, func() func() error {
			req := rig.NewRequest(4)
			return func() error { _, err := w.rt.RoundTrip(req); return err }
		})
	}
}

// What is compared must add its header, and leave the caller's request alone.
func TestRequestsCarryTheSession(t *testing.T) {
	var sent *http.Request
	base := rig.Func(func(req *http.Request) (*http.Response, error) {
		sent = req
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	for _, w := range ways(t, base) {
		req := rig.NewRequest(4)
		resp, err := w.rt.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		resp.Body.Close()
		if w.header != "" && sent.Header.Get(w.header) != w.value {
			t.Errorf("%s: %s is %q, want %q", w.name, w.header, sent.Header.Get(w.header), w.value)
		}
		if len(req.Header) != 4 || sent.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: the caller's header is %v, what was sent %v", w.name, req.Header, sent.Header)
		}
	}
}

// cookieClients are two clients that send a session cookie. A jar is one for all
// hosts, as is usual; ours is that of one host.
func cookieClients(tb testing.TB, hosts int, base http.RoundTripper) (jar, ours *http.Client) {
	all, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range hosts {
		all.SetCookies(host(i), []*http.Cookie{{Name: rig.SessionCookie, Value: rig.SessionID, Path: "/", Secure: true, HttpOnly: true}})
	}
	return &http.Client{Transport: base, Jar: all}, &http.Client{Transport: newTransport(tb, host(0).String(), rig.Cookie{}, base)}
}

// host is the URL of one of many hosts of a domain.
func host(i int) *url.URL {
	return &url.URL{Scheme: "https", Host: fmt.Sprintf("vc%05d.corp.example.com", i), Path: "/sdk"}
}

// BenchmarkCookies is a request through an http.Client whose session is a cookie.
// Limit: the client without any.
func BenchmarkCookies(b *testing.B) {
	base := rig.NewStub()
	for _, hosts := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("%d-hosts", hosts), func(b *testing.B) {
			jar, ours := cookieClients(b, hosts, base)
			send := func(client *http.Client) func() error {
				req := rig.NewRequest(4)
				req.URL, req.Host = host(0), ""
				return func() error {
					delete(req.Header, "Cookie") // which the client with a jar adds to the caller's request, each time one more
					_, err := client.Do(req)
					return err
				}
			}
			limit := send(&http.Client{Transport: base})
			rig.Each(b, "limit:no-cookie", limit)
			rig.Against(b, "vmsso", limit, send(ours))
			rig.Against(b, "net/http/cookiejar", limit, send(jar))
		})
	}
}

// Both clients must send the same cookie.
func TestClientsSendTheSameCookie(t *testing.T) {
	var sent []string
	base := rig.Func(func(req *http.Request) (*http.Response, error) {
		sent = append(sent, req.Header.Get("Cookie"))
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	jar, ours := cookieClients(t, 10, base)
	for _, c := range []*http.Client{jar, ours} {
		resp, err := c.Get(host(0).String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if want := rig.SessionCookie + "=" + rig.SessionID; len(sent) != 2 || sent[0] != want || sent[1] != want {
		t.Errorf("the cookies are %q, want %q twice", sent, want)
	}
}

// BenchmarkLoopback is a request over TLS on the loopback interface. Limit: the
// base transport alone.
func BenchmarkLoopback(b *testing.B) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	base := server.Client().Transport
	through := func(rt http.RoundTripper) func() error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
		if err != nil {
			b.Fatal(err)
		}
		return func() error {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	}
	rig.Each(b, "limit:base", through(base))
	rig.Against(b, "vmsso", through(base), through(newTransport(b, server.URL, rig.Header{}, base)))
	rig.Against(b, "oauth2", through(base), through(&oauth2.Transport{Source: reuse(), Base: base}))
}
