package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// What cannot work is refused here, with advice, and not by a server.
func TestCredentialsThatCannotWorkAreRefusedWithAdvice(t *testing.T) {
	hok, bearer := vectorToken(t), bearerToken(t)
	key := hok.Key
	certificate := vectorPair(t)
	token := func(assertion string, key crypto.Signer) signer.Credentials {
		return signer.Credentials{Token: &vmsso.Token{Assertion: assertion, Key: key}}
	}
	own := func(kind string) signer.Credentials { // a token that was issued for such a key
		return signer.Credentials{Token: bound(t, validPair(t, testKeys[kind]()))}
	}
	cert := func(c *tls.Certificate) signer.Credentials { return signer.Credentials{Certificate: c} }
	tests := []struct {
		name string
		c    signer.Credentials
		is   error // nil: none of the errors that callers branch on
		say  string
	}{
		{"nothing", signer.Credentials{}, nil, "give a token, a certificate, or a user name and password"},
		{"a token and a password", signer.Credentials{Token: bearer, Username: "jo", Password: "secret"}, nil, "give one"},
		{"a token and a user name", signer.Credentials{Token: bearer, Username: "jo"}, nil, "give one"},
		{"a token and a certificate", signer.Credentials{Token: hok, Certificate: certificate}, nil, "give one"},
		{"a user name alone", signer.Credentials{Username: "jo"}, nil, "give both"},
		{"a password alone", signer.Credentials{Password: "secret"}, nil, "give both"},
		{"a certificate and a user name", signer.Credentials{Certificate: certificate, Username: "jo"}, nil, "give both"},
		{"a control character in the user name", signer.Credentials{Username: "j\x00o", Password: "secret"}, nil, "user name has a control character at byte 1"},
		{"a control character in the password", signer.Credentials{Username: "jo", Password: "secret\x1b"}, nil, "password has a control character at byte 6"},
		{"a password that is not UTF-8", signer.Credentials{Username: "jo", Password: "s\xe9cret"}, nil, "password has invalid UTF-8 at byte 1"},

		{"no assertion", token("", nil), vmsso.ErrUnsupportedToken, "it is empty"},
		{"no assertion, but a key", token("", key), vmsso.ErrUnsupportedToken, "it is empty"},
		{"a bearer token with a key", token(bearer.Assertion, key), vmsso.ErrUnsupportedKey, "leave Token.Key nil"},
		{"a holder-of-key token without its key", token(hok.Assertion, nil), vmsso.ErrUnsupportedKey, "give its private key as Token.Key"},
		{"the key of another holder", token(hok.Assertion, testKeys["RSA-2048"]()), vmsso.ErrUnsupportedKey, `not the key that the token was issued for (certificate "CN=test-solution`},
		{"a key of another kind", token(hok.Assertion, testKeys["P-256"]()), vmsso.ErrUnsupportedKey, "not the key that the token was issued for"},
		{"a key that is nil", token(hok.Assertion, (*rsa.PrivateKey)(nil)), vmsso.ErrUnsupportedKey, "the key is a nil *rsa.PrivateKey"},
		{"RSA-1024", own("RSA-1024"), vmsso.ErrUnsupportedKey, "make one with 2048 or more"},
		{"Ed25519", own("Ed25519"), vmsso.ErrUnsupportedKey, "vSphere takes RSA (2048 bits or more) and ECDSA keys"},
		{"P-224", own("P-224"), vmsso.ErrUnsupportedKey, "use P-256, P-384 or P-521"},

		{"a certificate of an RSA-1024 key", cert(validPair(t, testKeys["RSA-1024"]())), vmsso.ErrUnsupportedKey, "make one with 2048 or more"},
		{"a certificate of an Ed25519 key", cert(validPair(t, testKeys["Ed25519"]())), vmsso.ErrUnsupportedKey, "vSphere takes RSA"},
		{"a certificate of a P-224 key", cert(validPair(t, testKeys["P-224"]())), vmsso.ErrUnsupportedKey, "use P-256"},
		{"a certificate without its key", cert(&tls.Certificate{Certificate: certificate.Certificate}), vmsso.ErrUnsupportedKey, "without a private key that can sign"},
		{"a certificate with a key that cannot sign", cert(&tls.Certificate{Certificate: certificate.Certificate, PrivateKey: "key"}), vmsso.ErrUnsupportedKey, "without a private key that can sign"},
		{"a key without its certificate", cert(&tls.Certificate{PrivateKey: key}), vmsso.ErrUnsupportedKey, "without a private key"},
		{"an empty certificate", cert(&tls.Certificate{}), vmsso.ErrUnsupportedKey, "without a private key"},
		{"a certificate with a nil key", cert(&tls.Certificate{Certificate: certificate.Certificate, PrivateKey: (*ecdsa.PrivateKey)(nil)}), vmsso.ErrUnsupportedKey, "the key is a nil *ecdsa.PrivateKey"},
		{"a certificate that is none", cert(&tls.Certificate{Certificate: [][]byte{[]byte("certificate")}, PrivateKey: key}), vmsso.ErrUnsupportedKey, "cannot be read"},
		{"a certificate with another key", cert(&tls.Certificate{Certificate: certificate.Certificate, PrivateKey: testKeys["RSA-2048"]()}), vmsso.ErrUnsupportedKey, `not that of the certificate "CN=test-solution`},
		{"a certificate of yesterday", cert(pair(t, testKeys["P-256"](), -48*time.Hour, -24*time.Hour)), vmsso.ErrUnsupportedKey, `the certificate "CN=holder" is valid from`},
		{"a certificate of tomorrow", cert(pair(t, testKeys["P-256"](), 24*time.Hour, 48*time.Hour)), vmsso.ErrUnsupportedKey, `the certificate "CN=holder" is valid from`},
		{"a certificate of yesterday, and a password", signer.Credentials{Certificate: pair(t, testKeys["P-256"](), -48*time.Hour, -24*time.Hour), Username: "jo", Password: "secret"}, vmsso.ErrUnsupportedKey, "is valid from"},
	}
	for _, tt := range tests {
		s, err := signer.New(tt.c)
		if err == nil || s != nil {
			t.Errorf("%s: got signer %v, error %v, want an error alone", tt.name, s, err)
			continue
		}
		for _, sentinel := range []error{vmsso.ErrUnsupportedToken, vmsso.ErrUnsupportedKey} {
			if got, want := errors.Is(err, sentinel), tt.is == sentinel; got != want {
				t.Errorf("%s: errors.Is(%q, %q) is %t, want %t", tt.name, err, sentinel, got, want)
			}
		}
		if !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %q, want it to say %q", tt.name, err, tt.say)
		}
		if tt.c.Password != "" && strings.Contains(err.Error(), tt.c.Password) {
			t.Errorf("%s: the error has the password: %q", tt.name, err)
		}
	}
}

func TestEncryptedAssertionIsCarriedAsABearerToken(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: &vmsso.Token{Assertion: opaque}})
	if m := string(message(t, s, loginByToken)); s.HolderOfKey() || !strings.Contains(m, "</wsu:Timestamp>"+opaque+"</wsse:Security>") {
		t.Errorf("signs: %t, message %s, want an unsigned one with the assertion", s.HolderOfKey(), m)
	}
}

// A holder may be named by its public key alone; which one fits is the server's
// to say then.
func TestTokenThatNamesNoCertificateTakesAnyKey(t *testing.T) {
	tok := vectorToken(t)
	from, to := strings.Index(tok.Assertion, "<saml2:SubjectConfirmationData"), strings.Index(tok.Assertion, "</saml2:SubjectConfirmation>")
	tok.Assertion = tok.Assertion[:from] + tok.Assertion[to:]
	tok.Key = testKeys["P-256"]()
	if s, err := signer.New(signer.Credentials{Token: tok}); err != nil || !s.HolderOfKey() {
		t.Errorf("got %v, %v, want a signer", s, err)
	}
}
