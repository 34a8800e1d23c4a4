package faults_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys take long to make and are the same for all tests.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	rsaPair   = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("solution", nil) })
	otherPair = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("other", nil) })
)

const (
	user     = "alice@vsphere.local"
	password = `p<&>"'s3cr3t`
	vcHost   = "vc.example.test"
	vcdHost  = "vcd.example.test"
	vcURL    = "https://" + vcHost
	vcdURL   = "https://" + vcdHost
)

// labConfig is for tests whose servers are not as usual. What a lab needs, Trust and Authority, is filled in.
type labConfig struct {
	sts        vmssotest.STSConfig
	vsphere    vmssotest.VSphereConfig
	automation vmssotest.AutomationConfig
	director   vmssotest.DirectorConfig
}

// A lab is a network in memory with a vCenter (SOAP, Automation and token service on one host) and a Cloud Director, which count what happens.
type lab struct {
	net        *vmssotest.Network
	sts        *vmssotest.STS
	vsphere    *vmssotest.VSphere
	automation *vmssotest.Automation
	director   *vmssotest.Director
	vcenter    http.Handler // what is served at vcHost
	base       *http.Transport
}

func newLab(t *testing.T, change ...func(*labConfig)) *lab {
	t.Helper()
	trust := []*x509.Certificate{authority().Certificate()}
	cfg := &labConfig{}
	cfg.sts = vmssotest.STSConfig{
		Authority:     authority(),
		Users:         map[string]string{user: password},
		SolutionUsers: map[string]*x509.Certificate{"solution": rsaPair().Leaf},
	}
	cfg.vsphere.Trust, cfg.automation.Trust, cfg.director.Trust = trust, trust, trust
	for _, f := range change {
		f(cfg)
	}
	l := &lab{
		net:        vmssotest.NewNetwork(),
		sts:        vmssotest.NewSTS(cfg.sts),
		vsphere:    vmssotest.NewVSphere(cfg.vsphere),
		automation: vmssotest.NewAutomation(cfg.automation),
		director:   vmssotest.NewDirector(cfg.director),
	}
	mux := http.NewServeMux()
	mux.Handle("/", l.vsphere)
	mux.Handle("/api", l.automation)
	mux.Handle("/api/", l.automation)
	mux.Handle("/rest/", l.automation)
	mux.Handle("/sts/", l.sts)
	l.vcenter = mux
	l.net.Serve(vcHost, l.vcenter)
	l.net.Serve(vcdHost, l.director)
	l.base = l.net.Transport()
	l.base.MaxConnsPerHost = 64
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		l.net.Close()
	})
	return l
}

// bubble runs a test in the time of testing/synctest. The keys are made before: they would take up its time, and belong to all tests.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	authority()
	rsaPair()
	otherPair()
	synctest.Test(t, f)
}

// soap returns a client that is logged in to the vSphere endpoint with tokens of this source.
func (l *lab) soap(t *testing.T, source vmsso.TokenSource, change ...func(*vmsso.Config)) (*http.Client, *vmsso.Transport) {
	t.Helper()
	return l.wrap(t, vmsso.Config{Endpoint: vcURL + "/sdk", Source: source, Auth: &soap.Authenticator{}}, change)
}

// rest is soap for vSphere Automation.
func (l *lab) rest(t *testing.T, source vmsso.TokenSource, change ...func(*vmsso.Config)) (*http.Client, *vmsso.Transport) {
	t.Helper()
	return l.wrap(t, vmsso.Config{Endpoint: vcURL, Source: source, Auth: &automation.Authenticator{}}, change)
}

// vcd is soap for the tenant Finance of the Cloud Director.
func (l *lab) vcd(t *testing.T, source vmsso.TokenSource, change ...func(*vmsso.Config)) (*http.Client, *vmsso.Transport) {
	t.Helper()
	return l.wrap(t, vmsso.Config{Endpoint: vcdURL, Source: source, Auth: &vcloud.Authenticator{Org: "Finance"}}, change)
}

