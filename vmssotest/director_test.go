package vmssotest_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso/vmssotest"
)

// What the tests of the Director share. Keys are slow to make.
var (
	idp      = sync.OnceValue(vmssotest.NewAuthority)
	otherIDP = sync.OnceValue(vmssotest.NewAuthority)
	rsaKey   = sync.OnceValue(newRSAKey)
	bobsKey  = sync.OnceValue(newRSAKey)
)

const (
	tenants  = "/cloudapi/1.0.0/sessions"
	provider = "/cloudapi/1.0.0/sessions/provider"
)

func newRSAKey() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newECDSAKey(curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// noon is the clock of the servers in these tests.
func noon() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

// signIn is a login request that is made by pasting text together: it shares nothing with the verifier. Each field can be spoilt.
type signIn struct {
	path, accept, body string
	header             http.Header // more headers

	token  string // before gzip
	packed []byte // after gzip; nil: made from token
	org    string // "": no attribute

	key           crypto.Signer // nil: no signature
	alg           string
	hash          crypto.Hash
	signed        string // "": token
	editSignature func([]byte) []byte

	encoded   func(string) string     // of the token's base64
	edit      func(map[string]string) // the attributes before they are written
	order     []string                // of the attributes
	separator string                  // between them
	line      func(string) string     // the whole header
}

// newSignIn is a good login of a tenant with a holder-of-key token.
func newSignIn() *signIn {
	return (&signIn{
		path: "/api/sessions", accept: "application/*+xml;version=37.0", header: http.Header{}, org: "Finance",
		alg: "SHA256withRSA", hash: crypto.SHA256, order: []string{"token", "org", "signature", "signature_alg"}, separator: ",",
	}).holder(rsaKey(), vmssotest.Claims{})
}

// holder gives the login a holder-of-key token with these claims.
func (s *signIn) holder(key crypto.Signer, c vmssotest.Claims) *signIn {
	s.key, c.Holder = key, vmssotest.NewKeyPair("alice", key).Leaf
	return s.issue(c)
}

// bearer gives the login a bearer token with these claims.
func (s *signIn) bearer(c vmssotest.Claims) *signIn {
	s.key = nil
	return s.issue(c)
}

func (s *signIn) issue(c vmssotest.Claims) *signIn {
	c.ID, c.Subject = "_token-1", "alice@example.test"
	if c.NotBefore.IsZero() {
		c.NotBefore = noon().Add(-time.Minute)
	}
	s.token = idp().Issue(c)
	return s
}

func gzipped(plain string) []byte {
	var buf bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&buf, 9)
	_, _ = zip.Write([]byte(plain))
	_ = zip.Close()
	return buf.Bytes()
}

// authorization is the value of the header.
func (s *signIn) authorization(t testing.TB) string {
	t.Helper()
	packed := s.packed
	if packed == nil {
		packed = gzipped(s.token)
	}
	values := map[string]string{"token": base64.StdEncoding.EncodeToString(packed)}
	if s.encoded != nil {
		values["token"] = s.encoded(values["token"])
	}
	if s.org != "" {
		values["org"] = s.org
	}
	if s.key != nil {
		h := s.hash.New()
		if s.signed == "" {
			s.signed = s.token
		}
		h.Write([]byte(s.signed))
		value, err := s.key.Sign(rand.Reader, h.Sum(nil), s.hash)
		if err != nil {
			t.Fatal(err)
		}
		if s.editSignature != nil {
			value = s.editSignature(value)
		}
		values["signature"], values["signature_alg"] = base64.StdEncoding.EncodeToString(value), s.alg
	}
	if s.edit != nil {
		s.edit(values)
	}
	var pairs []string
	for _, key := range s.order {
		if value, ok := values[key]; ok {
			pairs = append(pairs, key+`="`+value+`"`)
		}
	}
	line := "SIGN " + strings.Join(pairs, s.separator)
	if s.line != nil {
		line = s.line(line)
	}
	return line
}

