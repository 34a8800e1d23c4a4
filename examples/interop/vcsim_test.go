// Package interop_test tries the library on a vCenter that others wrote:
// govmomi's simulator vcsim, with all of its endpoints. That of SOAP alone is
// tried in examples/quickstart.
//
// vcsim verifies no tokens, which is what package vmssotest is for. It has its
// own idea of paths, answers and sessions, and that is what counts here.
package interop_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	_ "github.com/vmware/govmomi/lookup/simulator" // each adds an endpoint to vcsim
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/sts/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sessionPath = "/rest/com/vmware/cis/session"
	tagPath     = "/rest/com/vmware/cis/tagging/tag"

	// What counts as a login; see recorder.
	byREST = "POST " + sessionPath + " 200"
	byRPC  = "com.vmware.cis.session create 200"
)

// A vcsim is a running simulator.
type vcsim struct {
	url       string          // without a path
	transport *http.Transport // trusts it
}

func newVcsim(t *testing.T) *vcsim {
	t.Helper()
	model := simulator.VPX()
	t.Cleanup(model.Remove)
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.RegisterEndpoints = true
	server := model.Service.NewServer()
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	v := &vcsim{
		url:       "https://" + server.URL.Host,
		transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, MaxIdleConnsPerHost: goroutines},
	}
	t.Cleanup(v.transport.CloseIdleConnections) // before the server, which waits for its connections
	return v
}

// login returns a client that is logged in by our transport, and a recorder
// below that.
func (v *vcsim) login(t *testing.T, protocol automation.Protocol, tok *vmsso.Token) (*http.Client, *vmsso.Transport, *recorder) {
	t.Helper()
	rec := &recorder{base: v.transport, seen: map[string]int{}}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: rec}, vmsso.Config{
		Endpoint: v.url,
		Source:   tokensource.Static(tok),
		Auth:     &automation.Authenticator{Protocol: protocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, transport, rec
}

// status is the answer to a request past our transport, in the session with
// this id.
func (v *vcsim) status(t *testing.T, method, path, id string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("vmware-api-session-id", id)
	resp, err := v.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// endSession ends the transport's session as another program could that knows
// its id.
func (v *vcsim) endSession(t *testing.T, transport *vmsso.Transport) {
	t.Helper()
	id := sessionID(t, transport)
	if got := v.status(t, http.MethodDelete, sessionPath, id); got != http.StatusOK {
		t.Fatalf("DELETE: status %d, want 200", got)
	}
	if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusUnauthorized {
		t.Fatalf("after the end of the session: status %d, want 401", got)
	}
}

// sessionID returns the id of the transport's session. It logs in if there is
// none.
func sessionID(t *testing.T, transport *vmsso.Transport) string {
	t.Helper()
	s, err := transport.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Header.Get("vmware-api-session-id")
}

// A recorder counts what passes, with the status of the answer: REST as "GET
// /path?query 200", and JSON-RPC, where the client tells the operation in
// headers, as "service operation 200".
type recorder struct {
	base http.RoundTripper

	mu   sync.Mutex
	seen map[string]int
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	what := req.Method + " " + req.URL.RequestURI()
	if service := req.Header.Get("Vapi-Service"); service != "" {
		what = service + " " + req.Header.Get("Vapi-Operation")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[fmt.Sprint(what, " ", resp.StatusCode)]++
	return resp, nil
}

func (r *recorder) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[what]
}

// kinds are the two kinds of tokens.
var kinds = sync.OnceValue(func() map[string]*vmsso.Token {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("backup", nil)
	return map[string]*vmsso.Token{
		"bearer": {Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})},
		"holder-of-key": {
			Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local", Holder: pair.Leaf}),
			Key:       pair.PrivateKey.(crypto.Signer),
		},
	}
})

// listTags returns the ids of the tags, as any code would that takes an
// http.Client.
func (v *vcsim) listTags(t *testing.T, client *http.Client) ([]string, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.url+tagPath, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	var ids []string
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &struct{ Value *[]string }{&ids})
	}
	return ids, err
}

// goroutines is how many callers come at once.
const goroutines = 50

// atOnce makes a call from each of many goroutines, and returns their errors.
func atOnce(call func() error) error {
	var all sync.WaitGroup
	gate := make(chan struct{})
	errs := make([]error, goroutines)
	for i := range errs {
		all.Go(func() {
			<-gate
			errs[i] = call()
		})
	}
	close(gate)
	all.Wait()
	return errors.Join(errs...)
}
