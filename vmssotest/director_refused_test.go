package vmssotest_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso/vmssotest"
)

// refusedSignIn is a login that must be refused with this status, for this reason.
type refusedSignIn struct {
	name   string
	status int
	reason string
	config func(*vmssotest.DirectorConfig)
	edit   func(*signIn)
}

func set(key, value string) func(*signIn) {
	return func(s *signIn) { s.edit = func(m map[string]string) { m[key] = value } }
}

func drop(key string) func(*signIn) {
	return func(s *signIn) { s.edit = func(m map[string]string) { delete(m, key) } }
}

func behind(what string) func(*signIn) {
	return written(func(line string) string { return line + what })
}

func insteadOf(line string) func(*signIn) {
	return written(func(string) string { return line })
}

var refusedSIGN = []refusedSignIn{
	{"empty", 401, "is not SIGN", nil, insteadOf("")},
	{"Basic", 401, "is not SIGN", nil, insteadOf("Basic YTpi")},
	{"Bearer", 401, "is not SIGN", nil, replaced("SIGN", "Bearer")},
	{"SAML", 401, "is not SIGN", nil, replaced("SIGN", "SAML")},
	{"scheme alone", 401, "list of", nil, insteadOf("SIGN")},
	{"scheme and a blank", 401, "list of", nil, insteadOf("SIGN ")},
	{"no blank behind the scheme", 401, "is not SIGN", nil, replaced("SIGN ", "SIGN")},
	{"tab behind the scheme", 401, "is not SIGN", nil, replaced("SIGN ", "SIGN\t")},
	{"no comma before signature_alg", 401, "signature is not followed by a comma", nil, replaced(`,signature_alg`, ` signature_alg`)},
	{"no comma and no blank", 401, "token is not followed by a comma", nil, func(s *signIn) { s.separator = "" }},
	{"semicolons", 401, "comma", nil, func(s *signIn) { s.separator = ";" }},
	{"two commas", 401, "not known", nil, func(s *signIn) { s.separator = ",," }},
	{"comma at the end", 401, "list of", nil, behind(",")},
	{"comma and blank at the end", 401, "list of", nil, behind(", ")},
	{"comma in front", 401, "not known", nil, replaced("SIGN ", "SIGN ,")},
	{"word at the end", 401, "comma", nil, behind(" x")},
	{"blank at the end", 401, "comma", nil, behind(" ")},
	{"blank in front of =", 401, "not known", nil, replaced(`org="`, `org ="`)},
	{"tab behind =", 401, "not quoted", nil, replaced(`org="`, "org=\t\"")},
	{"no quotes", 401, "token is not quoted", nil, written(func(l string) string { return strings.ReplaceAll(l, `"`, "") })},
	{"single quotes", 401, "not quoted", nil, written(func(l string) string { return strings.ReplaceAll(l, `"`, "'") })},
	{"no closing quote", 401, "signature_alg does not end", nil, written(func(l string) string { return l[:len(l)-1] })},
	{"attribute in upper case", 401, "not known", nil, replaced("org=", "ORG=")},
	{"unknown attribute", 401, "not known", nil, behind(`,realm="a"`)},
	{"attributes of vSphere", 401, "not known", nil, behind(`,nonce="1:2"`)},
	{"token twice", 401, "token twice", nil, func(s *signIn) { s.order = append(s.order, "token") }},
	{"org twice, the same", 401, "org twice", nil, func(s *signIn) { s.order = append(s.order, "org") }},
	{"signature twice", 401, "signature twice", nil, func(s *signIn) { s.order = append(s.order, "signature") }},
	{"signature_alg twice", 401, "signature_alg twice", nil, func(s *signIn) { s.order = append(s.order, "signature_alg") }},
	{"no token", 401, "without token", nil, drop("token")},
	{"empty token", 401, "token is empty", nil, set("token", "")},
	{"empty org", 401, "org is empty", nil, set("org", "")},
	{"empty signature", 401, "signature is empty", nil, set("signature", "")},
	{"backslash", 401, "characters", nil, set("org", `Fin\ance`)},
	{"escaped quote", 401, "characters", nil, set("org", `Fin\"ance`)},
	{"not ASCII", 401, "characters", nil, set("org", "Finanz\u00e4mter")},
	{"token folded by a newline", 401, "characters", nil, folded("\n")},
	{"token folded by CR and LF", 401, "characters", nil, folded("\r\n")},
	{"token folded by a blank", 401, "token: illegal base64", nil, folded(" ")},
	{"token folded as a header is", 401, "characters", nil, folded("\r\n ")},
	{"blank in front of the token", 401, "token: illegal base64", nil, func(s *signIn) { s.encoded = func(t string) string { return " " + t } }},
	{"token without padding", 401, "token: illegal base64", nil, func(s *signIn) {
		for len(gzipped(s.token))%3 == 0 { // until base64 needs it
			s.token += " "
		}
		s.encoded = func(t string) string { return strings.TrimRight(t, "=") }
	}},
	{"base64 of URLs", 401, "token: illegal base64", nil, func(s *signIn) { s.encoded = strings.NewReplacer("+", "-", "/", "_").Replace }},
	{"bits behind the end of base64", 401, "token: illegal base64", nil, set("token", "Hx==")},
	{"token not zipped", 401, "gzip: invalid header", nil, func(s *signIn) { s.packed = []byte(s.token) }},
	{"zlib", 401, "gzip: invalid header", nil, set("token", "eJwDAAAAAAEAAAAA")},
	{"gzip cut", 401, "unexpected EOF", nil, func(s *signIn) { p := gzipped(s.token); s.packed = p[:len(p)-1] }},
	{"gzip with a wrong checksum", 401, "invalid checksum", nil, func(s *signIn) { p := gzipped(s.token); p[len(p)-5] ^= 1; s.packed = p }},
	{"byte behind gzip", 401, "more than one gzip member", nil, func(s *signIn) { s.packed = append(gzipped(s.token), 0) }},
	{"two gzip members", 401, "more than one gzip member", nil, func(s *signIn) { s.packed = append(gzipped(s.token[:9]), gzipped(s.token[9:])...) }},
	{"more than 1 MiB", 401, "larger than 1 MiB", nil, func(s *signIn) { s.packed = gzipped(s.token + strings.Repeat(" ", 1<<20)) }},
}