func (s *signIn) build(t testing.TB) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "https://vcd.example.test"+s.path, strings.NewReader(s.body))
	if s.accept != "" {
		r.Header.Set("Accept", s.accept)
	}
	r.Header["Authorization"] = []string{s.authorization(t)}
	for name, values := range s.header {
		r.Header[name] = append(r.Header[name], values...)
	}
	return r
}

func newDirector(edit func(*vmssotest.DirectorConfig)) *vmssotest.Director {
	cfg := vmssotest.DirectorConfig{Trust: []*x509.Certificate{idp().Certificate()}, Now: noon}
	if edit != nil {
		edit(&cfg)
	}
	return vmssotest.NewDirector(cfg)
}

// send gives a request to a handler without a network.
func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// acceptedSignIn is a login that must be accepted by the servers that edit makes.
type acceptedSignIn struct {
	name   string
	config func(*vmssotest.DirectorConfig)
	edit   func(*signIn)
}

func versions(list ...string) func(*vmssotest.DirectorConfig) {
	return func(c *vmssotest.DirectorConfig) { c.Versions = list }
}

func entityID(id string) func(*vmssotest.DirectorConfig) {
	return func(c *vmssotest.DirectorConfig) { c.Orgs = map[string]string{"Finance": id, "System": ""} }
}

func algorithm(name string, hash crypto.Hash, key crypto.Signer) func(*signIn) {
	return func(s *signIn) { s.holder(key, vmssotest.Claims{}); s.alg, s.hash = name, hash }
}

func at(path, org, accept string) func(*signIn) {
	return func(s *signIn) { s.path, s.org, s.accept = path, org, accept }
}

func forAudience(audiences ...string) func(*signIn) {
	return func(s *signIn) { s.bearer(vmssotest.Claims{Audiences: audiences}) }
}

func written(f func(string) string) func(*signIn) { return func(s *signIn) { s.line = f } }

func replaced(old, new string) func(*signIn) {
	return written(func(line string) string { return strings.Replace(line, old, new, 1) })
}

func withHeader(name string, values ...string) func(*signIn) {
	return func(s *signIn) { s.header[name] = values }
}

const (
	financeID = "https://vcd.example.test:443/cloud/org/Finance/saml/metadata/alias/vcd"

	xml37  = "application/*+xml;version=37.0"
	json37 = "application/json;version=37.0"
)

var acceptedForms = []acceptedSignIn{
	{"as VMware's Java client writes it", nil, nil},
	{"as the documents have it", nil, func(s *signIn) {
		s.separator, s.line = ", ", func(line string) string { return "Sign" + strings.TrimPrefix(line, "SIGN") }
	}},
	{"as VMware's PHP SDK writes it", nil, replaced(`token="`, `token= "`)},
	{"as VMware's .NET SDK writes it for the provider", nil, func(s *signIn) { s.org = "" }},
	{"as go-vcloud-director writes it", nil, func(s *signIn) { s.bearer(vmssotest.Claims{}) }},
	{"scheme in lower case", nil, replaced("SIGN", "sign")},
	{"many blanks behind the scheme", nil, replaced("SIGN ", "SIGN   ")},
	{"blanks around the commas", nil, func(s *signIn) { s.separator = "  ,   " }},
	{"attributes in another order", nil, func(s *signIn) { s.order = []string{"signature_alg", "signature", "org", "token"} }},
	{"gzip without compression", nil, func(s *signIn) {
		var buf bytes.Buffer
		zip, _ := gzip.NewWriterLevel(&buf, 0)
		_, _ = zip.Write([]byte(s.token))
		_ = zip.Close()
		s.packed = buf.Bytes()
	}},
	{"another cookie", nil, withHeader("Cookie", "sso-preferred=yes; sso_redirect_org=Finance")},
	{"authentication context", nil, withHeader("X-Vmware-Vcloud-Auth-Context", "Finance")},
}

