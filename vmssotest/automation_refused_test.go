package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// refusedAutomation is a login that must be refused for this reason.
type refusedAutomation struct {
	name, reason string
	edit         func(*automationLogin)
}

func setAttribute(key, value string) func(*automationLogin) {
	return func(a *automationLogin) { a.attributes = func(m map[string]string) { m[key] = value } }
}

func dropAttribute(key string) func(*automationLogin) {
	return func(a *automationLogin) { a.attributes = func(m map[string]string) { delete(m, key) } }
}

func header(f func(string) []string) func(*automationLogin) {
	return func(a *automationLogin) { a.line = f }
}

func rewritten(old, new string) func(*automationLogin) {
	return header(func(s string) []string { return []string{strings.Replace(s, old, new, 1)} })
}

// cutNonce writes the nonce as two attributes.
func cutNonce(between string) func(string) []string {
	return func(s string) []string {
		i := strings.Index(s, `nonce="`) + len(`nonce="12`)
		return strings.Split(s[:i]+between+s[i:], "\n")
	}
}

var refusedForm = []refusedAutomation{
	{"no Authorization", "no Authorization", header(func(string) []string { return nil })},
	{"scheme in lower case", "is not SIGN", rewritten("SIGN", "sign")},
	{"Basic", "is not SIGN", header(func(string) []string { return []string{"Basic YTpi"} })},
	{"Bearer", "is not SIGN", rewritten("SIGN", "Bearer")},
	{"scheme alone", "not SIGN", header(func(string) []string { return []string{"SIGN"} })},
	{"no attributes", "list of", header(func(string) []string { return []string{"SIGN "} })},
	{"two spaces behind the scheme", "not known", rewritten("SIGN ", "SIGN  ")},
	{"two spaces behind a comma", "not known", func(a *automationLogin) { a.separator = ",  " }},
	{"semicolons", "comma", func(a *automationLogin) { a.separator = "; " }},
	{"no separator", "comma", func(a *automationLogin) { a.separator = " " }},
	{"comma at the end", "ends with a comma", header(func(s string) []string { return []string{s + ","} })},
	{"space at the end", "comma", header(func(s string) []string { return []string{s + " "} })},
	{"no closing quote", "does not end", header(func(s string) []string { return []string{s[:len(s)-1]} })},
	{"no quotes", "list of", header(func(s string) []string { return []string{strings.ReplaceAll(s, `"`, "")} })},
	{"single quotes", "list of", header(func(s string) []string { return []string{strings.ReplaceAll(s, `"`, "'")} })},
	{"space around =", "list of", header(func(s string) []string { return []string{strings.ReplaceAll(s, `="`, `= "`)} })},
	{"unknown attribute", "not known", header(func(s string) []string { return []string{s + `, realm="a"`} })},
	{"org of Cloud Director", "not known", header(func(s string) []string { return []string{s + `,org="a"`} })},
	{"attribute in upper case", "not known", rewritten("nonce=", "Nonce=")},
	{"token twice", "token twice", header(func(s string) []string { return []string{s + `, token="YQ=="`} })},
	{"nonce twice, the same", "nonce twice", func(a *automationLogin) { a.order = append(a.order, "nonce") }},
	{"token twice in a later line", "token twice", header(func(s string) []string { return []string{s, `token="YQ=="`} })},
	{"value cut within one line", "nonce twice", header(cutNonce(`", nonce="`))},
	{"value cut, not at the begin of a line", "nonce twice", header(func(s string) []string { return []string{s, `bodyhash="YQ==", nonce="1"`} })},
	{"value goes on twice in a line", "bodyhash twice", header(func(s string) []string { return []string{s, `bodyhash="YQ==", bodyhash="YQ=="`} })},
	{"same header in two lines", "not known", header(func(s string) []string { return []string{s, s} })},
	{"lines joined by a proxy", "nonce twice", header(func(s string) []string { return []string{strings.Join(cutNonce("\"\nnonce=\"")(s), ", ")} })},
	{"empty line", "list of", header(func(s string) []string { return []string{s, ""} })},
	{"two commas at the end of a line", "ends with a comma", header(func(s string) []string {
		return strings.Split(strings.ReplaceAll(s, ", nonce", ",,\nnonce"), "\n")
	})},
	{"empty value", "is empty", setAttribute("nonce", "")},
	{"space in a value", "characters", setAttribute("nonce", "1: 2")},
	{"comma in a value", "characters", setAttribute("nonce", "1,2")},
	{"line break in a value", "characters", func(a *automationLogin) { a.encoded = func(s string) string { return s[:76] + "\n" + s[76:] } }},
	{"not ASCII", "characters", setAttribute("nonce", "1:\u0662")},
	{"no token", "without token", dropAttribute("token")},
}

