package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for the messages that use it
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
)

func TestLoginPossessionRefused(t *testing.T) {
	token := func(m *message, c Claims) {
		c.ID, c.Subject, c.NotBefore = "_token-1", "alice@vsphere.local", testTime()
		m.token = authority().Issue(c)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withEC := func(m *message) {
		token(m, Claims{Holder: NewKeyPair("ec", ecKey).Leaf})
		m.key, m.method = ecKey, moreAlg+"ecdsa-sha256"
	}
	sig := func(old, new string) func(*message) {
		return func(m *message) { m.editSig = func(s string) string { return strings.Replace(s, old, new, 1) } }
	}
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"holder-of-key token, no signature", "not signed", func(m *message) { m.key = nil }},
		{"signed with another key", "signature value", func(m *message) { m.key = otherKey() }},
		{"bearer token, signed", "bearer token is signed", func(m *message) { token(m, Claims{}) }},
		{"token of another holder", "signature value", func(m *message) { token(m, Claims{Holder: NewKeyPair("bob", otherKey()).Leaf}) }},
		{"body changed", "digest of Body", replaced("en_US", "de_DE")},
		{"body: attribute added", "digest of Body", replaced(`<_this type="SessionManager"`, `<_this a="" type="SessionManager"`)},
		{"body: white space added", "digest of Body", replaced("<locale>", " <locale>")},
		{"timestamp changed", "digest of Timestamp", replaced("12:10:00.000Z", "12:09:00.000Z")},
		{"signature value changed", "signature value", func(m *message) {
			m.editValue = func(b []byte) []byte { b[17] ^= 1; return b }
		}},
		{"SignedInfo changed", "signature value", sig("<ds:SignedInfo ", `<ds:SignedInfo Id="a" `)},
		{"no SignatureValue", "no SignatureValue", func(m *message) {
			m.editSig = func(s string) string { return strings.ReplaceAll(s, "ds:SignatureValue>", "ds:X>") }
		}},
		{"no KeyInfo", "without KeyInfo", func(m *message) {
			m.editSig = func(s string) string {
				head, _, _ := strings.Cut(s, "<ds:KeyInfo>")
				return head + "</ds:Signature>"
			}
		}},
		{"KeyInfo names another token", "KeyInfo names", func(m *message) { m.keyInfo = samlReference("_token-2") }},
		{"KeyInfo with a certificate", "no SecurityTokenReference", func(m *message) {
			m.keyInfo = `<ds:X509Data><ds:X509Certificate>` + encode(clientCertificate().Raw) + `</ds:X509Certificate></ds:X509Data>`
		}},
		{"KeyIdentifier of another type", "ValueType", sig("#SAMLID", "#SAMLAssertionID")},
		{"token type SAML 1.1", "TokenType", sig("#SAMLV2.0", "#SAMLV1.1")},
		{"two references to tokens", "unexpected SecurityTokenReference", func(m *message) { m.keyInfo += m.keyInfo }},
		{"two signatures", "two Signature", func(m *message) {
			m.layout = func(ts, tok, sig string) string { return ts + tok + sig + sig }
		}},
		{"rsa-sha1", "not accepted", func(m *message) { m.method, m.hash = nsDS+"rsa-sha1", crypto.SHA1 }},
		{"digest sha1", "not accepted", func(m *message) { m.digest, m.digestHash = nsDS+"sha1", crypto.SHA1 }},
		{"dsa", "not accepted", func(m *message) { m.method = nsDS + "dsa-sha1" }},
		{"HMAC with the certificate as key", "not accepted", func(m *message) {
			m.method = moreAlg + "hmac-sha256"
			m.editInfo = func(info string) string {
				m.editValue = func([]byte) []byte {
					h := hmac.New(sha256.New, clientCertificate().Raw)
					h.Write([]byte(info))
					return h.Sum(nil)
				}
				return info
			}
		}},
		{"RSA-PSS", "not accepted", func(m *message) { m.method = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1" }},
		{"hash of the method differs", "signature value", func(m *message) { m.hash = crypto.SHA512 }},
		{"inclusive C14N of SignedInfo", "not accepted", func(m *message) { m.c14n = inclC14N }},
		{"inclusive C14N of the parts", "not accepted", func(m *message) { m.transform = inclC14N }},
		{"C14N with comments", "not accepted", func(m *message) { m.transform = excC14N + "WithComments" }},
		{"no transform", "not accepted", func(m *message) { m.transforms = " " }},
		{"two transforms", "not accepted", func(m *message) {
			m.transforms = strings.Repeat(`<ds:Transform Algorithm="`+excC14N+`"></ds:Transform>`, 2)
		}},
		{"enveloped transform", "not accepted", func(m *message) { m.transform = enveloped }},
		{"XPath transform", "not accepted", func(m *message) { m.transform = "http://www.w3.org/TR/1999/REC-xpath-19991116" }},
		{"XSLT transform", "not accepted", func(m *message) { m.transform = "http://www.w3.org/TR/1999/REC-xslt-19991116" }},
		{"STR transform", "not accepted", func(m *message) {
			m.transform = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform"
		}},
		{"transform with parameters", "unexpected content", func(m *message) {
			m.transforms = `<ds:Transform Algorithm="` + excC14N + `"><x></x></ds:Transform>`
		}},
		{"ECDSA in DER", "signature value", func(m *message) { withEC(m); m.editValue = derSignature }},
		{"ECDSA too short", "signature value", func(m *message) { withEC(m); m.editValue = func(b []byte) []byte { return b[:63] } }},
		{"RSA method with an EC key", "signature value", func(m *message) { withEC(m); m.method = moreAlg + "rsa-sha256" }},
		{"EC method with an RSA key", "signature value", func(m *message) { m.method = moreAlg + "ecdsa-sha256" }},
		{"X.509 and RSA key value", "holds no X509Data", func(m *message) {
			m.token = strings.NewReplacer("ds:X509Data", "ds:KeyValue").Replace(m.token)
			m.token = resign(m.token)
		}},
	})
}