var acceptedTokens = []acceptedSignIn{
	{"bearer", nil, func(s *signIn) { s.bearer(vmssotest.Claims{}) }},
	{"bearer with the signature of anybody", nil, func(s *signIn) { s.bearer(vmssotest.Claims{}); s.key = bobsKey() }},
	{"bearer with half a signature", nil, func(s *signIn) {
		s.bearer(vmssotest.Claims{})
		s.edit = func(m map[string]string) { m["signature_alg"] = "none" }
	}},
	{"SHA384withRSA", nil, func(s *signIn) { s.alg, s.hash = "SHA384withRSA", crypto.SHA384 }},
	{"SHA512withRSA", nil, func(s *signIn) { s.alg, s.hash = "SHA512withRSA", crypto.SHA512 }},
	{"SHA1withRSA", func(c *vmssotest.DirectorConfig) { c.AllowSHA1 = true }, func(s *signIn) { s.alg, s.hash = "SHA1withRSA", crypto.SHA1 }},
	{"SHA256withECDSA", nil, func(s *signIn) { algorithm("SHA256withECDSA", crypto.SHA256, newECDSAKey(elliptic.P256()))(s) }},
	{"SHA384withECDSA", nil, func(s *signIn) { algorithm("SHA384withECDSA", crypto.SHA384, newECDSAKey(elliptic.P384()))(s) }},
	{"audience", entityID(financeID), forAudience(financeID)},
	{"audience among others", entityID(financeID), forAudience("https://other.example.test", financeID)},
	{"audience that nobody asks for", nil, forAudience("https://other.example.test")},
	{"second of two identity providers", func(c *vmssotest.DirectorConfig) {
		c.Trust = []*x509.Certificate{otherIDP().Certificate(), idp().Certificate()}
	}, nil},
	{"valid in 10 minutes", nil, func(s *signIn) { s.holder(rsaKey(), vmssotest.Claims{NotBefore: noon().Add(10 * time.Minute)}) }},
	{"expired nearly 10 minutes ago", nil, func(s *signIn) {
		s.holder(rsaKey(), vmssotest.Claims{NotBefore: noon().Add(-time.Hour), NotOnOrAfter: noon().Add(-10*time.Minute + time.Millisecond)})
	}},
	{"EncryptedAssertion", opaque, func(s *signIn) { s.token, s.key = encrypted, nil }},
	{"EncryptedAssertion with a signature", opaque, func(s *signIn) { s.token = encrypted }},
}

const encrypted = `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"/></EncryptedAssertion>`

func opaque(c *vmssotest.DirectorConfig) {
	c.Opaque = map[string]string{encrypted: "alice@example.test"}
}

var acceptedPlaces = []acceptedSignIn{
	{"provider without org", nil, at("/api/sessions", "", xml37)},
	{"provider in lower case", nil, at("/api/sessions", "system", xml37)},
	{"provider in mixed case", nil, at("/api/sessions", "SySTEM", xml37)},
	{"provider that is configured in lower case", func(c *vmssotest.DirectorConfig) { c.Orgs = map[string]string{"system": ""} }, at("/api/sessions", "System", xml37)},
	{"tenant where the provider may not", func(c *vmssotest.DirectorConfig) { c.NonProviderOnly = true }, nil},
	{"organization with blank and comma", func(c *vmssotest.DirectorConfig) { c.Orgs = map[string]string{"A, B": ""} }, at("/api/sessions", "A, B", xml37)},
	{"tenants' login", nil, at(tenants, "Finance", json37)},
	{"provider's login", nil, at(provider, "System", json37)},
	{"provider's login without org", nil, at(provider, "", json37)},
	{"any representation", nil, at("/api/sessions", "Finance", "application/*;version=37.0")},
	{"any representation of /cloudapi", nil, at(tenants, "Finance", "application/*;version=39.0")},
	{"anything", nil, at("/api/sessions", "Finance", "*/*;version=36.0")},
	{"Session only", nil, at("/api/sessions", "Finance", "application/vnd.vmware.vcloud.session+xml;version=37.0")},
	{"JSON", nil, at("/api/sessions", "Finance", "application/*+json;version=37.0")},
	{"blank before version", nil, at("/api/sessions", "Finance", "application/*+xml; version=37.0")},
	{"multisite", nil, at("/api/sessions", "Finance", "application/*+xml;version=37.0;multisite=global")},
	{"two types of one version", nil, at("/api/sessions", "Finance", "application/*+xml;version=37.0, application/json;version=38.0, application/*+json;version=37.0")},
	{"a type without version", nil, at(tenants, "Finance", "application/json;version=37.0, */*")},
	{"version 1.5", versions("1.5"), at("/api/sessions", "Finance", "application/*+xml;version=1.5")},
	{"version 5.6", versions("5.1", "5.5", "5.6"), at("/api/sessions", "Finance", "application/*+xml;version=5.6")},
	{"version 9.0 of vCloud Director", versions("9.0"), at("/api/sessions", "Finance", "application/*+xml;version=9.0")},
	{"version 29.0", versions("29.0"), at("/api/sessions", "Finance", "application/*+xml;version=29.0")},
	{"version 30.0", versions("30.0"), at("/api/sessions", "Finance", "application/*+xml;version=30.0")},
	{"version 33.0 of /cloudapi", versions("32.0", "33.0"), at(tenants, "Finance", "application/json;version=33.0")},
	{"version 37.3", versions("37.3"), at("/api/sessions", "Finance", "application/*+xml;version=37.3")},
	{"version 38.0 of /cloudapi", nil, at(tenants, "Finance", "application/json;version=38.0")},
	{"version 40.0", versions("40.0"), at(tenants, "Finance", "application/json;version=40.0")},
	{"version 9.0.0 of VCF Automation", versions("9.0.0"), at(tenants, "Finance", "application/json;version=9.0.0")},
	{"version 9.1 of VCF Automation", versions("9.1"), at(provider, "System", "application/json;version=9.1")},
}

