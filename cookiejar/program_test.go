package cookiejar_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/cookiejar"
)

// asProgram is the environment variable that makes the test binary a program.
const asProgram = "COOKIEJAR_TEST_PROGRAM"

// An order is what a program reads, in JSON: the first is its configuration, each further one lets it make its calls. At the end of its orders it closes
// its transport.
type order struct {
	URL, Token, Dir string
	CA, StoreKey    []byte
	LoginTimeout    time.Duration
	Calls           int // at the same time
}

// A report is what it writes: that it asks for the lease, or what came of an order.
type report struct {
	Waits          bool
	Logins         int // begun
	Errors, Faults []string
}

// program is the main function of a program.
func program() int {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var o order
	if err := in.Decode(&o); err != nil {
		return fail(err)
	}
	var mu sync.Mutex // guards the output and r
	var r report
	add := func(to *[]string, what string) {
		mu.Lock()
		defer mu.Unlock()
		*to = append(*to, what)
	}
	files, err := cookiejar.NewFileStore(o.Dir)
	if err != nil {
		return fail(err)
	}
	ca := x509.NewCertPool()
	if !ca.AppendCertsFromPEM(o.CA) {
		return fail(errors.New("no CA"))
	}
	var logins atomic.Int32
	c, tr, err := vmsso.Wrap(nil, vmsso.Config{
		Endpoint: o.URL, Source: static(o.Token), Auth: &automation.Authenticator{}, Base: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca}, MaxConnsPerHost: 2},
		Store: &announced{files, func() {
			mu.Lock()
			defer mu.Unlock()
			_ = out.Encode(report{Waits: true})
		}},
		Identity: alice, StoreKey: o.StoreKey, LoginTimeout: o.LoginTimeout,
		Trace: &vmsso.Trace{
			LoginStart: func() { logins.Add(1) },
			StoreFault: func(op string, err error) { add(&r.Faults, op+": "+err.Error()) },
		},
	})
	if err != nil {
		return fail(err)
	}
	for in.Decode(&order{}) == nil {
		var wg sync.WaitGroup
		for range o.Calls {
			wg.Go(func() {
				if err := call(c, o.URL+"/api/vcenter/vm"); err != nil {
					add(&r.Errors, err.Error())
				}
			})
		}
		wg.Wait()
		mu.Lock()
		r.Logins = int(logins.Swap(0))
		_ = out.Encode(r)
		r = report{}
		mu.Unlock()
	}
	if err := tr.Close(); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func call(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", resp.StatusCode, err)
	}
	return nil
}

// announced tells when the lease is asked for.
type announced struct {
	vmsso.SessionStore
	lock func()
}

func (a *announced) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	a.lock()
	return a.SessionStore.Lock(ctx, key)
}

// A process is a program that runs.
type process struct {
	*exec.Cmd
	orders  *json.Encoder
	stdin   io.Closer
	reports *json.Decoder
}

// start starts a program, which waits for an order.
func start(t *testing.T, o order) *process {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	p := &process{Cmd: exec.Command(self)}
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	must(t, err)
	out, err := p.StdoutPipe()
	must(t, err)
	p.stdin, p.orders, p.reports = in, json.NewEncoder(in), json.NewDecoder(out)
	must(t, p.Start(), p.orders.Encode(o))
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	return p
}

// begin lets it make its calls.
func (p *process) begin(t *testing.T) {
	t.Helper()
	must(t, p.orders.Encode(order{}))
}

// waits returns when it asks for the lease.
func (p *process) waits(t *testing.T) {
	t.Helper()
	if r := p.next(t); !r.Waits {
		t.Fatalf("the process did not ask for the lease: %+v", r)
	}
}

// done returns what came of its calls.
func (p *process) done(t *testing.T) report {
	t.Helper()
	for {
		if r := p.next(t); !r.Waits {
			return r
		}
	}
}

func (p *process) next(t *testing.T) (r report) {
	t.Helper()
	if err := p.reports.Decode(&r); err != nil {
		t.Fatalf("a process has ended: %v", err)
	}
	return r
}

// end lets processes close their transports, all at once: with -race, a process takes a second to end.
func end(t *testing.T, all ...*process) {
	t.Helper()
	for _, p := range all {
		must(t, p.stdin.Close())
	}
	for _, p := range all {
		if err := p.Wait(); err != nil {
			t.Errorf("a process: %v", err)
		}
	}
}
