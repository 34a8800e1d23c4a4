package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// failed: vc042.example.com
	// 100 vCenters, 297 VMs; tokens: 1, logins: 99, sessions left: 0
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestOneThatHangsHoldsUpNobody: it is given up after a minute, by name, and the
// others, each of which takes a second, are asked twenty at a time.
func TestOneThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		domain := newDomain(60)
		defer domain.network.Close()
		var now, most atomic.Int32
		for host, vcenter := range domain.vcenters {
			vcenter.Automation.Inject("GET /api/vcenter/vm", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				n := now.Add(1)
				defer now.Add(-1)
				for old := most.Load(); old < n && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				if host == "vc007.example.com" {
					<-r.Context().Done()
					return
				}
				time.Sleep(time.Second)
				next.ServeHTTP(w, r)
			})
		}
		source := tokensource.Func(func(context.Context) (*vmsso.Token, error) {
			return &vmsso.Token{Assertion: domain.vcenters[domain.hosts[0]].Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}, nil
		})
		var down atomic.Int32 // attempts to reach the one that is down
		network := domain.network.Transport()
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "vc042.example.com" {
				down.Add(1)
			}
			return network.RoundTrip(req)
		})
		start := time.Now()
		for i, got := range ask(t.Context(), domain.hosts, source, base) {
			want := answer{vms: 3}
			switch domain.hosts[i] {
			case "vc007.example.com", "vc042.example.com":
				want = answer{}
				var login *vmsso.LoginError
				if refused := errors.As(got.err, &login); refused != (i == 41) || !refused && !errors.Is(got.err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v", domain.hosts[i], got.err)
				}
				got.err = nil
			}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", domain.hosts[i], got, want)
			}
		}
		if most.Load() != 20 {
			t.Errorf("%d were asked at once, want 20", most.Load())
		}
		if down.Load() != 1 {
			t.Errorf("the one that is down was tried %d times, want once", down.Load())
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %v, want the minute of the one that hangs", took)
		}
		if n := domain.sessions(); n != 0 {
			t.Errorf("%d sessions left, want none", n)
		}
	})
}

func TestProgressIsForTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	newProgress(file, 1).step()
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v: a file got the progress", info.Size(), err)
	}
	var out bytes.Buffer
	p := &progress{out: &out, total: 2}
	p.step()
	p.step()
	if want := "\r1 of 2 vCenters\r2 of 2 vCenters\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
