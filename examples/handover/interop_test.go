package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/session/cache"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	_ "github.com/vmware/govmomi/vapi/simulator" // adds its endpoint to vcsim
	"github.com/vmware/govmomi/vim25"
	vimsoap "github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/vmssotest"
)

// curl runs the real one with a header on its standard input, and returns the
// status. Nothing secret is among its arguments.
func curl(t *testing.T, server *vmssotest.Server, name, value string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--silent", "--show-error", "--config", "-", "--cacert", ca, "--noproxy", "*", "--output", os.DevNull, "--write-out", "%{http_code}",
	}, args...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(curlConfig(name, value))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v, %s", err, stderr.String())
	}
	return string(out)
}

func TestInteropCurlUsesTheSession(t *testing.T) {
	for _, s := range startSystems() {
		t.Cleanup(s.server.Close)
		base := s.server.Transport()
		t.Cleanup(base.CloseIdleConnections)
		transport, err := vmsso.New(vmsso.Config{Endpoint: s.server.URL, Source: s.source, Auth: s.auth, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { transport.Close() })
		session, err := transport.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		name, value, err := s.take(session)
		if err != nil {
			t.Fatal(err)
		}
		args, refused := []string{"--header", "Accept: " + s.accept, s.server.URL + s.path}, "401"
		if s.body != "" {
			args, refused = append(args, "--header", "Content-Type: text/xml", "--data", s.body), "500"
		}
		if got := curl(t, s.server, name, value, args...); got != "200" {
			t.Errorf("%s: curl gets %s", s.name, got)
		}
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
		if got := curl(t, s.server, name, value, args...); got != refused {
			t.Errorf("%s: curl gets %s after Close, want %s", s.name, got, refused)
		}
	}
}

func TestInteropCurlSendsWhatNeedsEscapes(t *testing.T) {
	got := ""
	server := vmssotest.Listen(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Cookie") }))
	defer server.Close()
	const want = `vmware_soap_session="a\b#c"; d='e'`
	if status := curl(t, server, "Cookie", want, server.URL); status != "200" || got != want {
		t.Errorf("status %s, cookie %s, want %s", status, got, want)
	}
}

// A vcsim is govmomi's simulator, and where govc keeps its sessions.
type vcsim struct {
	url       *url.URL // with the user, as govc has it
	transport *http.Transport
	roots     *x509.CertPool
	dir       string
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
	v := &vcsim{roots: x509.NewCertPool(), dir: t.TempDir()}
	v.url = &url.URL{Scheme: "https", Host: server.URL.Host, Path: "/sdk", User: url.User("session")}
	v.roots.AddCert(server.Certificate())
	v.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: v.roots}}
	t.Cleanup(v.transport.CloseIdleConnections)
	return v
}

