// Package bench_test measures what the library adds to a request and to a
// login. Only ratios within one run count: compare a row with the one that it
// names as its limit.
package bench_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// stub is a base transport that costs nothing.
type stub struct{ resp http.Response }

func (s *stub) RoundTrip(*http.Request) (*http.Response, error) { return &s.resp, nil }

// header is an Authenticator with a session of one header, as REST has it.
type header struct{ vmsso.Defaults }

func (header) Login(context.Context, http.RoundTripper, *url.URL, *vmsso.Token) (*vmsso.Session, error) {
	return &vmsso.Session{Header: http.Header{"Vmware-Api-Session-Id": {"0123456789abcdef"}}}, nil
}
func (header) Logout(context.Context, http.RoundTripper, *url.URL, *vmsso.Session) error { return nil }
func (header) Expired(*http.Response) vmsso.Verdict                                      { return vmsso.No }

func newRequest(b *testing.B) *http.Request {
	req, err := http.NewRequest(http.MethodGet, "https://vc.example.test/api/vcenter/vm", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"bench"}, "X-Request-Id": {"1"}, "Accept-Language": {"en"}}
	return req
}

// BenchmarkRequest is one request in a session that exists. Limit: the stub,
// and a copy of the request made by req.Clone.
func BenchmarkRequest(b *testing.B) {
	base := &stub{http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}
	authority := vmssotest.NewAuthority()
	tr, err := vmsso.New(vmsso.Config{
		Endpoint: "https://vc.example.test",
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     header{},
		Base:     base,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	run := func(name string, f func(*http.Request) (*http.Response, error)) {
		b.Run(name, func(b *testing.B) {
			req := newRequest(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("stub", base.RoundTrip)
	run("clone", func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.Header.Set("Vmware-Api-Session-Id", "0123456789abcdef")
		return base.RoundTrip(req)
	})
	run("vmsso", tr.RoundTrip)
}

// BenchmarkLoginMessage is one LoginByToken message. Limit: the raw operation
// of the key.
func BenchmarkLoginMessage(b *testing.B) {
	authority := vmssotest.NewAuthority()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	content := []byte(`<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>`)
	for name, key := range map[string]crypto.Signer{"RSA-2048": rsaKey, "P-256": ecKey, "bearer": nil} {
		claims := vmssotest.Claims{Subject: "alice@vsphere.local"}
		if key != nil {
			claims.Holder = vmssotest.NewKeyPair("alice", key).Leaf
			b.Run(name+"/raw", func(b *testing.B) {
				digest := sha256.Sum256(content)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		s, err := signer.New(signer.Credentials{Token: &vmsso.Token{Assertion: authority.Issue(claims), Key: key}})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/message", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Message(content, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