func folded(by string) func(*signIn) {
	return func(s *signIn) { s.encoded = func(t string) string { return t[:64] + by + t[64:] } }
}

var refusedAssertions = []refusedSignIn{
	{"not XML", 401, "token: not well-formed", nil, func(s *signIn) { s.token = "token" }},
	{"DOCTYPE", 401, "DOCTYPE", nil, func(s *signIn) { s.token = "<!DOCTYPE a>" + s.token }},
	{"SAML response around it", 401, "assertion has version", nil, func(s *signIn) { s.token = "<Response>" + s.token + "</Response>" }},
	{"two assertions", 401, "more than one root", nil, func(s *signIn) { s.token += s.token }},
	{"SAML 1.1", 401, `version "1.1"`, nil, func(s *signIn) { s.bearer(vmssotest.Claims{Version: "1.1"}) }},
	{"changed", 401, "assertion: ", nil, func(s *signIn) { s.token = strings.Replace(s.token, "alice@", "admin@", 1) }},
	{"foreign issuer", 401, "assertion: ", nil, func(s *signIn) {
		s.token, s.key = otherIDP().Issue(vmssotest.Claims{Subject: "alice@example.test", NotBefore: noon()}), nil
	}},
	{"not yet valid", 401, "not valid before", nil, func(s *signIn) {
		s.holder(rsaKey(), vmssotest.Claims{NotBefore: noon().Add(10*time.Minute + time.Millisecond)})
	}},
	{"expired", 401, "expired", nil, func(s *signIn) {
		s.holder(rsaKey(), vmssotest.Claims{NotBefore: noon().Add(-time.Hour), NotOnOrAfter: noon().Add(-10 * time.Minute)})
	}},
	{"expired without tolerance", 401, "expired", func(c *vmssotest.DirectorConfig) { c.Tolerance = -1 }, func(s *signIn) {
		s.holder(rsaKey(), vmssotest.Claims{NotBefore: noon().Add(-time.Hour), NotOnOrAfter: noon()})
	}},
	{"no audience", 401, "assertion is for []", entityID(financeID), nil},
	{"another audience", 401, "not for", entityID(financeID), forAudience("https://vcd.example.test")},
	{"audience without its port", 401, "not for", entityID(financeID), forAudience(strings.Replace(financeID, ":443", "", 1))},
	{"audience with a slash", 401, "not for", entityID(financeID), forAudience(financeID + "/")},
	{"audience in another case", 401, "not for", entityID(financeID), forAudience(strings.ToLower(financeID))},
	{"audience of another organization", 401, "not for", func(c *vmssotest.DirectorConfig) {
		c.Orgs = map[string]string{"Finance": financeID, "System": "urn:system"}
	}, forAudience("urn:system")},
	{"audience of the provider", 401, "not for", func(c *vmssotest.DirectorConfig) { c.Orgs = map[string]string{"system": "urn:system"} },
		func(s *signIn) { s.bearer(vmssotest.Claims{Audiences: []string{financeID}}); s.org = "System" }},
	{"EncryptedAssertion that is not known", 401, "EncryptedAssertion that is not known", nil, func(s *signIn) { s.token = encrypted }},
	{"EncryptedAssertion but for a byte", 401, "EncryptedAssertion that is not known", opaque, func(s *signIn) { s.token = encrypted + " " }},
}