var refusedToken = []refusedAutomation{
	{"base64 without padding", "token: illegal base64", func(a *automationLogin) {
		a.packed = append(zipped(a.token)[:300:300], make([]byte, 1)...)
		a.encoded = func(s string) string { return strings.TrimRight(s, "=") }
	}},
	{"base64 of URLs", "token: illegal base64", func(a *automationLogin) {
		a.encoded = strings.NewReplacer("+", "-", "/", "_").Replace
	}},
	{"base64 with bits behind its end", "token: illegal base64", func(a *automationLogin) {
		a.packed = []byte{0x1f}
		a.encoded = func(string) string { return "Hx==" }
	}},
	{"token not zipped", "gzip: invalid header", func(a *automationLogin) { a.packed = []byte(a.token) }},
	{"gzip cut", "token: unexpected EOF", func(a *automationLogin) { p := zipped(a.token); a.packed = p[:len(p)-9] }},
	{"gzip without its checksum", "token: unexpected EOF", func(a *automationLogin) { p := zipped(a.token); a.packed = p[:len(p)-8] }},
	{"gzip with a wrong checksum", "gzip: invalid checksum", func(a *automationLogin) { p := zipped(a.token); p[len(p)-5] ^= 1; a.packed = p }},
	{"two gzip members", "more than one", func(a *automationLogin) { a.packed = append(zipped(a.token[:100]), zipped(a.token[100:])...) }},
	{"bytes behind gzip", "more than one", func(a *automationLogin) { a.packed = append(zipped(a.token), 0) }},
	{"gzip bomb", "larger than 1 MiB", func(a *automationLogin) { a.packed = zipped(a.token + strings.Repeat(" ", 20<<20)) }},
	{"1 MiB and a byte", "larger than 1 MiB", func(a *automationLogin) { a.token += strings.Repeat(" ", maxToken+1-len(a.token)) }},
	{"not XML", "token: not well-formed", func(a *automationLogin) { a.token = "token" }},
	{"DOCTYPE", "DOCTYPE", func(a *automationLogin) { a.token = "<!DOCTYPE a>" + a.token }},
	{"assertion inside another element", "assertion has version", func(a *automationLogin) { a.token = "<a>" + a.token + "</a>" }},
	{"two assertions", "more than one root", func(a *automationLogin) { a.token += a.token }},
	{"assertion changed", "assertion: ", func(a *automationLogin) { a.token = strings.Replace(a.token, "alice@", "admin@", 1) }},
	{"foreign issuer", "assertion: ", func(a *automationLogin) { *a = *withClaims(otherAuthority(), Claims{Holder: clientCertificate()}) }},
	{"not yet valid", "not valid before", func(a *automationLogin) {
		*a = *withClaims(authority(), Claims{Holder: clientCertificate(), NotBefore: testTime().Add(11 * time.Minute)})
	}},
	{"expired", "expired", func(a *automationLogin) {
		*a = *withClaims(authority(), Claims{Holder: clientCertificate(), NotBefore: testTime().Add(-time.Hour), NotOnOrAfter: testTime().Add(-10 * time.Minute)})
	}},
}

func withClaims(issuer *Authority, c Claims) *automationLogin {
	a := newAutomationLogin()
	c.Subject = "alice@vsphere.local"
	if c.NotBefore.IsZero() {
		c.NotBefore = testTime()
	}
	a.token = issuer.Issue(c)
	return a
}

