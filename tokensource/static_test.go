package tokensource_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// vectorExpiry is when the tokens in testdata expire.
var vectorExpiry = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)

func vector(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func vectorKey(t testing.TB) crypto.Signer {
	t.Helper()
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	return pair.PrivateKey.(crypto.Signer)
}

// encrypted is a token that a client cannot look into.
const encrypted = `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">x</EncryptedAssertion>`

func TestStaticYieldsItsTokenWithTheAssertionsExpiry(t *testing.T) {
	chosen := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	key := vectorKey(t)
	tests := []struct {
		name    string
		tok     vmsso.Token
		expires time.Time
	}{
		{"bearer", vmsso.Token{Assertion: vector(t, "bearer.xml")}, vectorExpiry},
		{"holder-of-key", vmsso.Token{Assertion: vector(t, "hok.xml"), Key: key}, vectorExpiry},
		{"an expiry of the caller's wins", vmsso.Token{Assertion: vector(t, "bearer.xml"), Expires: chosen}, chosen},
		{"one in the past as well", vmsso.Token{Assertion: vector(t, "bearer.xml"), Expires: time.Unix(1, 0)}, time.Unix(1, 0)},
		{"no conditions", vmsso.Token{Assertion: without(t, vector(t, "bearer.xml"), "<saml2:Conditions", "</saml2:Conditions>")}, time.Time{}},
		{"encrypted", vmsso.Token{Assertion: encrypted}, time.Time{}},
	}
	for _, tt := range tests {
		given := tt.tok
		src := tokensource.Static(&given)
		got, err := src.Token(context.Background())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Assertion != tt.tok.Assertion || got.Key != tt.tok.Key || !got.Expires.Equal(tt.expires) {
			t.Errorf("%s: got %v, want the same assertion and key, and %v", tt.name, got, tt.expires)
		}
		if given.Expires != tt.tok.Expires {
			t.Errorf("%s: the caller's token was changed: it expires %v, was %v", tt.name, given.Expires, tt.tok.Expires)
		}
		if again, err := src.Token(context.Background()); again != got || err != nil {
			t.Errorf("%s: the second time it is another token: %v, %v", tt.name, again, err)
		}
	}
}

func TestStaticSaysWhatIsWrongWithItsToken(t *testing.T) {
	hok, bearer, key := vector(t, "hok.xml"), vector(t, "bearer.xml"), vectorKey(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		tok  *vmsso.Token
		is   error
		say  string
	}{
		{"nil", nil, vmsso.ErrUnsupportedToken, "there is none"},
		{"empty", &vmsso.Token{}, vmsso.ErrUnsupportedToken, "it is empty"},
		{"empty, with a key", &vmsso.Token{Key: key}, vmsso.ErrUnsupportedToken, "it is empty"},
		{"no SAML", &vmsso.Token{Assertion: "<s3cr3t/>"}, vmsso.ErrUnsupportedToken, "no SAML 2.0 Assertion"},
		{"a JSON web token", &vmsso.Token{Assertion: "eyJs3cr3t.e30.x"}, vmsso.ErrUnsupportedToken, "does not begin with '<'"},
		{"a line feed at the end", &vmsso.Token{Assertion: bearer + "\n"}, vmsso.ErrUnsupportedToken, "end with '>'"},
		{"another key", &vmsso.Token{Assertion: hok, Key: other}, vmsso.ErrUnsupportedKey, "not the key that the token was issued for"},
		{"no key", &vmsso.Token{Assertion: hok}, vmsso.ErrUnsupportedKey, "give its private key"},
		{"a key too much", &vmsso.Token{Assertion: bearer, Key: key}, vmsso.ErrUnsupportedKey, "leave Token.Key nil"},
	}
	for _, tt := range tests {
		got, err := tokensource.Static(tt.tok).Token(context.Background())
		if got != nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), "tokensource: ") {
			t.Errorf("%s: got %v, %v, want an error %q that says %q", tt.name, got, err, tt.is, tt.say)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the error quotes the token: %q", tt.name, err)
		}
	}
}

// without cuts out what stands from one mark to the end of another.
func without(t testing.TB, s, from, to string) string {
	t.Helper()
	before, rest, ok := strings.Cut(s, from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("no %s … %s", from, to)
	}
	return before + after
}
