package bench_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// BenchmarkRequestParallel is BenchmarkRequest on all CPUs. Limit: the copy, which
// shows how the allocator scales.
func BenchmarkRequestParallel(b *testing.B) {
	base := &stub{http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}
	tr := newStubbed(b, "https://vc.example.test", base)
	for name, f := range map[string]func(*http.Request) (*http.Response, error){
		"clone": func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("Vmware-Api-Session-Id", "0123456789abcdef")
			return base.RoundTrip(req)
		},
		"vmsso": tr.RoundTrip,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				req := newRequest(b)
				for pb.Next() {
					if _, err := f(req); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// newStubbed is a transport on a base that costs nothing.
func newStubbed(b *testing.B, endpoint string, base http.RoundTripper) *vmsso.Transport {
	b.Helper()
	tr, err := vmsso.New(vmsso.Config{Endpoint: endpoint, Source: tokensource.Static(theToken()), Auth: header{}, Base: base})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tr.Close() })
	return tr
}

var theToken = sync.OnceValue(func() *vmsso.Token {
	return &vmsso.Token{Assertion: vmssotest.NewAuthority().Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}
})

// BenchmarkLoopback is a request over TLS on the loopback interface. Limit: the
// base transport alone.
func BenchmarkLoopback(b *testing.B) {
	authority := vmssotest.NewAuthority()
	server := vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}}))
	defer server.Close()
	base := server.Transport()
	defer base.CloseIdleConnections()
	tr, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Base:     base,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	s, err := tr.Session(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		rt   http.RoundTripper
	}{{"base", base}, {"vmsso", tr}} {
		b.Run(way.name, func(b *testing.B) {
			req, err := http.NewRequest(http.MethodGet, server.URL+"/api/vcenter/vm", nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header = s.Header.Clone()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := way.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

// waiters is how many wait for one login in BenchmarkStorm.
const waiters = 10_000

// BenchmarkStorm is from the end of a login to the moment when the last of 10,000
// who wait for it has its answer. Limit: a channel that is closed, on which
// everybody also listens to a context.
func BenchmarkStorm(b *testing.B) {
	b.Run("close(chan)", func(b *testing.B) {
		storm(b, func(release <-chan struct{}) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-release:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	})
	b.Run("mutex", func(b *testing.B) {
		storm(b, func(release <-chan struct{}) func(context.Context) error {
			var mu sync.Mutex
			done := false
			return func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if !done {
					<-release
					done = true
				}
				return nil
			}
		})
	})
	b.Run("vmsso", func(b *testing.B) {
		base := &stub{http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}
		storm(b, func(release <-chan struct{}) func(context.Context) error {
			tr, err := vmsso.New(vmsso.Config{Endpoint: "https://vc.example.test", Source: tokensource.Static(theToken()), Auth: held{release: release}, Base: base})
			if err != nil {
				b.Fatal(err)
			}
			return func(ctx context.Context) error {
				_, err := tr.Session(ctx)
				return err
			}
		})
	})
}

// storm lets all wait, and measures from the release on.
func storm(b *testing.B, prepare func(release <-chan struct{}) func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range b.N {
		b.StopTimer()
		release := make(chan struct{})
		wait := prepare(release)
		var waiting, done sync.WaitGroup
		for range waiters {
			waiting.Add(1)
			done.Go(func() {
				waiting.Done()
				if err := wait(ctx); err != nil {
					b.Error(err)
				}
			})
		}
		waiting.Wait()
		for range 100 { // let them get from there to where they wait
			runtime.Gosched()
		}
		b.StartTimer()
		close(release)
		done.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/waiters, "ns/waiter")
}

// held is a login that lasts until it is released.
type held struct {
	header
	release <-chan struct{}
}

func (h held) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	<-h.release
	return h.header.Login(ctx, rt, u, tok)
}

// BenchmarkHosts is the memory of transports that are logged in, one for each of
// many hosts, which share source and base.
func BenchmarkHosts(b *testing.B) {
	const hosts = 10_000
	base := &stub{http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}
	source := tokensource.Reuse(tokensource.Static(theToken()), 0)
	for range b.N {
		before, goroutines := heap(), runtime.NumGoroutine()
		all := make([]*vmsso.Transport, hosts)
		for i := range all {
			tr, err := vmsso.New(vmsso.Config{Endpoint: fmt.Sprintf("https://vc%d.example.test", i), Source: source, Auth: header{}, Base: base})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tr.Session(context.Background()); err != nil {
				b.Fatal(err)
			}
			all[i] = tr
		}
		b.ReportMetric(float64(heap()-before)/hosts, "B/host")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		for _, tr := range all {
			tr.Close()
		}
	}
}

// heap is what lives on it.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