var refusedPossession = []refusedAutomation{
	{"holder-of-key token without a signature", "SIGN without nonce", func(a *automationLogin) { a.key = nil }},
	{"no nonce", "SIGN without nonce", dropAttribute("nonce")},
	{"no bodyhash", "SIGN without bodyhash", dropAttribute("bodyhash")},
	{"no signature_alg", "SIGN without signature_alg", dropAttribute("signature_alg")},
	{"no signature", "SIGN without signature,", dropAttribute("signature")},
	{"bearer token with a signature", "with a bearer token", func(a *automationLogin) { key := a.key; a.bearer(); a.key = key }},
	{"bearer token with a nonce", "nonce with a bearer token", func(a *automationLogin) { a.bearer(); setAttribute("nonce", "1:1")(a) }},
	{"bearer token with bodyhash", "bodyhash with a bearer token", func(a *automationLogin) { a.bearer(); setAttribute("bodyhash", "YQ==")(a) }},
	{"name of JCA", "signature_alg", func(a *automationLogin) { a.alg = "SHA256withRSA" }},
	{"name in lower case", "signature_alg", func(a *automationLogin) { a.alg = "rsa-sha256" }},
	{"RSA-SHA1", "signature_alg", func(a *automationLogin) { a.alg = "RSA-SHA1" }},
	{"another key", "not by the holder", func(a *automationLogin) { a.key = otherKey() }},
	{"token of another holder", "not by the holder", func(a *automationLogin) {
		*a = *withClaims(authority(), Claims{Holder: NewKeyPair("bob", otherKey()).Leaf})
	}},
	{"holder with an elliptic key", "not an RSA key", func(a *automationLogin) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		*a = *withClaims(authority(), Claims{Holder: NewKeyPair("bob", key).Leaf})
	}},
	{"signature byte", "not by the holder", func(a *automationLogin) {
		a.editSignature = func(b []byte) []byte { b[17] ^= 1; return b }
	}},
	{"signature cut", "not by the holder", func(a *automationLogin) { a.editSignature = func(b []byte) []byte { return b[1:] } }},
	{"signature not base64", "signature: illegal base64", setAttribute("signature", "a-b=")},
	{"signature with bits behind its end", "signature: illegal base64", func(a *automationLogin) {
		a.attributes = func(m map[string]string) { // 256 bytes leave four bits unused: A, Q, g or w stands last
			v := strings.TrimSuffix(m["signature"], "==")
			m["signature"] = v[:len(v)-1] + string(v[len(v)-1]+1) + "=="
		}
	}},
	{"signed method", "not by the holder", func(a *automationLogin) { a.signedMethod = "GET" }},
	{"signed method in lower case", "not by the holder", func(a *automationLogin) { a.signedMethod = "post" }},
	{"signed path", "not by the holder", func(a *automationLogin) { a.signedPath = legacySession }},
	{"signed path with query", "not by the holder", func(a *automationLogin) { a.target, a.signedPath = apiSession+"?a=b", apiSession+"?a=b" }},
	{"signed path as escaped", "not by the holder", func(a *automationLogin) { a.target = "/api/%73ession" }},
	{"signed URL", "not by the holder", func(a *automationLogin) { a.signedPath = "https://vc.example.test" + apiSession }},
	{"signed host", "not by the holder", func(a *automationLogin) { a.signedHost = "vc2.example.test" }},
	{"signed host in upper case", "not by the holder", func(a *automationLogin) { a.host, a.signedHost = "VC.example.test", "VC.example.test" }},
	{"signed host with port", "not by the holder", func(a *automationLogin) {
		a.host, a.signedHost, a.port = "vc.example.test:443", "vc.example.test:443", "443"
	}},
	{"signed IPv6 without brackets", "not by the holder", func(a *automationLogin) { a.host, a.signedHost = "[::1]", "::1" }},
	{"signed port 443, Host without", "not by the holder", func(a *automationLogin) { a.port = "443" }},
	{"signed port 80, Host with 443", "not by the holder", func(a *automationLogin) { a.host, a.signedHost = "vc.example.test:443", "vc.example.test" }},
	{"signed nonce", "not by the holder", func(a *automationLogin) { a.signedNonce = a.nonce + "0" }},
	{"signed digest in base64", "not by the holder", func(a *automationLogin) { a.digest = []byte("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") }},
	{"digest of another hash", "bodyhash", func(a *automationLogin) {
		sum := sha512.Sum512(nil)
		a.bodyhash = base64.StdEncoding.EncodeToString(sum[:])
	}},
	{"signed with another hash", "bodyhash", func(a *automationLogin) { a.hash = crypto.SHA512 }},
	{"bodyhash of the empty body", "bodyhash", func(a *automationLogin) { a.body, a.bodyhash = "{}", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }},
	{"nonce too old", "off the server's clock", nonceSet(testTime().Add(-10*time.Minute-time.Millisecond), "1")},
	{"nonce too far ahead", "off the server's clock", nonceSet(testTime().Add(10*time.Minute+time.Millisecond), "1")},
	{"nonce in seconds", "off the server's clock", func(a *automationLogin) { a.nonce = strconv.FormatInt(testTime().Unix(), 10) + ":1" }},
	{"nonce out of range", "out of range", func(a *automationLogin) { a.nonce = strings.Repeat("9", 30) + ":1" }},
	{"nonce of the largest number", "off the server's clock", func(a *automationLogin) { a.nonce = "9223372036854775807:1" }},
	{"nonce without colon", "is not <unix", func(a *automationLogin) { a.nonce = "1777896000000" }},
	{"nonce with two colons", "is not <unix", nonceSet(testTime(), "1:2")},
	{"nonce without random", "is not <unix", nonceSet(testTime(), "")},
	{"nonce with hex", "is not <unix", nonceSet(testTime(), "7f")},
	{"nonce with a sign", "is not <unix", nonceSet(testTime(), "-7")},
	{"nonce with a zero in front", "is not <unix", func(a *automationLogin) { a.nonce = "0" + a.nonce }},
	{"no Host", "malformed", func(a *automationLogin) { a.host = "" }},
	{"Host with brackets around a name", "malformed", func(a *automationLogin) { a.host = "[vc]" }},
	{"Host with brackets around IPv4", "malformed", func(a *automationLogin) { a.host = "[127.0.0.1]" }},
	{"Host with IPv6 without brackets", "malformed", func(a *automationLogin) { a.host = "2001:db8::1" }},
	{"Host with an empty port", "no proper port", func(a *automationLogin) { a.host = "vc.example.test:" }},
}