var refusedHolder = []refusedSignIn{
	{"holder-of-key token alone", 401, "without signature", nil, func(s *signIn) { s.key = nil }},
	{"no signature", 401, "without signature,", nil, drop("signature")},
	{"no signature_alg", 401, "without signature_alg", nil, drop("signature_alg")},
	{"SHA1withRSA", 401, `signature_alg "SHA1withRSA"`, nil, func(s *signIn) { s.alg, s.hash = "SHA1withRSA", crypto.SHA1 }},
	{"name of vSphere", 401, "signature_alg", nil, func(s *signIn) { s.alg = "RSA-SHA256" }},
	{"name in lower case", 401, "signature_alg", nil, func(s *signIn) { s.alg = "sha256withrsa" }},
	{"PSS", 401, "signature_alg", nil, func(s *signIn) { s.alg = "RSASSA-PSS" }},
	{"MD5", 401, "signature_alg", nil, func(s *signIn) { s.alg = "MD5withRSA" }},
	{"SHA512withECDSA", 401, "signature_alg", nil, func(s *signIn) { algorithm("SHA512withECDSA", crypto.SHA512, newECDSAKey(elliptic.P521()))(s) }},
	{"another name than that of the hash", 401, "not by the holder", nil, func(s *signIn) { s.alg = "SHA512withRSA" }},
	{"name of ECDSA, key of RSA", 401, "not an ECDSA key", nil, func(s *signIn) { s.alg = "SHA256withECDSA" }},
	{"name of RSA, key of ECDSA", 401, "not an RSA key", nil, func(s *signIn) { algorithm("SHA256withRSA", crypto.SHA256, newECDSAKey(elliptic.P256()))(s) }},
	{"key of Ed25519", 401, "neither", nil, func(s *signIn) {
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		s.holder(key, vmssotest.Claims{})
		s.key = rsaKey()
	}},
	{"key of somebody else", 401, "not by the holder", nil, func(s *signIn) { s.key = bobsKey() }},
	{"ECDSA key of somebody else", 401, "not by the holder", nil, func(s *signIn) {
		algorithm("SHA256withECDSA", crypto.SHA256, newECDSAKey(elliptic.P256()))(s)
		s.key = newECDSAKey(elliptic.P256())
	}},
	{"ECDSA as XML signatures have it", 401, "not by the holder", nil, func(s *signIn) {
		algorithm("SHA256withECDSA", crypto.SHA256, newECDSAKey(elliptic.P256()))(s)
		s.editSignature = func([]byte) []byte { return make([]byte, 64) }
	}},
	{"byte of the signature", 401, "not by the holder", nil, func(s *signIn) { s.editSignature = func(b []byte) []byte { b[17] ^= 1; return b } }},
	{"signature cut", 401, "not by the holder", nil, func(s *signIn) { s.editSignature = func(b []byte) []byte { return b[1:] } }},
	{"signature not base64", 401, "signature: illegal base64", nil, set("signature", "a-b=")},
	{"signature without padding", 401, "signature: illegal base64", nil, func(s *signIn) {
		s.edit = func(m map[string]string) { m["signature"] = strings.TrimRight(m["signature"], "=") }
	}},
	{"signature folded", 401, "characters", nil, func(s *signIn) {
		s.edit = func(m map[string]string) { m["signature"] = m["signature"][:76] + "\n" + m["signature"][76:] }
	}},
	{"signed what gzip made of it", 401, "not by the holder", nil, func(s *signIn) { s.signed = string(gzipped(s.token)) }},
	{"signed with an XML declaration", 401, "not by the holder", nil, func(s *signIn) { s.signed = `<?xml version="1.0" encoding="UTF-8"?>` + s.token }},
	{"signed without an XML declaration", 401, "not by the holder", nil, func(s *signIn) {
		s.signed, s.token = s.token, `<?xml version="1.0" encoding="UTF-8"?>`+s.token
	}},
	{"signed as serialised again", 401, "not by the holder", nil, func(s *signIn) { s.signed = strings.ReplaceAll(s.token, "/>", " />") }},
	{"signed with a newline", 401, "not by the holder", nil, func(s *signIn) { s.signed = s.token + "\n" }},
}

