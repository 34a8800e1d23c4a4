package vmssogovmomi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/vmware/govmomi/cns/simulator" // each adds a service to vcsim
	_ "github.com/vmware/govmomi/eam/simulator"
	_ "github.com/vmware/govmomi/lookup/simulator"
	_ "github.com/vmware/govmomi/pbm/simulator"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/ssoadmin/simulator"
	_ "github.com/vmware/govmomi/sts/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	_ "github.com/vmware/govmomi/vsan/simulator"
	_ "github.com/vmware/govmomi/vslm/simulator"
	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A lab is govmomi's simulator with all of its services, behind a front that
// verifies logins by token. Its single sign-on is on a host of its own, as that of
// an external Platform Services Controller.
type lab struct {
	url   *url.URL // of the front, with /sdk
	front *vmssotest.VSphere
	admin *vim25.Client // logged in to vcsim with a password, past the front
	pem   string        // file with the certificates of the two hosts

	vcsimPEM string // and of what is behind them

	vcenter, psc recorder // what has come to the two hosts
	base         recorder // what clients that are attached have sent
}

var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	password  = url.UserPassword("administrator", "correct horse battery staple")
)

func newLab(t *testing.T) *lab {
	t.Helper()
	model := simulator.VPX()
	t.Cleanup(model.Remove)
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: password}
	model.Service.RegisterEndpoints = true
	vcsim := model.Service.NewServer()
	t.Cleanup(vcsim.Close)

	trusted := x509.NewCertPool()
	trusted.AddCert(vcsim.Certificate())
	direct := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, MaxIdleConnsPerHost: goroutines}
	t.Cleanup(direct.CloseIdleConnections)
	backend := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "https", Host: vcsim.URL.Host})
	}, Transport: direct}

	l := &lab{front: vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}, Backend: backend})}
	front, psc := vmssotest.Listen(l.vcenter.before(l.front)), vmssotest.Listen(l.psc.before(backend))
	l.vcenter.url, l.psc.url = front.URL, psc.URL
	t.Cleanup(front.Close)
	t.Cleanup(psc.Close)
	l.pem = writePEM(t, front.Certificate(), psc.Certificate())
	l.url = parse(t, front.URL+"/sdk")

	settings := model.Service.Context.Map.OptionManager()
	settings.UpdateOptions(&types.UpdateOptions{ChangedValue: []types.BaseOptionValue{
		&types.OptionValue{Key: "config.vpxd.sso.sts.uri", Value: psc.URL + "/sts/STSService/vsphere.local"},
		&types.OptionValue{Key: "config.vpxd.sso.admin.uri", Value: psc.URL + "/sso-adminserver/sdk/vsphere.local"},
	}})
	l.vcsimPEM = writePEM(t, vcsim.Certificate())
	l.admin = l.govmomiAlone(t, parse(t, "https://"+vcsim.URL.Host+"/sdk"), l.vcsimPEM)
	return l
}

// client returns a client of govmomi that trusts the lab, and is not logged in.
func (l *lab) client(t *testing.T) *soap.Client {
	t.Helper()
	c := soap.NewClient(l.url, false)
	if err := c.SetRootCAs(l.pem); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// attached returns one that is attached.
func (l *lab) attached(t *testing.T) (*vim25.Client, *vmssogovmomi.Transports) {
	t.Helper()
	c := l.client(t)
	transports := l.attach(t, c)
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return vc, transports
}

// attach attaches c, and counts its requests.
func (l *lab) attach(t *testing.T, c *soap.Client) *vmssogovmomi.Transports {
	t.Helper()
	return attach(t, c, vmsso.Config{Source: source(), Base: counted{&l.base, vmssogovmomi.Base(c)}})
}

func attach(t *testing.T, c *soap.Client, cfg vmsso.Config) *vmssogovmomi.Transports {
	t.Helper()
	transports, err := vmssogovmomi.Attach(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transports.Close(); err != nil {
			t.Error(err)
		}
	})
	return transports
}

// source returns tokens of alice.
func source() vmsso.TokenSource {
	return tokensource.Static(&vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})
}

// govmomiAlone returns a client that logs in by itself, with a password.
func (l *lab) govmomiAlone(t *testing.T, u *url.URL, pem string) *vim25.Client {
	t.Helper()
	c := soap.NewClient(u, false)
	if err := c.SetRootCAs(pem); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	manager := session.NewManager(vc)
	if err := manager.Login(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Logout(context.WithoutCancel(t.Context())) })
	return vc
}

// terminate ends all sessions of SOAP but the administrator's, in vcsim, and
// returns how many.
func (l *lab) terminate(t *testing.T) int {
	t.Helper()
	manager := session.NewManager(l.admin)
	var all mo.SessionManager
	err := property.DefaultCollector(l.admin).RetrieveOne(t.Context(), manager.Reference(), []string{"sessionList", "currentSession"}, &all)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, s := range all.SessionList {
		if s.Key != all.CurrentSession.Key {
			keys = append(keys, s.Key)
		}
	}
	if err := manager.TerminateSession(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

// A request is what a recorder has seen of one.
type request struct {
	op, path        string // op: the first element of the Body
	cookie, element string // element: the text of vcSessionCookie
	placeholder     bool   // it is somewhere in it
}

// A recorder notes requests.
type recorder struct {
	url string // of the host, without a path

	mu   sync.Mutex // guards seen
	seen []request
}

var (
	operation = regexp.MustCompile(`Body[^>]*><(\w+)`)
	elements  = regexp.MustCompile(`<vcSessionCookie[^>]*>([^<]*)`)
	marker    = regexp.MustCompile(`vmsso-keeps-the-session`)
)

func (r *recorder) note(h http.Header, path string, body []byte) {
	seen := request{path: path, placeholder: marker.Match(body)}
	for name, values := range h {
		seen.placeholder = seen.placeholder || marker.MatchString(name+strings.Join(values, " "))
	}
	if c, err := (&http.Request{Header: h}).Cookie(soap.SessionCookieName); err == nil {
		seen.cookie = c.Value
	}
	if m := operation.FindSubmatch(body); m != nil {
		seen.op = string(m[1])
	}
	if m := elements.FindSubmatch(body); m != nil {
		seen.element = string(m[1])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, seen)
}

// before returns a handler that notes what it hands on.
func (r *recorder) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.note(req.Header, req.URL.Path, body)
		next.ServeHTTP(w, req)
	})
}

// A counted RoundTripper notes what it sends.
type counted struct {
	*recorder
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.note(req.Header, req.URL.Path, nil)
	return c.base.RoundTrip(req)
}

// since returns what was seen after the first n.
func (r *recorder) since(n int) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[n:]
}

func (r *recorder) count() int { return len(r.since(0)) }

// at counts the requests to a path.
func (r *recorder) at(path string) (n int) {
	for _, seen := range r.since(0) {
		if seen.path == path {
			n++
		}
	}
	return n
}

// logins counts the messages that are to log in.
func (r *recorder) logins() (n int) {
	for _, seen := range r.since(0) {
		if seen.op == "Login" || seen.op == "LoginByToken" {
			n++
		}
	}
	return n
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func writePEM(t *testing.T, certs ...*x509.Certificate) string {
	t.Helper()
	var b bytes.Buffer
	for _, cert := range certs {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// goroutines is how many callers come at once.
const goroutines = 200
