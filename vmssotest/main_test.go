package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Keys are slow to make: the tests share these.
var (
	authority      = sync.OnceValue(NewAuthority)
	otherAuthority = sync.OnceValue(NewAuthority)
	clientKey      = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey() })
	otherKey       = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey() })
)

// testTime is the clock of the servers in these tests.
func testTime() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, name)))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// sign makes an XML signature value.
func sign(t testing.TB, key crypto.Signer, hash crypto.Hash, text string) []byte {
	t.Helper()
	h := hash.New()
	h.Write([]byte(text))
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, ec, h.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		size := (ec.Params().N.BitLen() + 7) / 8
		value := make([]byte, 2*size)
		r.FillBytes(value[:size])
		s.FillBytes(value[size:])
		return value
	}
	value, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// message builds signed messages by pasting text that is canonical as it stands: it shares nothing with the parser and the canonicaliser that it is
// to test. Each field can be spoilt.
type message struct {
	key              crypto.Signer // nil: not signed
	method, digest   string        // algorithm URIs
	hash, digestHash crypto.Hash
	c14n, transform  string
	transforms       string // replaces the Transforms of both references
	sigAttrs         string
	bodyFirst        bool
	onlyBody         bool
	onlyTimestamp    bool

	timestamp string // as it is sent
	token     string // assertion or BinarySecurityToken
	user      string // UsernameToken
	keyInfo   string
	body      string // as it is sent

	signedTimestamp, signedBody string // "": as sent
	timestampID, bodyID         string

	editValue  func([]byte) []byte                        // of the signature
	editSig    func(string) string                        // the whole ds:Signature
	layout     func(timestamp, token, sig string) string  // the content of wsse:Security
	envelope   func(security, body string) string         // the whole message
	editInfo   func(string) string                        // SignedInfo before it is signed
	signedInfo func(timestamp, body string) (refs string) // replaces the references
}

const (
	dsSHA256  = "http://www.w3.org/2001/04/xmlenc#sha256"
	dsSHA384  = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	dsSHA512  = "http://www.w3.org/2001/04/xmlenc#sha512"
	moreAlg   = "http://www.w3.org/2001/04/xmldsig-more#"
	inclC14N  = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	loginBody = `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><locale>en_US</locale></LoginByToken>`
)

func timestampXML(id string, created, expires string) string {
	return `<wsu:Timestamp xmlns:wsu="` + nsWSU + `" wsu:Id="` + id + `"><wsu:Created>` + created + `</wsu:Created><wsu:Expires>` + expires + `</wsu:Expires></wsu:Timestamp>`
}

func bodyXML(id, content string) string {
	return `<soap:Body xmlns:soap="` + nsSOAP + `" xmlns:wsu="` + nsWSU + `" wsu:Id="` + id + `">` + content + `</soap:Body>`
}

func newMessage(key crypto.Signer, token, keyInfo, body string) *message {
	now := testTime()
	m := &message{
		key: key, method: moreAlg + "rsa-sha256", digest: dsSHA256, hash: crypto.SHA256, digestHash: crypto.SHA256, c14n: excC14N, transform: excC14N,
		timestampID: "_timestamp-1", bodyID: "_body-1", token: token, keyInfo: keyInfo,
	}
	m.timestamp = timestampXML(m.timestampID, stamp(now.Add(-5*time.Second)), stamp(now.Add(10*time.Minute)))
	m.body = bodyXML(m.bodyID, body)
	m.layout = func(timestamp, token, sig string) string { return timestamp + token + sig }
	m.envelope = envelopeXML
	return m
}

func envelopeXML(security, body string) string {
	return `<soap:Envelope xmlns:soap="` + nsSOAP + `"><soap:Header><wsse:Security xmlns:wsse="` + nsWSSE + `">` + security + `</wsse:Security></soap:Header>` + body + `</soap:Envelope>`
}

func samlReference(id string) string {
	return `<wsse:SecurityTokenReference xmlns:wsse11="` + nsWSSE11 + `" wsse11:TokenType="` + samlTokenType + `"><wsse:KeyIdentifier ValueType="` + samlIDType + `">` + id + `</wsse:KeyIdentifier></wsse:SecurityTokenReference>`
}

