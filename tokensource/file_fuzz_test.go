package tokensource

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

func testdata(f *testing.F, name string) string {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

// What a token file may have in it: what is taken is an assertion, verbatim, and
// nothing of the rest is in the error.
func FuzzTokenFile(f *testing.F) {
	bearer := testdata(f, "bearer.xml")
	for _, s := range []string{
		bearer, testdata(f, "hok.xml"), bearer[:200], bearer + bearer, "\ufeff<?xml version='1.0'?>\r\n" + bearer + "\r\n", "<?xml ?>", "<?xml version='1.0'>" + bearer,
		"", " ", "\ufeff", "<a/>", "\xff\xfe<\x00", "<!DOCTYPE a>" + bearer, `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">x</EncryptedAssertion>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := trimXML(b)
		if !strings.Contains(string(b), text) {
			t.Fatal("what is taken is not what was there")
		}
		tok, err := check(&vmsso.Token{Assertion: text})
		if err != nil {
			if tok != nil || !errors.Is(err, vmsso.ErrUnsupportedToken) && !errors.Is(err, vmsso.ErrUnsupportedKey) {
				t.Errorf("got %v, %v", tok, err)
			}
			return
		}
		a, err := signer.ParseAssertion(tok.Assertion)
		if err != nil || a.HolderOfKey || !tok.Expires.Equal(a.Expires) || tok.Assertion != text {
			t.Errorf("got %v of %+v, %v", tok, a, err)
		}
	})
}

// What is taken for a pair is one.
func FuzzPEMPair(f *testing.F) {
	cert, key := testdata(f, "client-cert.pem"), testdata(f, "client-key-pkcs8.pem")
	for _, s := range [][2]string{
		{cert, key}, {cert + key, cert + key}, {key, cert}, {cert, ""}, {"", key}, {cert + "\nissued by:\n" + cert, key}, {strings.ReplaceAll(cert, "\n", "\r\n"), key},
		{cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"}, {cert, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		pair, err := pemPair(content{path: "cert", data: cert}, content{path: "key", data: key})
		if err != nil {
			if pair != nil || !errors.Is(err, vmsso.ErrUnsupportedKey) {
				t.Errorf("got %v, %v", pair, err)
			}
			return
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := pair.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(leaf.PublicKey) {
			t.Error("the key is not that of the certificate")
		}
	})
}

// What is taken for an answer is the object that any reader of JSON sees.
func FuzzExecJSON(f *testing.F) {
	for _, s := range []string{
		`{"assertion": "<a/>", "expires": "2006-01-02T15:04:05Z", "certificate": "c", "key": "k"}`, `{}`, `{"assertion": "<a/>"} {}`, `{"assertion": null}`, `{"assertion": ["<a/>"]}`,
		`{"assertion": "\u003ca/>", "assertion": ""}`, `{"assertion": "\ud800"}`, `{"Assertion": ""}`, `{"assertion": "<a/>",}`, `{"assertion" "<a/>"}`, `{"key": "a" "expires": "b"}`, `{`, `{"a`, `[]`, `"`, `{"assertion":{"assertion":{}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readAnswer(b)
		if err != nil {
			if got != (answer{}) {
				t.Errorf("got %v with %v", got, err)
			}
			return
		}
		var want map[string]*string
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q is taken, which is no such object: %v", b, err)
		}
		for name, value := range map[string]string{"assertion": got.assertion, "expires": got.expires, "certificate": got.certificate, "key": got.key} {
			if w := want[name]; w == nil && value != "" || w != nil && *w != value {
				t.Errorf("%q: %s is %q", b, name, value)
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("%q is taken, which has %v", b, want)
		}
	})
}
