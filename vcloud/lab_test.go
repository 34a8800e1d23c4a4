package vcloud_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys take long to make and are the same for all tests.
var (
	authority = sync.OnceValue(vmssotest.NewAuthority)
	rsaPair   = sync.OnceValue(func() tls.Certificate { return vmssotest.NewKeyPair("holder", nil) })
)

const (
	host     = "https://vcd.example.test"
	entityID = "https://vcd.example.test/cloud/org/Finance/saml/metadata/alias/vcd"
	user     = "bob@example.test"
)

var endpoint = &url.URL{Scheme: "https", Host: "vcd.example.test"}

// bearer and holder return new tokens for the organization of the labs.
func bearer() *vmsso.Token {
	return &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Audiences: []string{entityID}})}
}

func holder() *vmsso.Token {
	pair := rsaPair()
	return &vmsso.Token{
		Assertion: authority().Issue(vmssotest.Claims{Subject: user, Holder: pair.Leaf, Audiences: []string{entityID}}),
		Key:       pair.PrivateKey.(crypto.Signer),
	}
}

// A lab is a Cloud Director in memory.
type lab struct {
	server *vmssotest.Director
	base   *http.Transport
	logins []vmssotest.DirectorLogin
}

func newLab(t *testing.T, cfg vmssotest.DirectorConfig) *lab {
	t.Helper()
	l := &lab{}
	cfg.Trust = authorityCertificates()
	cfg.Orgs = map[string]string{"System": entityID, "Finance": entityID}
	cfg.OnLogin = func(login vmssotest.DirectorLogin) { l.logins = append(l.logins, login) } // one at a time
	l.server = vmssotest.NewDirector(cfg)
	net := vmssotest.NewNetwork()
	net.Serve("vcd.example.test", l.server)
	l.base = net.Transport()
	l.base.MaxConnsPerHost = 64
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		net.Close()
	})
	return l
}

func (l *lab) client(t *testing.T, a *vcloud.Authenticator, tok *vmsso.Token) (*http.Client, *vmsso.Transport) {
	t.Helper()
	c, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: host, Source: tokensource.Static(tok), Auth: a, Base: l.base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return c, tr
}

// do makes a request and returns status and body.
func do(ctx context.Context, c *http.Client, method, path string, header http.Header, body io.Reader) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, host+path, body)
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

// failed tells whether err is a LoginError, which it returns.
func failed(err error) *vmsso.LoginError {
	var le *vmsso.LoginError
	errors.As(err, &le)
	return le
}

func authorityCertificates() []*x509.Certificate {
	return []*x509.Certificate{authority().Certificate()}
}
