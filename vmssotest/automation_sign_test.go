package vmssotest

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// automationLogin is a login request that signs by pasting text together: it shares nothing with the verifier. Each field can be spoilt.
type automationLogin struct {
	// What is sent.
	method, target, host, body string
	header                     http.Header // more headers

	// What is signed; as sent where it is empty.
	signedMethod, signedPath, signedHost, port, signedNonce string
	digest                                                  []byte

	token    string // before gzip
	packed   []byte // after gzip; nil: made from token
	key      *rsa.PrivateKey
	alg      string
	hash     crypto.Hash
	nonce    string
	bodyhash string // "": that of body

	editSignature func([]byte) []byte
	encoded       func(string) string     // of the token's base64
	attributes    func(map[string]string) // before they are written
	line          func(string) []string   // the whole header
	order         []string                // of the attributes
	separator     string                  // between them
}

func (a *automationLogin) bearer() {
	a.key = nil
	a.token = authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", NotBefore: testTime().Add(-time.Minute)})
}

// newAutomationLogin is a good login with a holder-of-key token.
func newAutomationLogin() *automationLogin {
	return &automationLogin{
		method: "POST", target: apiSession, host: "vc.example.test", port: "80", header: http.Header{},
		token: authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime().Add(-time.Minute)}),
		key:   clientKey(), alg: "RSA-SHA256", hash: crypto.SHA256, nonce: nonceAt(testTime(), "4711"),
		order: []string{"token", "signature_alg", "signature", "nonce", "bodyhash"}, separator: ", ",
	}
}

func nonceAt(t time.Time, random string) string { return fmt.Sprintf("%d:%s", t.UnixMilli(), random) }

