package soap_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys take long to make and are the same for all tests.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	rsaPair   = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("solution", nil) })
	otherPair = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("other", nil) })
	ecPair    = sync.OnceValue(func() tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return vmssotest.NewKeyPair("solution-ec", key)
	})
)

const (
	user     = "alice@vsphere.local"
	password = `p<&>"'s3cr3t`
)

// A lab is a vCenter in memory: SOAP endpoint and token service on one host.
type lab struct {
	net     *vmssotest.Network
	vsphere *vmssotest.VSphere
	sts     *vmssotest.STS
	base    *http.Transport

	mu     sync.Mutex
	logins []vmssotest.Login
	issued []vmssotest.Issued
}

func newLab(t *testing.T) *lab {
	t.Helper()
	authority() // not within the time of a test
	rsaPair()
	otherPair()
	ecPair()
	l := &lab{net: vmssotest.NewNetwork()}
	l.vsphere = vmssotest.NewVSphere(vmssotest.VSphereConfig{
		Trust: []*x509.Certificate{authority().Certificate()},
		OnLogin: func(login vmssotest.Login) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.logins = append(l.logins, login)
		},
	})
	l.sts = vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     authority(),
		Users:         map[string]string{user: password},
		SolutionUsers: map[string]*x509.Certificate{"solution": rsaPair().Leaf, "solution-ec": ecPair().Leaf},
		OnIssue: func(i vmssotest.Issued) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.issued = append(l.issued, i)
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/", l.vsphere)
	mux.Handle("/sts/", l.sts)
	l.net.Serve("vc.example.test", mux)
	l.base = l.net.Transport()
	l.base.MaxConnsPerHost = 64
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		l.net.Close()
	})
	return l
}

// client returns a client that is logged in with tokens of this source.
func (l *lab) client(t *testing.T, source vmsso.TokenSource, change ...func(*vmsso.Config)) (*http.Client, *vmsso.Transport) {
	t.Helper()
	cfg := vmsso.Config{Endpoint: "https://vc.example.test", Source: source, Auth: &soap.Authenticator{}, Base: l.base}
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

func (l *lab) stsSource(t *testing.T, cfg tokensource.STSConfig) *tokensource.STS {
	t.Helper()
	cfg.URL = "https://vc.example.test"
	if cfg.Base == nil {
		cfg.Base = l.base
	}
	s, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bearer(change ...func(*vmssotest.Claims)) *vmsso.Token {
	c := vmssotest.Claims{Subject: user}
	for _, f := range change {
		f(&c)
	}
	return &vmsso.Token{Assertion: authority().Issue(c)}
}

func holderOfKey(pair tls.Certificate) *vmsso.Token {
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

const (
	serviceInstance = `<_this type="ServiceInstance">ServiceInstance</_this>`
	allVMs          = `<_this type="PropertyCollector">propertyCollector</_this><specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet><objectSet><obj type="Folder">group-v3</obj></objectSet></specSet><options></options>`
)

// call makes a SOAP call the way govmomi does: with a body that cannot be read
// twice. It returns the status and the answer.
func call(ctx context.Context, c *http.Client, operation, content string) (int, string, error) {
	body := io.MultiReader(strings.NewReader(message(operation, content)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://vc.example.test/sdk", body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	req.Header.Set("SOAPAction", "urn:vim25/8.0.3.0")
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// mustCall makes the call and demands that it succeeds.
func mustCall(t *testing.T, c *http.Client, operation, content string) string {
	t.Helper()
	status, text, err := call(t.Context(), c, operation, content)
	if err != nil || status != 200 || !strings.Contains(text, operation+"Response") {
		t.Fatalf("%s: status %d, error %v, answer %.300s", operation, status, err, text)
	}
	return text
}

// expect demands these figures of the server.
func (l *lab) expect(t *testing.T, logins, sessions int) {
	t.Helper()
	if l.vsphere.Logins() != logins || l.vsphere.Sessions() != sessions {
		t.Errorf("the server counted %d logins and has %d sessions, want %d and %d; refusals: %q",
			l.vsphere.Logins(), l.vsphere.Sessions(), logins, sessions, l.vsphere.Reasons())
	}
}
