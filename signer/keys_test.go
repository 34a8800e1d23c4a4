package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// An hsm is a key that is elsewhere: what is signed is up to fake, if it is set.
type hsm struct {
	key  crypto.Signer
	fake func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (h *hsm) Public() crypto.PublicKey { return h.key.Public() }

func (h *hsm) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h.fake != nil {
		return h.fake(digest, opts)
	}
	return h.key.Sign(random, digest, opts)
}

func TestXmlsecVerifiesMessagesOfAKeyThatIsElsewhere(t *testing.T) {
	for _, kind := range []string{"RSA-2048", "P-256", "P-521"} {
		c := validPair(t, &hsm{key: testKeys[kind]()})
		msg := message(t, newSigner(t, signer.Credentials{Token: bound(t, c)}), loginByToken)
		if ok, said := xmlsec(t, msg, c); !ok {
			t.Errorf("%s: refused by xmlsec1: %s", kind, said)
		}
	}
}

// badSignatures are what a broken key may return.
var badSignatures = []struct {
	name, kind string
	fake       func(key crypto.Signer, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	say        string
}{
	{"fails", "RSA-2048", func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errNoToken }, "slot 0 has no token"},
	{"fails", "P-256", func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errNoToken }, "slot 0 has no token"},
	{"nothing", "RSA-2048", signs(nil), "does not fit its public key"},
	{"nothing", "P-256", signs(nil), "does not fit its public key"},
	{"garbage", "RSA-2048", signs(make([]byte, 256)), "does not fit its public key"},
	{"garbage", "P-256", signs([]byte("garbage")), "does not fit its public key"},
	{"the signature of another key", "RSA-2048", by(func() crypto.Signer { return freshKey("RSA-2048") }), "does not fit its public key"},
	{"the signature of another key", "P-256", by(func() crypto.Signer { return freshKey("P-256") }), "does not fit its public key"},
	{"a signature of something else", "RSA-2048", func(k crypto.Signer, d []byte, o crypto.SignerOpts) ([]byte, error) {
		return k.Sign(rand.Reader, make([]byte, len(d)), o)
	}, "does not fit its public key"},
	{"one byte more", "P-256", func(k crypto.Signer, d []byte, o crypto.SignerOpts) ([]byte, error) {
		sig, err := k.Sign(rand.Reader, d, o)
		return append(sig, 0), err
	}, "does not fit its public key"},
	{"r||s in place of ASN.1", "P-256", func(k crypto.Signer, d []byte, _ crypto.SignerOpts) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, k.(*ecdsa.PrivateKey), d)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), err
	}, "does not fit its public key"},
	{"ASN.1 with zeros", "P-256", func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) {
		return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int), new(big.Int)})
	}, "does not fit its public key"},
	{"ASN.1 with huge numbers", "P-256", func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) {
		huge := new(big.Int).Lsh(big.NewInt(1), 4096)
		return asn1.Marshal(struct{ R, S *big.Int }{huge, huge})
	}, "does not fit its public key"},
}

var errNoToken = errors.New("slot 0 has no token")

func signs(sig []byte) func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) {
	return func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) { return sig, nil }
}

func by(other func() crypto.Signer) func(crypto.Signer, []byte, crypto.SignerOpts) ([]byte, error) {
	return func(_ crypto.Signer, d []byte, o crypto.SignerOpts) ([]byte, error) {
		return other().Sign(rand.Reader, d, o)
	}
}

func TestKeyThatSignsWronglyIsFoundByNew(t *testing.T) {
	for _, tt := range badSignatures {
		k := &hsm{key: testKeys[tt.kind]()}
		k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) { return tt.fake(k.key, d, o) }
		c := validPair(t, k)
		for name, credentials := range map[string]signer.Credentials{"token": {Token: bound(t, c)}, "certificate": {Certificate: c}} {
			s, err := signer.New(credentials)
			if err == nil || s != nil || !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), tt.say) {
				t.Errorf("%s, %s (%s): got %v, %v, want ErrUnsupportedKey that says %q", tt.kind, tt.name, name, s, err, tt.say)
			}
		}
		if tt.name == "fails" {
			if _, err := signer.New(signer.Credentials{Token: bound(t, c)}); !errors.Is(err, errNoToken) {
				t.Errorf("%s: %q does not wrap the key's own error", tt.kind, err)
			}
		}
	}
}

// A key that is elsewhere can go wrong later: a card is pulled, a service rotates
// its key.
func TestKeyThatSignsWronglyLaterGivesNoMessage(t *testing.T) {
	for _, tt := range badSignatures {
		k := &hsm{key: testKeys[tt.kind]()}
		s := newSigner(t, signer.Credentials{Token: bound(t, validPair(t, k))})
		message(t, s, loginByToken)
		k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) { return tt.fake(k.key, d, o) }
		msg, err := s.Message([]byte(loginByToken), noon)
		if err == nil || msg != nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s, %s: Message returns %d bytes, %v, want an error alone that says %q", tt.kind, tt.name, len(msg), err, tt.say)
		}
		msg, err = s.Envelope(parse(t, []byte(loginByToken)), noon)
		if err == nil || msg != nil {
			t.Errorf("%s, %s: Envelope returns %d bytes, %v, want an error alone", tt.kind, tt.name, len(msg), err)
		}
		k.fake = nil
		message(t, s, loginByToken) // the card is back
	}
}

// rsa.PrivateKey.Sign has two schemes; XML signatures of rsa-sha256 have this one.
func TestKeyIsAskedForTheSchemeOfItsAlgorithm(t *testing.T) {
	tests := []struct {
		kind string
		hash crypto.Hash
	}{
		{"RSA-2048", crypto.SHA256}, {"RSA-3072", crypto.SHA256}, {"P-256", crypto.SHA256}, {"P-384", crypto.SHA384}, {"P-521", crypto.SHA512},
	}
	for _, tt := range tests {
		k, calls := &hsm{key: testKeys[tt.kind]()}, 0
		k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			if calls++; o != crypto.SignerOpts(tt.hash) || len(d) != tt.hash.Size() {
				t.Errorf("%s: asked to sign %d bytes with %v, want %v", tt.kind, len(d), o, tt.hash)
			}
			return k.key.Sign(rand.Reader, d, o)
		}
		newSigner(t, signer.Credentials{Certificate: &tls.Certificate{Certificate: validPair(t, k.key).Certificate, PrivateKey: k}})
		if calls != 1 {
			t.Errorf("%s: New signed %d times, want 1 trial", tt.kind, calls)
		}
	}
}
