package bench_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// BenchmarkSigning is a message of each kind with a key of each type. Limit: the
// raw operation of the key, which over-ns/op is more than.
func BenchmarkSigning(b *testing.B) {
	for _, k := range rig.KeyTypes() {
		b.Run(k.Name, func(b *testing.B) {
			key := k.Make()
			rig.Each(b, "limit:raw", k.Raw(key))
			pair := vmssotest.NewKeyPair("alice", key)
			for _, m := range messages(b, &vmsso.Token{Assertion: rig.Assertion(rig.TokenSize, pair.Leaf), Key: key}, &pair) {
				rig.Against(b, m.name, k.Raw(key), m.make)
			}
		})
	}
}

type message struct {
	name string
	make func() error
}

// messages are those that a key of this type can sign.
func messages(b *testing.B, tok *vmsso.Token, cert *tls.Certificate) []message {
	withToken, withCertificate := newSigner(b, signer.Credentials{Token: tok}), newSigner(b, signer.Credentials{Certificate: cert})
	list := []message{
		{"LoginByToken", func() error { _, err := withToken.Message([]byte(rig.LoginByToken), time.Now()); return err }},
		{"Issue", func() error { _, err := withCertificate.Message([]byte(rig.Issue), time.Now()); return err }},
		{"Issue-from-source", untilSent(b, cert)},
	}
	if _, ok := tok.Key.(*rsa.PrivateKey); !ok {
		return list
	}
	req := rig.NewRequest(0)
	orgs := []string{"Finance", "Engineering"} // in turn, because the header of the last is kept
	return append(list,
		message{"Automation-REST", func() error { _, err := withToken.AutomationHeader(req, nil); return err }},
		message{"Automation-JSON-RPC", func() error { _, err := withToken.JSONRPC([]byte(rig.CreateSession), time.Now()); return err }},
		message{"Director", func() error {
			orgs[0], orgs[1] = orgs[1], orgs[0]
			_, err := withToken.VCloudHeader(orgs[0])
			return err
		}},
	)
}

// untilSent asks a token source for a token, until the request is sent.
func untilSent(b *testing.B, cert *tls.Certificate) func() error {
	sent := errors.New("sent")
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: "https://vc.example.test/sts/STSService", Certificate: cert,
		Base: rig.Func(func(*http.Request) (*http.Response, error) { return nil, sent }),
	})
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		if _, err := source.Token(context.Background()); !errors.Is(err, sent) {
			return err
		}
		return nil
	}
}

func newSigner(b *testing.B, c signer.Credentials) *signer.Signer {
	s, err := signer.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkSigningBearer is a message without a signature.
func BenchmarkSigningBearer(b *testing.B) {
	s := newSigner(b, signer.Credentials{Token: rig.Token()})
	limit := func() error { _ = strings.Clone(rig.Token().Assertion); return nil }
	rig.Each(b, "limit:copy-of-the-token", limit)
	rig.Against(b, "LoginByToken", limit, func() error { _, err := s.Message([]byte(rig.LoginByToken), time.Now()); return err })
	rig.Against(b, "Automation-JSON-RPC", limit, func() error { _, err := s.JSONRPC([]byte(rig.CreateSession), time.Now()); return err })
}

// BenchmarkSigningUnprepared is with an RSA key that was put together by hand, for
// which nothing was computed in advance. Limit: the raw operation of that key once
// Precompute was called.
func BenchmarkSigningUnprepared(b *testing.B) {
	key := rig.RSAKey(2048)
	bare := &rsa.PrivateKey{PublicKey: key.PublicKey, D: key.D, Primes: key.Primes}
	raw := func(key *rsa.PrivateKey) func() error {
		return func() error { _, err := key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); return err }
	}
	s := newSigner(b, signer.Credentials{Token: &vmsso.Token{Assertion: rig.Assertion(rig.TokenSize, vmssotest.NewKeyPair("alice", key).Leaf), Key: bare}})
	rig.Against(b, "raw", raw(key), raw(bare))
	rig.Against(b, "LoginByToken", raw(key), func() error { _, err := s.Message([]byte(rig.LoginByToken), time.Now()); return err })
}

// BenchmarkParse reads a token, once for all that is done with it. Limit: to read
// its tags with encoding/xml, and to make nothing of them.
func BenchmarkParse(b *testing.B) {
	text := rig.Token().Assertion
	tags := func() error {
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := d.RawToken(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	rig.Each(b, "limit:RawToken", tags)
	rig.Against(b, "ParseAssertion", tags, func() error { _, err := signer.ParseAssertion(text); return err })
	rig.Against(b, "New", tags, func() error { _, err := signer.New(signer.Credentials{Token: rig.Token()}); return err })
}
