package signer_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// A Director header, in the form that VMware's Java client sends.
var (
	bearerForm = regexp.MustCompile(`^SIGN token="([A-Za-z0-9+/]+={0,2})",org="([^"]*)"$`)
	holderForm = regexp.MustCompile(`^SIGN token="([A-Za-z0-9+/]+={0,2})",org="([^"]*)",signature="([A-Za-z0-9+/]+={0,2})",signature_alg="SHA256withRSA"$`)
)

const opaque = `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/></EncryptedAssertion>`

func unzipped(t *testing.T, value string) string {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	if packed[8] != 2 { // RFC 1952, XFL
		t.Error("not compressed as well as can be")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestVCloudHeaderHasTheFormOfVMwaresClient(t *testing.T) {
	encrypted := &vmsso.Token{Assertion: opaque}
	encryptedWithKey := &vmsso.Token{Assertion: opaque, Key: vectorToken(t).Key}
	odd := *vectorToken(t) // what is signed is what was received, whatever its form
	odd.Assertion = strings.Replace(odd.Assertion, "><", "\n ><", 1)
	for _, tc := range []struct {
		name string
		tok  *vmsso.Token
		org  string
		want string
	}{
		{"bearer", bearerToken(t), "Finance", "Finance"},
		{"bearer of the provider", bearerToken(t), "", "system"},
		{"holder-of-key", vectorToken(t), "Finance", "Finance"},
		{"holder-of-key of the provider", vectorToken(t), "System", "System"},
		{"another form of the same token", &odd, "Finance", "Finance"},
		{"encrypted", encrypted, "a b,c='d'", "a b,c='d'"},
		{"encrypted, with a key", encryptedWithKey, "Finance", "Finance"},
	} {
		header, err := newSigner(t, signer.Credentials{Token: tc.tok}).VCloudHeader(tc.org)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		form := bearerForm
		if tc.tok.Key != nil {
			form = holderForm
		}
		m := form.FindStringSubmatch(header)
		if m == nil {
			t.Errorf("%s: %s has not the form %s", tc.name, header, form)
			continue
		}
		if unzipped(t, m[1]) != tc.tok.Assertion || m[2] != tc.want {
			t.Errorf("%s: org %q, want %q; the token is the same: %t", tc.name, m[2], tc.want, unzipped(t, m[1]) == tc.tok.Assertion)
		}
		if tc.tok.Key == nil {
			continue
		}
		signature, _ := base64.StdEncoding.DecodeString(m[3])
		digest := sha256.Sum256([]byte(tc.tok.Assertion))
		if err := rsa.VerifyPKCS1v15(tc.tok.Key.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestVCloudHeaderRefusesWhatItCannotCarry(t *testing.T) {
	ec := validPair(t, testKeys["P-521"]())
	for _, tc := range []struct {
		name string
		c    signer.Credentials
		org  string
		is   error
	}{
		{"a quote", signer.Credentials{Token: bearerToken(t)}, `Fin"ance`, nil},
		{"a backslash", signer.Credentials{Token: bearerToken(t)}, `Fin\ance`, nil},
		{"a line break", signer.Credentials{Token: bearerToken(t)}, "Fin\r\nance", nil},
		{"a tab", signer.Credentials{Token: bearerToken(t)}, "Fin\tance", nil},
		{"a control character", signer.Credentials{Token: bearerToken(t)}, "Fin\x7fance", nil},
		{"not ASCII", signer.Credentials{Token: bearerToken(t)}, "Finanzä", nil},
		{"not UTF-8", signer.Credentials{Token: bearerToken(t)}, "Fin\xffance", nil},
		{"a key whose SHA-512 Java has no name for", signer.Credentials{Token: bound(t, ec)}, "Finance", vmsso.ErrUnsupportedKey},
		{"a password", signer.Credentials{Username: "jo", Password: "x"}, "Finance", vmsso.ErrUnsupportedToken},
	} {
		header, err := newSigner(t, tc.c).VCloudHeader(tc.org)
		if err == nil || header != "" || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: got %.40q, %v, want an error", tc.name, header, err)
		}
	}
}

// The key of a holder may live in a module that takes its time, and gzip at its
// best takes its time as well.
func TestVCloudHeaderIsMadeOncePerTokenAndOrganization(t *testing.T) {
	tok := vectorToken(t)
	counting := &countingKey{Signer: tok.Key}
	tok.Key = counting
	s := newSigner(t, signer.Credentials{Token: tok})
	before := counting.count()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := s.VCloudHeader("Finance"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := counting.count() - before; n != 1 {
		t.Errorf("the key signed %d times, want once", n)
	}
	finance, _ := s.VCloudHeader("Finance")
	other, _ := s.VCloudHeader("Sales")
	if !strings.Contains(finance, `org="Finance"`) || !strings.Contains(other, `org="Sales"`) {
		t.Error("the header of one organization was given to another")
	}
}

type countingKey struct {
	crypto.Signer
	mu sync.Mutex // guards n
	n  int
}

func (k *countingKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.mu.Lock()
	k.n++
	k.mu.Unlock()
	return k.Signer.Sign(rand, digest, opts)
}

func (k *countingKey) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

// A SOAP signature names the assertion by its ID, which is encrypted.
func TestMessageWithAnEncryptedAssertionIsNotSigned(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: &vmsso.Token{Assertion: opaque, Key: vectorToken(t).Key}})
	if m, err := s.Message([]byte(loginByToken), noon); !errors.Is(err, vmsso.ErrUnsupportedToken) || m != nil {
		t.Errorf("got %.40q, %v, want ErrUnsupportedToken", m, err)
	}
}
