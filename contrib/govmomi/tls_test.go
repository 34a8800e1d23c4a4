package vmssogovmomi_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
)

// TestTrustOfGovmomiHolds: what govmomi was told of the server's certificate
// counts for logins, calls and service clients; before Attach, and after it.
func TestTrustOfGovmomiHolds(t *testing.T) {
	l := newLab(t)
	cert := certificate(t, l.pem)
	for name, tt := range map[string]struct {
		insecure bool
		trust    func(c *soap.Client) error
		trusted  bool
	}{
		"CA": {trust: func(c *soap.Client) error { return c.SetRootCAs(l.pem) }, trusted: true},
		"thumbprint": {trust: func(c *soap.Client) error {
			c.SetThumbprint(l.url.Host, soap.ThumbprintSHA256(cert))
			return nil
		}, trusted: true},
		"insecure": {insecure: true, trust: func(*soap.Client) error { return nil }, trusted: true},
		"another thumbprint": {trust: func(c *soap.Client) error {
			c.SetThumbprint(l.url.Host, strings.Repeat("AB:", 31)+"AB")
			return nil
		}},
		"nothing": {trust: func(*soap.Client) error { return nil }},
	} {
		for _, late := range []bool{false, true} {
			c := soap.NewClient(l.url, tt.insecure)
			if !late {
				if err := tt.trust(c); err != nil {
					t.Fatal(err)
				}
			}
			transports, err := vmssogovmomi.Attach(c, vmsso.Config{Source: source()})
			if err != nil {
				t.Fatal(err)
			}
			if late {
				if err := tt.trust(c); err != nil {
					t.Fatal(err)
				}
			}
			before := l.front.Logins()
			vc, err := vim25.NewClient(t.Context(), c)
			if err == nil {
				err = listProfiles(t.Context(), vc)
			}
			want := 0
			if tt.trusted {
				want = 1
			}
			if got := l.front.Logins() - before; (err == nil) != tt.trusted || got != want {
				t.Errorf("%s, after Attach: %t: %d logins, error %v; want trusted: %t", name, late, got, err, tt.trusted)
			}
			if err := transports.Close(); err != nil {
				t.Error(err)
			}
			c.CloseIdleConnections()
		}
	}
}

// TestClientCertificateOfGovmomiIsSent: one that is set where SetCertificate would
// have put it. vcsim asks for one.
func TestClientCertificateOfGovmomiIsSent(t *testing.T) {
	l := newLab(t)
	c := soap.NewClient(l.admin.URL(), false)
	t.Cleanup(c.CloseIdleConnections)
	if err := c.SetRootCAs(l.vcsimPEM); err != nil {
		t.Fatal(err)
	}
	attach(t, c, vmsso.Config{Source: source()})
	var asked atomic.Bool
	c.DefaultTransport().TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Store(true)
		return new(tls.Certificate), nil
	}
	if err := currentTime(t, c); err != nil || !asked.Load() {
		t.Errorf("%v; the certificate was asked for: %t", err, asked.Load())
	}
}

// TestHTTP2: a client that has spoken it is refused, and one that would is left
// with HTTP/1.1.
func TestHTTP2(t *testing.T) {
	l := newLab(t)
	used := l.client(t)
	used.DefaultTransport().ForceAttemptHTTP2 = true // as GOVMOMI_HTTP2=true does
	if _, err := vim25.NewClient(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if _, err := vmssogovmomi.Attach(used, vmsso.Config{Source: source()}); err == nil || !strings.Contains(err.Error(), "GOVMOMI_HTTP2") {
		t.Errorf("after a call over HTTP/2: got %v, want what to do", err)
	}

	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	c := l.client(t)
	c.DefaultTransport().ForceAttemptHTTP2 = true
	l.attach(t, c)
	if err := currentTime(t, c); err != nil {
		t.Error(err)
	}
	resp, err := c.Client.Get(l.url.String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	log.SetOutput(os.Stderr) // nobody writes to logged any more
	if resp.ProtoMajor != 1 || strings.Contains(logged.String(), "HTTP/2") {
		t.Errorf("it speaks %s, and net/http logs %q", resp.Proto, logged.String())
	}
}

// TestFilesAreTransferredInTheSession: datastores are served in that of SOAP. A
// body that can be read once is sent again all the same.
func TestFilesAreTransferredInTheSession(t *testing.T) {
	l := newLab(t)
	vc, transports := l.attached(t)
	u := *l.url
	u.Path, u.RawQuery = "/folder/web01.txt", "dcPath=DC0&dsName=LocalDS_0"
	before, err := transports.SOAP.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.front.Kill()
	upload := soap.DefaultUpload
	upload.ContentLength = 7
	if err := vc.Upload(t.Context(), io.MultiReader(strings.NewReader("content")), &u, &upload); err != nil {
		t.Error(err)
	}
	l.front.Kill()
	download := soap.DefaultDownload
	body, _, err := vc.Download(t.Context(), &u, &download)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, []byte("content")) {
		t.Errorf("got %q, %v", got, err)
	}
	if got := l.front.Logins(); got != 3 {
		t.Errorf("%d logins, want one after each end of a session", got)
	}
	for _, r := range l.vcenter.since(0) {
		if r.path == u.Path && r.cookie == "" {
			t.Errorf("%+v came without a session", r)
		}
	}
	after, err := transports.SOAP.Session(t.Context())
	if err != nil || after.ID() == before.ID() {
		t.Errorf("the session is still %v, %v", after, err)
	}
}

func certificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
