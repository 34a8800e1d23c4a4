package signer_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"pgregory.net/rapid"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// loginByToken is a Body's content as package soap sends it, canonical, with a
// locale that needs escaping.
const loginByToken = `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><locale>a"b&amp;c</locale></LoginByToken>`

// issue is a RequestSecurityToken as package tokensource sends it: the prefix
// wsu is that of the Body.
const issue = `<wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` +
	`<wst:TokenType>urn:oasis:names:tc:SAML:2.0:assertion</wst:TokenType>` +
	`<wst:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</wst:RequestType>` +
	`<wst:Lifetime><wsu:Created>2026-03-01T12:00:00.000Z</wsu:Created><wsu:Expires>2026-03-01T12:10:00.000Z</wsu:Expires></wst:Lifetime>` +
	`<wst:Renewing Allow="false" OK="false"></wst:Renewing><wst:Delegatable>true</wst:Delegatable>` +
	`<wst:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/PublicKey</wst:KeyType>` +
	`<wst:SignatureAlgorithm>http://www.w3.org/2001/04/xmldsig-more#rsa-sha256</wst:SignatureAlgorithm>` +
	`<wst:UseKey Sig="_0123"></wst:UseKey></wst:RequestSecurityToken>`

// noon is when the messages of these tests are made.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// vectorPair is the key pair that testdata/hok.xml was issued for.
func vectorPair(t testing.TB) *tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

func vectorToken(t testing.TB) *vmsso.Token {
	t.Helper()
	return &vmsso.Token{Assertion: read(t, "hok.xml"), Key: vectorPair(t).PrivateKey.(crypto.Signer)}
}

func bearerToken(t testing.TB) *vmsso.Token {
	t.Helper()
	return &vmsso.Token{Assertion: read(t, "bearer.xml")}
}

// testKeys are made once; RSA takes its time.
var testKeys = map[string]func() crypto.Signer{
	"RSA-1024": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 1024)) }),
	"Ed25519": sync.OnceValue(func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	}),
	"RSA-2048": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) }),
	"RSA-3072": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 3072)) }),
	"RSA-4096": sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 4096)) }),
	"P-224":    sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)) }),
	"P-256":    sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }),
	"P-384":    sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) }),
	"P-521":    sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) }),
}

func must[K any](k K, err error) K {
	if err != nil {
		panic(err)
	}
	return k
}

// pair certifies a key for these days around the present.
func pair(t testing.TB, key crypto.Signer, from, until time.Duration) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "holder"},
		NotBefore:    time.Now().Add(from),
		NotAfter:     time.Now().Add(until),
	}
	// The issuer signs, so that keys which cannot sign certificates have one too.
	issuer := testKeys["P-256"]()
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func validPair(t testing.TB, key crypto.Signer) *tls.Certificate {
	t.Helper()
	return pair(t, key, -time.Hour, time.Hour)
}

var holderCertificate = regexp.MustCompile(`(<saml2:SubjectConfirmationData.*<ds:X509Certificate>)[^<]*(</ds:X509Certificate>)`)

// bound returns testdata/hok.xml with another holder and ID. Its issuer's
// signature is wrong then, which only a server would notice.
func bound(t testing.TB, c *tls.Certificate) *vmsso.Token {
	t.Helper()
	text := strings.ReplaceAll(read(t, "hok.xml"), "_11111111-2222-3333-4444-555555555555", "_another-holder")
	return &vmsso.Token{
		Assertion: holderCertificate.ReplaceAllString(text, "${1}"+base64.StdEncoding.EncodeToString(c.Certificate[0])+"${2}"),
		Key:       c.PrivateKey.(crypto.Signer),
	}
}

func newSigner(t testing.TB, c signer.Credentials) *signer.Signer {
	t.Helper()
	s, err := signer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message(t testing.TB, s *signer.Signer, content string) []byte {
	t.Helper()
	m, err := s.Message([]byte(content), noon)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func parse(t rapid.TB, text []byte) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveCData = true
	if err := doc.ReadFromBytes(text); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return doc.Root()
}

// bodyOf cuts the Body out of a message, byte for byte.
func bodyOf(t rapid.TB, message []byte) []byte {
	t.Helper()
	from := bytes.Index(message, []byte(`</soap:Header>`))
	body, ok := bytes.CutSuffix(message[max(from, 0):], []byte(`</soap:Envelope>`))
	if body, ok2 := bytes.CutPrefix(body, []byte(`</soap:Header>`)); ok && ok2 {
		return body
	}
	t.Fatalf("no Body in %s", message)
	return nil
}

// signedDigest is what the message's second Reference, that of the Body, holds.
func signedDigest(t rapid.TB, message []byte) string {
	t.Helper()
	digests := regexp.MustCompile(`<ds:Reference URI="#([^"]*)">.*?<ds:DigestValue>([^<]*)<`).FindAllSubmatch(message[:bytes.Index(message, []byte(`</soap:Header>`))], -1)
	if len(digests) < 2 {
		t.Fatalf("no two References in %s", message)
	}
	last := digests[len(digests)-1]
	if id := parse(t, bodyOf(t, message)).SelectAttrValue("wsu:Id", ""); id != string(last[1]) {
		t.Fatalf("the last Reference is to %q, want the Body, %q", last[1], id)
	}
	return string(last[2])
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// freshKey is another key of the same kind.
func freshKey(kind string) crypto.Signer {
	if kind == "P-256" {
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	return must(rsa.GenerateKey(rand.Reader, 2048))
}

// rs turns ASN.1 into r||s, each of size bytes.
func rs(t testing.TB, sig []byte, size int) []byte {
	t.Helper()
	var n struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &n); err != nil || len(rest) > 0 {
		t.Fatalf("%x: %v", sig, err)
	}
	return append(n.R.FillBytes(make([]byte, size)), n.S.FillBytes(make([]byte, size))...)
}

func certificateOf(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