func zipped(plain string) []byte {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, _ = zip.Write([]byte(plain))
	_ = zip.Close()
	return buf.Bytes()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (a *automationLogin) values(t testing.TB) map[string]string {
	packed := a.packed
	if packed == nil {
		packed = zipped(a.token)
	}
	values := map[string]string{"token": base64.StdEncoding.EncodeToString(packed)}
	if a.encoded != nil {
		values["token"] = a.encoded(values["token"])
	}
	if a.key == nil {
		return values
	}
	h := a.hash.New()
	h.Write([]byte(a.body))
	digest := h.Sum(nil)
	values["bodyhash"] = or(a.bodyhash, base64.StdEncoding.EncodeToString(digest))
	if a.digest != nil {
		digest = a.digest
	}
	path, _, _ := strings.Cut(a.target, "?")
	h = a.hash.New()
	h.Write([]byte(or(a.signedNonce, a.nonce) + "\n" + or(a.signedMethod, a.method) + "\n" + or(a.signedPath, path) + "\n" +
		or(a.signedHost, strings.ToLower(a.host)) + "\n" + a.port + "\n"))
	h.Write(digest)
	h.Write([]byte("\n"))
	value, err := rsa.SignPKCS1v15(rand.Reader, a.key, a.hash, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	if a.editSignature != nil {
		value = a.editSignature(value)
	}
	values["signature"] = base64.StdEncoding.EncodeToString(value)
	values["signature_alg"], values["nonce"] = a.alg, a.nonce
	return values
}

func (a *automationLogin) build(t testing.TB) *http.Request {
	t.Helper()
	values := a.values(t)
	if a.attributes != nil {
		a.attributes(values)
	}
	var pairs []string
	for _, key := range a.order {
		if value, ok := values[key]; ok {
			pairs = append(pairs, key+`="`+value+`"`)
		}
	}
	lines := []string{"SIGN " + strings.Join(pairs, a.separator)}
	if a.line != nil {
		lines = a.line(lines[0])
	}
	r := httptest.NewRequest(a.method, a.target, strings.NewReader(a.body))
	r.Host = a.host
	r.Header = a.header.Clone()
	r.Header["Authorization"] = lines
	return r
}

func newTestAutomation(edit func(*AutomationConfig)) *Automation {
	cfg := AutomationConfig{Trust: []*x509.Certificate{authority().Certificate()}, Now: testTime}
	if edit != nil {
		edit(&cfg)
	}
	return NewAutomation(cfg)
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// chunks cuts a SIGN header as VMware's C# signer does: lines of at most n characters, a value that does not fit goes on in the next line.
func chunks(n int) func(string) []string {
	return func(header string) (lines []string) {
		line := "SIGN "
		for i, pair := range strings.Split(strings.TrimPrefix(header, "SIGN "), ", ") {
			key, value, _ := strings.Cut(strings.TrimSuffix(pair, `"`), `="`)
			separator := ", "
			if i == 0 {
				separator = ""
			}
			for value != "" {
				room := n - len(line) - len(separator) - len(key) - len(`=""`)
				if room < 1 {
					lines, line, separator = append(lines, line), "", ""
					continue
				}
				room = min(room, len(value))
				line, value, separator = line+separator+key+`="`+value[:room]+`"`, value[room:], ", "
				if value != "" {
					lines, line, separator = append(lines, line), "", ""
				}
			}
		}
		return append(lines, line)
	}
}

func TestAutomationLoginAccepted(t *testing.T) {
	edit := func(f func(*automationLogin)) *automationLogin {
		a := newAutomationLogin()
		f(a)
		return a
	}
	host := func(host, signed, port string) *automationLogin {
		return edit(func(a *automationLogin) { a.host, a.signedHost, a.port = host, signed, port })
	}
	tests := map[string]*automationLogin{
		"holder of key":          newAutomationLogin(),
		"bearer":                 edit((*automationLogin).bearer),
		"RSA-SHA384":             edit(func(a *automationLogin) { a.alg, a.hash = "RSA-SHA384", crypto.SHA384 }),
		"RSA-SHA512":             edit(func(a *automationLogin) { a.alg, a.hash = "RSA-SHA512", crypto.SHA512 }),
		"body":                   edit(func(a *automationLogin) { a.body = `{"a":1}` }),
		"order of the C# signer": edit(func(a *automationLogin) { a.order = signOrder }),
		"comma without space":    edit(func(a *automationLogin) { a.separator = "," }),
		"chunks of 128":          edit(func(a *automationLogin) { a.line = chunks(128) }),
		"chunks of 4096":         edit(func(a *automationLogin) { a.line = chunks(4096) }),
		"bearer in chunks":       edit(func(a *automationLogin) { a.bearer(); a.line = chunks(128) }),
		"cut between attributes": edit(func(a *automationLogin) { a.line = func(s string) []string { return strings.Split(s, ", ") } }),
		"cut behind the comma": edit(func(a *automationLogin) {
			a.line = func(s string) []string { return strings.Split(strings.ReplaceAll(s, ", ", ",\n"), "\n") }
		}),
		"query is not signed":     edit(func(a *automationLogin) { a.target += "?a=b" }),
		"escaped path":            edit(func(a *automationLogin) { a.target, a.signedPath = "/api/%73ession", apiSession }),
		"legacy path":             edit(func(a *automationLogin) { a.target = legacySession }),
		"host in upper case":      host("VC.Example.Test", "vc.example.test", "80"),
		"port 443":                host("vc.example.test:443", "vc.example.test", "443"),
		"IPv6":                    host("[2001:DB8::1]", "[2001:db8::1]", "80"),
		"IPv6 with port":          host("[2001:db8::1]:8443", "[2001:db8::1]", "8443"),
		"nonce 10 minutes old":    edit(func(a *automationLogin) { a.nonce = nonceAt(testTime().Add(-10*time.Minute), "0") }),
		"nonce 10 minutes ahead":  edit(func(a *automationLogin) { a.nonce = nonceAt(testTime().Add(10*time.Minute), "0") }),
		"token with many groups":  edit(func(a *automationLogin) { a.token = manyGroups() }),
		"another header entirely": edit(func(a *automationLogin) { a.header.Set("Vapi-Ctx-Opid", "1") }),
	}
	for name, a := range tests {
		t.Run(name, func(t *testing.T) {
			var logins []AutomationLogin
			v := newTestAutomation(func(c *AutomationConfig) { c.OnLogin = func(l AutomationLogin) { logins = append(logins, l) } })
			r := a.build(t)
			w := serve(v, r)
			if w.Code/100 != 2 || v.Logins() != 1 || v.Refused() != 0 || v.Sessions() != 1 || len(logins) != 1 {
				t.Fatalf("status %d, logins %d, reasons %q", w.Code, v.Logins(), v.Reasons())
			}
			l := logins[0]
			if l.Subject != "alice@vsphere.local" || l.Assertion != a.token || l.AssertionID != "_token-1" || l.Header.Get("Authorization") != r.Header.Get("Authorization") {
				t.Errorf("login = %+v", l)
			}
			if l.HolderOfKey != (a.key != nil) || (l.Holder != nil) != l.HolderOfKey || !strings.Contains(w.Body.String(), `"`+l.Session+`"`) {
				t.Errorf("holder of key %t, session %q, answer %s", l.HolderOfKey, l.Session, w.Body)
			}
		})
	}
}

var signOrder = []string{"token", "nonce", "bodyhash", "signature_alg", "signature"}

func manyGroups() string {
	return authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime(),
		Groups: strings.Fields(strings.Repeat(`vsphere.local\group `, 2000))})
}

// vectorLogin is a request of another implementation, as it was recorded.
type vectorLogin struct {
	file, host, body string
	millis           int64
}

var vectorLogins = []vectorLogin{
	{"govmomi-hok-post-session.headers.txt", "VC.example.test", "", 1795309139841},
	{"csharp-srs-rsa_sha384-body-chunk4096.headers.txt", "vc.example.test:443", `{"a":1}`, 1795309181182},
}

func (v vectorLogin) request(t testing.TB) *http.Request {
	r := httptest.NewRequest("POST", apiSession, strings.NewReader(v.body))
	r.Host = v.host
	r.Header["Authorization"] = strings.Split(strings.TrimSuffix(read(t, v.file), "\n"), "\n")
	return r
}

func (v vectorLogin) server(t testing.TB) *Automation {
	return newTestAutomation(func(c *AutomationConfig) {
		c.Trust = []*x509.Certificate{readCertificate(t, "sts-cert.pem")}
		c.Now = func() time.Time { return time.UnixMilli(v.millis) }
	})
}

func TestAutomationVectorsAccepted(t *testing.T) {
	for _, v := range vectorLogins {
		t.Run(v.file, func(t *testing.T) {
			s := v.server(t)
			var login AutomationLogin
			s.cfg.OnLogin = func(l AutomationLogin) { login = l }
			if w := serve(s, v.request(t)); w.Code != http.StatusCreated {
				t.Fatalf("status %d, reasons %q", w.Code, s.Reasons())
			}
			if !login.HolderOfKey || !login.Holder.Equal(readCertificate(t, "client-cert.pem")) || login.Assertion != read(t, "hok.xml") {
				t.Errorf("login = %+v", login)
			}
		})
	}
}