func nonceSet(at time.Time, random string) func(*automationLogin) {
	return func(a *automationLogin) { a.nonce = nonceAt(at, random) }
}

var refusedSession = []refusedAutomation{
	{"session header", "login with the header", func(a *automationLogin) { a.header.Set(sessionHeader, "1") }},
	{"empty session header", "login with the header", func(a *automationLogin) { a.header.Set(sessionHeader, "") }},
	{"session cookie", "login with the cookie", func(a *automationLogin) { a.header.Set("Cookie", "a=b; vmware-api-session-id=1") }},
}

func TestAutomationLoginRefused(t *testing.T) {
	for group, tests := range map[string][]refusedAutomation{"form": refusedForm, "token": refusedToken, "possession": refusedPossession, "session": refusedSession} {
		for _, test := range tests {
			t.Run(group+"/"+test.name, func(t *testing.T) {
				a := newAutomationLogin()
				test.edit(a)
				v := newTestAutomation(nil)
				w := serve(v, a.build(t))
				reasons := strings.Join(v.Reasons(), "; ")
				if w.Code != http.StatusUnauthorized || v.Refused() != 1 || v.Logins()+v.Sessions() != 0 || !strings.Contains(reasons, test.reason) {
					t.Fatalf("status %d, logins %d, refused %d, reasons %q, want %q", w.Code, v.Logins(), v.Refused(), reasons, test.reason)
				}
				if got := w.Body.String(); got != apiUnauthenticated || w.Header().Get("Content-Type") != "application/json" {
					t.Errorf("answer %s", got)
				}
			})
		}
	}
}

// The recorded requests, with one thing changed each.
func TestAutomationVectorsRefused(t *testing.T) {
	authorization := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			lines := r.Header["Authorization"]
			for i := range lines {
				lines[i] = strings.Replace(lines[i], old, new, 1)
			}
		}
	}
	tests := map[string]func(*http.Request){
		"path":              func(r *http.Request) { r.URL.Path = legacySession },
		"host":              func(r *http.Request) { r.Host = strings.Replace(r.Host, "example", "sample", 1) },
		"port":              func(r *http.Request) { r.Host = "vc.example.test:8443" },
		"body":              func(r *http.Request) { *r = *withBody(r, []byte("{}")) },
		"nonce":             authorization(`nonce="17953091`, `nonce="17953092`),
		"random of nonce":   authorization(`88"`, `89"`),
		"algorithm":         authorization(`"RSA-SHA256"`, `"RSA-SHA512"`),
		"signature":         authorization(`signature="`, `signature="AAAA`),
		"session header":    func(r *http.Request) { r.Header.Set(sessionHeader, "1") },
		"first line only":   func(r *http.Request) { r.Header["Authorization"] = []string{r.Header["Authorization"][0][:4000]} },
		"unknown attribute": authorization("SIGN ", `SIGN a="b", `),
	}
	for _, v := range vectorLogins {
		for name, change := range tests {
			t.Run(v.file+"/"+name, func(t *testing.T) {
				s, r := v.server(t), v.request(t)
				before := strings.Join(r.Header["Authorization"], "\n")
				change(r)
				if (name == "random of nonce" || name == "algorithm") && strings.Join(r.Header["Authorization"], "\n") == before {
					t.Skip("the other vector has it")
				}
				if w := serve(s, r); w.Code != http.StatusUnauthorized || len(s.Reasons()) != 1 {
					t.Errorf("status %d, reasons %q", w.Code, s.Reasons())
				}
			})
		}
		t.Run(v.file+"/replay", func(t *testing.T) {
			s := v.server(t)
			if w := serve(s, v.request(t)); w.Code != http.StatusCreated {
				t.Fatalf("status %d, reasons %q", w.Code, s.Reasons())
			}
			if w := serve(s, v.request(t)); w.Code != http.StatusUnauthorized || !strings.Contains(s.Reasons()[0], "used again") {
				t.Errorf("status %d, reasons %q", w.Code, s.Reasons())
			}
		})
		t.Run(v.file+"/another issuer", func(t *testing.T) {
			s := v.server(t)
			s.cfg.Trust = []*x509.Certificate{authority().Certificate()}
			if w := serve(s, v.request(t)); w.Code != http.StatusUnauthorized {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}