var refusedPlaces = []refusedSignIn{
	{"unknown organization", 401, "is not known", nil, at("/api/sessions", "HR", xml37)},
	{"organization in another case", 401, "is not known", nil, at("/api/sessions", "FINANCE", xml37)},
	{"no org where there is no provider", 401, "is not known", func(c *vmssotest.DirectorConfig) { c.Orgs = map[string]string{"Finance": ""} }, at("/api/sessions", "", xml37)},
	{"provider at the tenants' login", 401, "provider at the login of the tenants", nil, at(tenants, "System", json37)},
	{"provider without org at the tenants' login", 401, "provider at the login of the tenants", nil, at(tenants, "", json37)},
	{"tenant at the provider's login", 401, "tenant at the login of the provider", nil, at(provider, "Finance", json37)},
	{"provider where it may not", 401, "closed", func(c *vmssotest.DirectorConfig) { c.NonProviderOnly = true }, at("/api/sessions", "system", xml37)},
	{"no Accept", 406, "Accept", nil, at("/api/sessions", "Finance", "")},
	{"no version", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml")},
	{"unknown version", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml;version=34.0")},
	{"version that is only meant", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml;version=37")},
	{"alpha version", 406, "Accept", nil, at(tenants, "Finance", "application/json;version=99.0.0-alpha")},
	{"two versions", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml;version=37.0,application/*+json;version=36.0")},
	{"two headers with two versions", 406, "Accept", nil, withHeader("Accept", "application/*+xml;version=36.0")},
	{"malformed Accept", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml;version=37.0;;a b")},
	{"malformed second type", 406, "Accept", nil, at("/api/sessions", "Finance", "application/*+xml;version=37.0,;")},
	{"HTML", 406, "Accept", nil, at("/api/sessions", "Finance", "text/html;version=37.0")},
	{"text+xml", 406, "Accept", nil, at("/api/sessions", "Finance", "text/a+xml;version=37.0")},
	{"application/json on /api", 406, "Accept", nil, at("/api/sessions", "Finance", json37)},
	{"*+json on /cloudapi", 406, "Accept", nil, at(tenants, "Finance", "application/*+json;version=37.0")},
	{"*+xml on /cloudapi", 406, "Accept", nil, at(tenants, "Finance", xml37)},
	{"38.0 on /api", 404, "version 38.0 has no /api/sessions", nil, at("/api/sessions", "Finance", "application/*+xml;version=38.0")},
	{"40.0 on /api", 404, "has no", versions("40.0"), at("/api/sessions", "Finance", "application/*+xml;version=40.0")},
	{"VCF Automation 9.0.0 on /api", 404, "has no", versions("9.0.0"), at("/api/sessions", "Finance", "application/*+xml;version=9.0.0")},
	{"VCF Automation 9.1 on /api", 404, "has no", versions("9.1"), at("/api/sessions", "Finance", "application/*+xml;version=9.1")},
	{"32.0 on /cloudapi", 404, "version 32.0 has no /cloudapi", versions("32.0", "33.0"), at(tenants, "Finance", "application/json;version=32.0")},
	{"body", 400, "body", nil, func(s *signIn) { s.body = "{}" }},
	{"body larger than any", 400, "body", nil, func(s *signIn) { s.body = strings.Repeat("a", 4<<20+1) }},
	{"two Authorization headers", 400, "2 Authorization headers", nil, withHeader("Authorization", "Bearer a.b.c")},
	{"X-Vcloud-Authorization", 400, "header X-Vcloud-Authorization", nil, withHeader("X-Vcloud-Authorization", "vmsso")},
	{"empty X-Vcloud-Authorization", 400, "header X-Vcloud-Authorization", nil, withHeader("X-Vcloud-Authorization", "")},
	{"X-Vmware-Vcloud-Access-Token", 400, "header X-Vmware-Vcloud-Access-Token", nil, withHeader("X-Vmware-Vcloud-Access-Token", "a.b.c")},
	{"cookie vcloud_jwt", 400, "cookie vcloud_jwt", nil, withHeader("Cookie", "vcloud_jwt=a.b.c")},
	{"cookie vcloud_session_id", 400, "cookie vcloud_session_id", nil, withHeader("Cookie", "a=b; vcloud_session_id=1")},
	{"cookie vcloud-token", 400, "cookie vcloud-token", nil, withHeader("Cookie", "vcloud-token=1")},
	{"header too large", 431, "8193 bytes, 8192 are allowed", nil, headerOf(8193)},
	{"header too large for other cells", 431, "1001 bytes, 1000 are allowed", func(c *vmssotest.DirectorConfig) { c.MaxHeader = 1000 }, func(s *signIn) {
		s.line = func(string) string { return "SIGN" }
		headerOf(1001)(s)
	}},
	{"header too large because of a cookie", 431, "are allowed", nil, withHeader("Cookie", "sso="+strings.Repeat("a", 8000))},
}

// headerOf fills the header up to n bytes.
func headerOf(n int) func(*signIn) {
	return func(s *signIn) {
		fill := s.line
		if fill == nil {
			fill = func(line string) string { return line }
		}
		s.line = func(line string) string {
			line = fill(line)
			have := len("POST https://vcd.example.test/api/sessions HTTP/1.1\r\nHost: vcd.example.test\r\n" +
				"Accept: " + s.accept + "\r\nAuthorization: " + line + "\r\nX-Fill: \r\n")
			s.header.Set("X-Fill", strings.Repeat("a", n-have))
			return line
		}
	}
}

func TestDirectorLoginRefused(t *testing.T) {
	for _, group := range [][]refusedSignIn{refusedSIGN, refusedAssertions, refusedHolder, refusedPlaces} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				s := newSignIn()
				if test.edit != nil {
					test.edit(s)
				}
				d := newDirector(func(c *vmssotest.DirectorConfig) {
					if test.config != nil {
						test.config(c)
					}
					c.OnLogin = func(vmssotest.DirectorLogin) { t.Error("OnLogin is called") }
				})
				w := send(d, s.build(t))
				if w.Code != test.status || d.Logins() != 0 || d.Refused() != 1 || d.Sessions() != 0 {
					t.Fatalf("status %d, want %d; logins %d, refused %d, reasons %q", w.Code, test.status, d.Logins(), d.Refused(), d.Reasons())
				}
				if got := d.Reasons(); len(got) != 1 || !strings.Contains(got[0], test.reason) {
					t.Errorf("reasons %q, want %q", got, test.reason)
				}
				for _, name := range []string{"X-Vmware-Vcloud-Access-Token", "X-Vcloud-Authorization", "Set-Cookie"} {
					if w.Header().Get(name) != "" {
						t.Errorf("%s: %s", name, w.Header().Get(name))
					}
				}
				if test.status == 401 && (w.Body.Len() > 0 || w.Header().Get("Content-Length") != "0") {
					t.Errorf("401 with a body: %s", w.Body)
				}
			})
		}
	}
}

// Without an Authorization header the two APIs differ.
func TestDirectorLoginWithoutAuthorization(t *testing.T) {
	for _, test := range []struct {
		path, accept string
		want         int
	}{
		{"/api/sessions", xml37, 403},
		{tenants, json37, 401},
		{provider, json37, 401},
	} {
		d := newDirector(nil)
		s := newSignIn()
		at(test.path, "Finance", test.accept)(s)
		r := s.build(t)
		r.Header.Del("Authorization")
		if w := send(d, r); w.Code != test.want || w.Body.Len() > 0 || d.Refused() != 1 || !strings.Contains(d.Reasons()[0], "no Authorization") {
			t.Errorf("%s: status %d, want %d; answer %q, reasons %q", test.path, w.Code, test.want, w.Body, d.Reasons())
		}
	}
}

// A login path knows one method, and none at all where its API is not yet there.
func TestDirectorLoginPaths(t *testing.T) {
	for _, test := range []struct {
		op       string
		versions []string
		want     int
		allow    string
	}{
		{"GET /api/sessions", nil, 405, "POST"},
		{"DELETE /api/sessions", nil, 405, "POST"},
		{"DELETE " + tenants, nil, 405, "POST"},
		{"PUT " + provider, nil, 405, "POST"},
		{"POST /api/versions", nil, 405, "GET"},
		{"POST " + tenants, []string{"32.0"}, 404, ""},
		{"POST " + provider, []string{"5.1", "9.0"}, 404, ""},
		{"DELETE " + tenants, []string{"32.0"}, 404, ""},
		{"GET " + tenants + "/current", []string{"32.0"}, 404, ""},
		{"POST /sessions", nil, 404, ""},
		{"GET /api", nil, 404, ""},
		{"GET /api/versions/", nil, 401, ""},
	} {
		d := newDirector(versions(test.versions...))
		s := newSignIn().build(t)
		s.Method, s.URL.Path, _ = strings.Cut(test.op, " ")
		if test.want == 401 {
			s.Header.Del("Authorization")
		}
		w := send(d, s)
		if w.Code != test.want || w.Header().Get("Allow") != test.allow || d.Calls(test.op) != 1 || d.Refused() != 0 {
			t.Errorf("%s: status %d, want %d; Allow %q; reasons %q", test.op, w.Code, test.want, w.Header().Get("Allow"), d.Reasons())
		}
	}
}

// A header of exactly the size that is allowed is accepted.
func TestDirectorHeaderBudget(t *testing.T) {
	s := newSignIn()
	headerOf(8192)(s)
	d := newDirector(nil)
	if w := send(d, s.build(t)); w.Code != http.StatusOK {
		t.Errorf("status %d, reasons %q", w.Code, d.Reasons())
	}
}