func (m *message) reference(id, text string) string {
	h := m.digestHash.New()
	h.Write([]byte(text))
	transforms := m.transforms
	if transforms == "" {
		transforms = `<ds:Transform Algorithm="` + m.transform + `"></ds:Transform>`
	}
	return `<ds:Reference URI="#` + id + `"><ds:Transforms>` + transforms + `</ds:Transforms><ds:DigestMethod Algorithm="` + m.digest + `"></ds:DigestMethod><ds:DigestValue>` + encode(h.Sum(nil)) + `</ds:DigestValue></ds:Reference>`
}

func (m *message) signature(t testing.TB) string {
	if m.key == nil {
		return ""
	}
	signedTimestamp, signedBody := m.signedTimestamp, m.signedBody
	if signedTimestamp == "" {
		signedTimestamp = m.timestamp
	}
	if signedBody == "" {
		signedBody = m.body
	}
	a, b := m.reference(m.timestampID, signedTimestamp), m.reference(m.bodyID, signedBody)
	switch {
	case m.onlyBody:
		a = ""
	case m.onlyTimestamp:
		b = ""
	case m.bodyFirst:
		a, b = b, a
	}
	refs := a + b
	if m.signedInfo != nil {
		refs = m.signedInfo(a, b)
	}
	info := `<ds:SignedInfo xmlns:ds="` + nsDS + `"><ds:CanonicalizationMethod Algorithm="` + m.c14n + `"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="` + m.method + `"></ds:SignatureMethod>` + refs + `</ds:SignedInfo>`
	if m.editInfo != nil {
		info = m.editInfo(info)
	}
	value := sign(t, m.key, m.hash, info)
	if m.editValue != nil {
		value = m.editValue(value)
	}
	sig := `<ds:Signature xmlns:ds="` + nsDS + `"` + m.sigAttrs + `>` + info + `<ds:SignatureValue>` + encode(value) + `</ds:SignatureValue><ds:KeyInfo>` + m.keyInfo + `</ds:KeyInfo></ds:Signature>`
	if m.editSig != nil {
		sig = m.editSig(sig)
	}
	return sig
}

func (m *message) build(t testing.TB) string {
	t.Helper()
	return m.envelope(m.layout(m.timestamp, m.token+m.user, m.signature(t)), m.body)
}

// holderOfKeyLogin is a good LoginByToken with a holder-of-key token.
func holderOfKeyLogin() *message {
	holder := clientCertificate()
	token := authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: holder, NotBefore: testTime().Add(-time.Minute)})
	return newMessage(clientKey(), token, samlReference("_token-1"), loginBody)
}

var clientCertificate = sync.OnceValue(func() *x509.Certificate { return NewKeyPair("alice", clientKey()).Leaf })

// bearerLogin is a good LoginByToken with a bearer token.
func bearerLogin() *message {
	token := authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", NotBefore: testTime().Add(-time.Minute)})
	return newMessage(nil, token, "", loginBody)
}

func newTestVSphere() *VSphere {
	return NewVSphere(VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}, Now: testTime})
}

// post sends one SOAP request to a handler without a network.
func post(h http.Handler, cookie, soapAction, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "https://vc.example.test/sdk", strings.NewReader(body))
	r.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	r.Header.Set("SOAPAction", soapAction)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func soapXML(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Envelope xmlns="` + nsSOAP + `"><Body>` + body + `</Body></Envelope>`
}

func call(h http.Handler, cookie, op string) *httptest.ResponseRecorder {
	return post(h, cookie, "urn:vim25/8.0.3.0", soapXML(fmt.Sprintf(`<%s xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></%s>`, op, op)))
}

func newCookie(w *httptest.ResponseRecorder) string {
	for _, c := range w.Result().Cookies() {
		if c.Name == cookieName {
			return c.Value
		}
	}
	return ""
}

// logIn begins a session and logs in with this message.
func logIn(v *VSphere, msg string) *httptest.ResponseRecorder {
	return post(v, newCookie(call(v, "", "RetrieveServiceContent")), "urn:vim25/8.0.3.0", msg)
}

// derSignature turns r||s into DER, which XML signatures do not use.
func derSignature(value []byte) []byte {
	n := len(value) / 2
	der := func(b []byte) []byte {
		b = new(big.Int).SetBytes(b).Bytes()
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	inner := append(der(value[:n]), der(value[n:])...)
	return append([]byte{0x30, byte(len(inner))}, inner...)
}