// resign signs a changed assertion again, with the authority's key.
func resign(token string) string {
	head, rest, _ := strings.Cut(token, "<ds:Signature ")
	_, tail, _ := strings.Cut(rest, "</ds:Signature>")
	digest := sha256.Sum256(mustCanonicalize(head + tail))
	_, rest, _ = strings.Cut(token, "<ds:SignedInfo>")
	info, _, _ := strings.Cut(rest, "</ds:SignedInfo>")
	before, rest, _ := strings.Cut(info, "<ds:DigestValue>")
	_, after, _ := strings.Cut(rest, "</ds:DigestValue>")
	info = "<ds:SignedInfo>" + before + "<ds:DigestValue>" + encode(digest[:]) + "</ds:DigestValue>" + after + "</ds:SignedInfo>"
	sum := sha256.Sum256(mustCanonicalize(strings.Replace(info, "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="`+nsDS+`">`, 1)))
	value, err := rsa.SignPKCS1v15(rand.Reader, authority().cert.PrivateKey.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return head + `<ds:Signature xmlns:ds="` + nsDS + `">` + info + `<ds:SignatureValue>` + encode(value) + `</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` +
		encode(authority().Certificate().Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>` + tail
}

func TestLoginBodyRefused(t *testing.T) {
	body := func(content string) func(*message) {
		return func(m *message) { m.body = bodyXML(m.bodyID, content) }
	}
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"two operations", "not one LoginByToken", body(loginBody + loginBody)},
		{"other namespace", "has namespace", body(strings.Replace(loginBody, "urn:vim25", "urn:vim24", 1))},
		{"other _this", "SessionManager", body(strings.Replace(loginBody, ">SessionManager<", ">OtherManager<", 1))},
		{"_this of another type", "SessionManager", body(strings.Replace(loginBody, `"SessionManager"`, `"Folder"`, 1))},
		{"no _this", "no _this", body(`<LoginByToken xmlns="urn:vim25"></LoginByToken>`)},
		{"unknown parameter", "unexpected userName", body(strings.Replace(loginBody, "</LoginByToken>", "<userName>root</userName></LoginByToken>", 1))},
	})
}

func TestLoginSOAPActionRefused(t *testing.T) {
	for _, action := range []string{"", "urn:vim25", "urn:vim25/", "urn:vim24/8.0", `"urn:vim25/8.0`, "urn:vim25/8 0", `urn:vim25/8.0"`, issueAction} {
		v := newTestVSphere()
		w := post(v, newCookie(call(v, "", "RetrieveServiceContent")), action, holderOfKeyLogin().build(t))
		if w.Code != http.StatusInternalServerError || v.Refused() != 1 {
			t.Errorf("SOAPAction %q: status %d, refused %d", action, w.Code, v.Refused())
		}
	}
	for _, action := range []string{`"urn:vim25/8.0.3.0"`, "urn:vim25/6.7.3", "urn:vim25/unstable"} {
		v := newTestVSphere()
		if w := post(v, newCookie(call(v, "", "RetrieveServiceContent")), action, holderOfKeyLogin().build(t)); w.Code != http.StatusOK {
			t.Errorf("SOAPAction %q: status %d, reasons %q", action, w.Code, v.Reasons())
		}
	}
}