func (v *vcsim) login(t *testing.T, auth vmsso.Authenticator) (*vmsso.Transport, *vmsso.Session) {
	t.Helper()
	transport, err := vmsso.New(vmsso.Config{Endpoint: "https://" + v.url.Host + "/sdk", Source: source(), Auth: auth, Base: v.transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	s, err := transport.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return transport, s
}

// config makes govmomi's client trust the simulator.
func (v *vcsim) config(c *vimsoap.Client) error {
	c.DefaultTransport().TLSClientConfig = &tls.Config{RootCAs: v.roots}
	return nil
}

var errNoSession = errors.New("the saved session is not valid: govc would log in now")

// saved is where govc looks; a login that it would have to make fails.
func (v *vcsim) saved() cache.Session {
	return cache.Session{
		URL: v.url, DirSOAP: filepath.Join(v.dir, "sessions"), DirREST: filepath.Join(v.dir, "rest_sessions"),
		LoginSOAP: func(context.Context, *vim25.Client) error { return errNoSession },
		LoginREST: func(context.Context, *rest.Client) error { return errNoSession },
	}
}

// TestInteropGovmomiLoadsTheSavedSession: what govc and Terraform's vsphere provider
// load is our session, until Close.
func TestInteropGovmomiLoadsTheSavedSession(t *testing.T) {
	v := newVcsim(t)
	transport, s := v.login(t, &soap.Authenticator{})
	at := v.saved()
	c := new(vim25.Client)
	if err := at.Login(t.Context(), c, v.config); !errors.Is(err, errNoSession) {
		t.Fatalf("got %v before anything is saved", err)
	}
	if err := saveSOAP(t.Context(), s, v.saved(), v.config); err != nil {
		t.Fatal(err)
	}
	c = new(vim25.Client)
	if err := at.Login(t.Context(), c, v.config); err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	if list, err := find.NewFinder(c).VirtualMachineList(t.Context(), "*"); err != nil || len(list) == 0 {
		t.Errorf("%d machines, %v", len(list), err)
	}
	if err := transport.Close(); err != nil {
		t.Fatal(err)
	}
	if err := at.Login(t.Context(), new(vim25.Client), v.config); err == nil {
		t.Error("the saved session is valid after Close")
	}
	files, err := os.ReadDir(at.DirSOAP)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %d files", err, len(files))
	}
	if info, err := files[0].Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, others may read the file: %v", err, info)
	}
}

// A session that is saved later replaces one that is alive too.
func TestInteropGovmomiLoadsTheSessionThatWasSavedLast(t *testing.T) {
	v := newVcsim(t)
	at := v.saved()
	first, s := v.login(t, &soap.Authenticator{})
	second, s2 := v.login(t, &soap.Authenticator{})
	firstREST, r := v.login(t, &automation.Authenticator{})
	secondREST, r2 := v.login(t, &automation.Authenticator{})
	for _, s := range []*vmsso.Session{s, s2} {
		if err := saveSOAP(t.Context(), s, v.saved(), v.config); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*vmsso.Session{r, r2} {
		if err := saveREST(t.Context(), s, v.saved(), v.config); err != nil {
			t.Fatal(err)
		}
	}
	for _, transport := range []*vmsso.Transport{first, firstREST} {
		if err := transport.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c, rc := new(vim25.Client), new(rest.Client)
	if err := at.Login(t.Context(), c, v.config); err != nil {
		t.Errorf("SOAP: %v", err)
	}
	if err := at.Login(t.Context(), rc, v.config); err != nil {
		t.Errorf("REST: %v", err)
	}
	c.CloseIdleConnections()
	rc.CloseIdleConnections()
	if err := errors.Join(second.Close(), secondREST.Close()); err != nil {
		t.Error(err)
	}
}

func TestInteropGovmomiLoadsTheSavedRESTSession(t *testing.T) {
	v := newVcsim(t)
	transport, s := v.login(t, &automation.Authenticator{})
	at := v.saved()
	if err := at.Login(t.Context(), new(rest.Client), v.config); !errors.Is(err, errNoSession) {
		t.Fatalf("got %v before anything is saved", err)
	}
	if err := saveREST(t.Context(), s, v.saved(), v.config); err != nil {
		t.Fatal(err)
	}
	c := new(rest.Client)
	if err := at.Login(t.Context(), c, v.config); err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	if info, err := c.Session(t.Context()); err != nil || info == nil {
		t.Errorf("%v, %v", info, err)
	}
	if err := transport.Close(); err != nil {
		t.Fatal(err)
	}
	if err := at.Login(t.Context(), new(rest.Client), v.config); err == nil {
		t.Error("the saved session is valid after Close")
	}
}

func TestWrongKindOfSessionIsNotSaved(t *testing.T) {
	if err := saveSOAP(t.Context(), &vmsso.Session{}, cache.Session{}, nil); err == nil {
		t.Error("saveSOAP: no error")
	}
	if err := saveREST(t.Context(), &vmsso.Session{}, cache.Session{}, nil); err == nil {
		t.Error("saveREST: no error")
	}
}