func TestDirectorLoginAccepted(t *testing.T) {
	for _, group := range [][]acceptedSignIn{acceptedForms, acceptedTokens, acceptedPlaces} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				s := newSignIn()
				if test.edit != nil {
					test.edit(s)
				}
				var logins []vmssotest.DirectorLogin
				d := newDirector(func(c *vmssotest.DirectorConfig) {
					if test.config != nil {
						test.config(c)
					}
					c.OnLogin = func(l vmssotest.DirectorLogin) { logins = append(logins, l) }
				})
				r := s.build(t)
				w := send(d, r)
				if w.Code != 200 || d.Logins() != 1 || d.Refused() != 0 || d.Sessions() != 1 || len(logins) != 1 {
					t.Fatalf("status %d, logins %d, sessions %d, reasons %q", w.Code, d.Logins(), d.Sessions(), d.Reasons())
				}
				checkLogin(t, logins[0], s, r)
			})
		}
	}
}

// checkLogin checks what OnLogin is told.
func checkLogin(t *testing.T, l vmssotest.DirectorLogin, s *signIn, r *http.Request) {
	t.Helper()
	org, version := s.org, s.accept[strings.Index(s.accept, "version=")+len("version="):]
	if version, _, _ = strings.Cut(version, ";"); org == "" || strings.EqualFold(org, "System") {
		org = "System"
	}
	version, _, _ = strings.Cut(version, ",")
	if l.Subject != "alice@example.test" || l.Org != org || l.Assertion != s.token || l.Path != s.path || l.Version != version {
		t.Errorf("login = %+v", l)
	}
	if l.AssertionID != "_token-1" && s.token != encrypted || len(l.Session) != 36 || l.Header.Get("Authorization") != r.Header.Get("Authorization") {
		t.Errorf("login = %+v", l)
	}
	if holder := strings.Contains(s.token, ":holder-of-key"); l.HolderOfKey != holder || (l.Holder != nil) != holder {
		t.Errorf("holder of key %t, holder %v", l.HolderOfKey, l.Holder)
	}
}

// logIn logs in with a bearer token and returns the header that goes with each further request.
func logIn(t testing.TB, h http.Handler, edit func(*signIn)) http.Header {
	t.Helper()
	s := newSignIn().bearer(vmssotest.Claims{})
	if edit != nil {
		edit(s)
	}
	w := send(h, s.build(t))
	if w.Code != 200 {
		t.Fatalf("login: status %d, answer %s", w.Code, w.Body)
	}
	return w.Header()
}
