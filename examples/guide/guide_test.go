package guide

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const currentTime = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25">` +
	`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`

// lab is a vCenter, a transport that trusts it, and a token that it takes.
func lab(t *testing.T, cfg vmssotest.VCenterConfig) (*vmssotest.VCenter, *vmssotest.Server, vmsso.TokenSource) {
	vcenter := vmssotest.NewVCenter(cfg)
	server := vmssotest.Listen(vcenter)
	t.Cleanup(server.Close)
	return vcenter, server, tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})
}

// get and post fail the test unless the answer is 200.
func get(t *testing.T, client *http.Client, url string) { do(t, client, http.MethodGet, url, "") }

func post(t *testing.T, client *http.Client, url string) {
	do(t, client, http.MethodPost, url, currentTime)
}

func do(t *testing.T, client *http.Client, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s", method, url, resp.Status, said)
	}
}

func base(t *testing.T, server *vmssotest.Server) *http.Transport {
	b := server.Transport()
	t.Cleanup(b.CloseIdleConnections)
	return b
}

func TestAutomationSnippet(t *testing.T) {
	vcenter, server, source := lab(t, vmssotest.VCenterConfig{})
	client, transport, err := Automation(base(t, server), server.URL, source)
	if err != nil {
		t.Fatal(err)
	}
	get(t, client, server.URL+"/api/vcenter/vm")
	if err := transport.Close(); err != nil || vcenter.Logins() != 1 || vcenter.Sessions() != 0 {
		t.Errorf("Close: %v, after %d logins, %d sessions left", err, vcenter.Logins(), vcenter.Sessions())
	}
}

func TestDirectorSnippet(t *testing.T) {
	const entityID = "https://vcd.example.com/saml/metadata"
	issuer := vmssotest.NewAuthority()
	director := vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: []*x509.Certificate{issuer.Certificate()}, Orgs: map[string]string{"Finance": entityID}})
	server := vmssotest.Listen(director)
	defer server.Close()
	token := issuer.Issue(vmssotest.Claims{Subject: "bob@example.com", Audiences: []string{entityID}})
	client, transport, err := Director(t.Context(), base(t, server), server.URL, tokensource.Static(&vmsso.Token{Assertion: token}))
	if err != nil {
		t.Fatal(err)
	}
	get(t, client, server.URL+"/api/org")
	if err := transport.Close(); err != nil || director.Logins() != 1 {
		t.Errorf("Close: %v, after %d logins", err, director.Logins())
	}
}

func TestVCenterSnippet(t *testing.T) {
	machine := vmssotest.NewKeyPair("backup", nil)
	vcenter, server, _ := lab(t, vmssotest.VCenterConfig{SolutionUsers: map[string]*x509.Certificate{"backup": machine.Leaf}})
	client, routes, err := VCenter(t.Context(), base(t, server), strings.TrimPrefix(server.URL, "https://"), &machine)
	if err != nil {
		t.Fatal(err)
	}
	post(t, client, server.URL+"/sdk")
	get(t, client, server.URL+"/api/vcenter/vm")
	if vcenter.VSphere.Logins() != 1 || vcenter.Automation.Logins() != 1 || vcenter.STS.Issued() != 1 {
		t.Errorf("%d logins by SOAP, %d by REST, %d tokens, want one of each", vcenter.VSphere.Logins(), vcenter.Automation.Logins(), vcenter.STS.Issued())
	}
	if err := routes.Close(); err != nil || vcenter.Sessions() != 0 {
		t.Errorf("Close: %v, %d sessions left", err, vcenter.Sessions())
	}
}

// The second client is the next run of the program: it finds the session of the first.
func TestKeptSnippet(t *testing.T) {
	vcenter, server, source := lab(t, vmssotest.VCenterConfig{})
	dir, key := t.TempDir(), make([]byte, 32)
	for range 2 {
		client, transport, err := Kept(base(t, server), server.URL+"/sdk", dir, source, key)
		if err != nil {
			t.Fatal(err)
		}
		post(t, client, server.URL+"/sdk")
		if err := transport.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if vcenter.Logins() != 1 || vcenter.Sessions() != 1 {
		t.Errorf("%d logins, %d sessions, want 1 and 1", vcenter.Logins(), vcenter.Sessions())
	}
}

func TestTrustSnippets(t *testing.T) {
	_, server, _ := lab(t, vmssotest.VCenterConfig{})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	none := func(*http.Request) (*url.URL, error) { return nil, nil }
	byCA := TrustCA(roots, nil)
	byCA.Proxy = none
	sum := sha256.Sum256(server.Certificate().Raw)
	pinned, err := TrustOne(hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := TrustOne(strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		base  *http.Transport
		trust bool
	}{{"CA", byCA, true}, {"thumbprint", pinned, true}, {"another thumbprint", stranger, false}} {
		t.Run(tc.name, func(t *testing.T) {
			defer tc.base.CloseIdleConnections()
			resp, err := (&http.Client{Transport: tc.base}).Get(server.URL + "/api")
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != tc.trust {
				t.Errorf("got %v, want the server trusted: %t", err, tc.trust)
			}
		})
	}
}

func TestLongRunningSnippet(t *testing.T) {
	vcenter, server, source := lab(t, vmssotest.VCenterConfig{})
	var log strings.Builder
	client, transport, err := LongRunning(base(t, server), server.URL+"/sdk", source, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	post(t, client, server.URL+"/sdk")
	vcenter.Kill()
	post(t, client, server.URL+"/sdk")
	if err := transport.Close(); err != nil || vcenter.Logins() != 2 {
		t.Errorf("Close: %v, after %d logins, want 2", err, vcenter.Logins())
	}
	if strings.Count(log.String(), "logged in") != 2 {
		t.Errorf("the log does not tell of two logins: %s", &log)
	}
}

func TestExplainSnippet(t *testing.T) {
	_, server, _ := lab(t, vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	for _, tc := range []struct {
		name, password string
		base           http.RoundTripper
		want           string
	}{
		{"wrong password", "guess", base(t, server), "user name, password or certificate are wrong"},
		{"server that is not trusted", "secret", &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}, "sent nothing"},
		{"request that fails by itself", "secret", base(t, server), "not the login"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source, err := tokensource.NewSTS(tokensource.STSConfig{
				URL: server.URL + "/sts/STSService", Username: "alice@vsphere.local", Password: tc.password, Base: tc.base,
			})
			if err != nil {
				t.Fatal(err)
			}
			client, transport, err := Automation(tc.base, server.URL, source)
			if err != nil {
				t.Fatal(err)
			}
			defer transport.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if tc.want == "not the login" {
				get(t, client, server.URL+"/api/vcenter/vm")
				cancel()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/vcenter/vm", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			if got := Explain(err); !strings.Contains(got, tc.want) {
				t.Errorf("got %q for %v, want %q", got, err, tc.want)
			}
		})
	}
}