func (l *lab) wrap(t *testing.T, cfg vmsso.Config, change []func(*vmsso.Config)) (*http.Client, *vmsso.Transport) {
	t.Helper()
	cfg.Base = l.base
	for _, f := range change {
		f(&cfg)
	}
	c, tr, err := vmsso.Wrap(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return c, tr
}

// source asks the lab's token service; without credentials in cfg, with the user's password.
func (l *lab) source(t *testing.T, cfg tokensource.STSConfig) *tokensource.STS {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = vcURL
	}
	if cfg.Base == nil {
		cfg.Base = l.base
	}
	if cfg.Username == "" && cfg.Certificate == nil && cfg.Credentials == nil {
		cfg.Username, cfg.Password = user, password
	}
	s, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type sourceFunc func(context.Context) (*vmsso.Token, error)

func (f sourceFunc) Token(ctx context.Context) (*vmsso.Token, error) { return f(ctx) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// bearer and holder return new tokens that all servers of a lab take.
func bearer(change ...func(*vmssotest.Claims)) *vmsso.Token {
	c := vmssotest.Claims{Subject: user}
	for _, f := range change {
		f(&c)
	}
	return &vmsso.Token{Assertion: authority().Issue(c)}
}

func holder(pair tls.Certificate) *vmsso.Token {
	return &vmsso.Token{
		Assertion: authority().Issue(vmssotest.Claims{Subject: "solution@vsphere.local", Holder: pair.Leaf}),
		Key:       pair.PrivateKey.(crypto.Signer),
	}
}

// message is a SOAP message as a client without govmomi would write it.
func message(operation, content string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><` + operation + ` xmlns="urn:vim25">` + content + `</` + operation + `></Body></Envelope>`
}

// do makes a request and returns status and body.
func do(ctx context.Context, c *http.Client, method, url string, header http.Header, body io.Reader) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, "", err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// currentTime makes the smallest SOAP call, with a body that cannot be read twice, as govmomi's.
func currentTime(ctx context.Context, c *http.Client) (int, string, error) {
	body := message("CurrentTime", `<_this type="ServiceInstance">ServiceInstance</_this>`)
	return do(ctx, c, http.MethodPost, vcURL+"/sdk", http.Header{
		"Content-Type": {`text/xml; charset="utf-8"`},
		"Soapaction":   {"urn:vim25/8.0.3.0"},
	}, io.MultiReader(strings.NewReader(body)))
}

// vms and orgs are the ordinary calls of the other two systems.
func vms(ctx context.Context, c *http.Client) (int, string, error) {
	return do(ctx, c, http.MethodGet, vcURL+"/api/vcenter/vm", nil, nil)
}

func orgs(ctx context.Context, c *http.Client) (int, string, error) {
	return do(ctx, c, http.MethodGet, vcdURL+"/api/org", nil, nil)
}

// must demands that a call succeeds: must(t, currentTime, c).
func must(t *testing.T, call func(context.Context, *http.Client) (int, string, error), c *http.Client) string {
	t.Helper()
	status, text, err := call(t.Context(), c)
	if err != nil || status != http.StatusOK {
		t.Fatalf("status %d, error %v, answer %.300s", status, err, text)
	}
	return text
}

// server is what a server of the lab counts of sessions.
type server interface {
	Logins() int
	Refused() int
	Sessions() int
	Reasons() []string
	MaxConcurrentLogins() int
}

// expect demands these figures of a server.
func expect(t *testing.T, s server, logins, sessions int) {
	t.Helper()
	if s.Logins() != logins || s.Sessions() != sessions {
		t.Errorf("the server counted %d logins and has %d sessions, want %d and %d; refusals: %q",
			s.Logins(), s.Sessions(), logins, sessions, s.Reasons())
	}
}

// loginError returns the LoginError that err is, or nil.
func loginError(err error) *vmsso.LoginError {
	var le *vmsso.LoginError
	errors.As(err, &le)
	return le
}
