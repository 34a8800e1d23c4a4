package signer_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/vmssotest"
)

var issuer = sync.OnceValue(vmssotest.NewAuthority)

// issued is an assertion of the issuer that is valid from noon for an hour.
func issued(c vmssotest.Claims) string {
	c.NotBefore = noon
	if c.Subject == "" {
		c.Subject = "alice@vsphere.local"
	}
	if c.ID == "" {
		c.ID = "_good"
	}
	return issuer().Issue(c)
}

func TestVerifyTakesWhatTheIssuerSigned(t *testing.T) {
	var many []string
	for i := range 2000 {
		many = append(many, fmt.Sprintf(`vsphere.local\Group%d & <others>`, i))
	}
	holder := validPair(t, testKeys["P-256"]())
	leaf, err := x509.ParseCertificate(holder.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]vmssotest.Claims{
		"bearer":                 {},
		"holder-of-key":          {Holder: leaf},
		"another prefix":         {Prefix: "s"},
		"the default namespace":  {Prefix: "xmlns", Holder: leaf},
		"many groups":            {Groups: many},
		"restricted, delegated":  {Audiences: []string{"urn:a"}, Delegations: 3, Renewals: 10, Delegates: []string{"bob@vsphere.local"}},
		"a name with odd things": {Subject: "a&b<c>\"d'\t\r\né𝄞@vsphere.local"},
	}
	for name, claims := range tests {
		text := issued(claims)
		a, err := signer.Verify(text, []*x509.Certificate{otherIssuer().Certificate(), issuer().Certificate()}, noon.Add(time.Minute))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.ID != "_good" || a.HolderOfKey != (claims.Holder != nil) || a.Holder != nil && !a.Holder.Equal(leaf) || !a.Expires.Equal(noon.Add(time.Hour)) {
			t.Errorf("%s: got %+v", name, *a)
		}
	}
}

// What the assertion holds of keys is not signed, and does not count.
func TestVerifyDoesNotLookAtKeyInfo(t *testing.T) {
	good := issued(vmssotest.Claims{})
	from, to := strings.Index(good, "<ds:KeyInfo>"), strings.Index(good, "</ds:KeyInfo>")+len("</ds:KeyInfo>")
	foreign := base64.StdEncoding.EncodeToString(otherIssuer().Certificate().Raw)
	for _, keyInfo := range []string{
		"", "<ds:KeyInfo/>", "<ds:KeyInfo><ds:KeyName>STS</ds:KeyName></ds:KeyInfo>",
		"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>" + foreign + "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
	} {
		text := good[:from] + keyInfo + good[to:]
		if _, err := signer.Verify(text, []*x509.Certificate{issuer().Certificate()}, noon); err != nil {
			t.Errorf("%.60s: %v", keyInfo, err)
		}
		if _, err := signer.Verify(text, []*x509.Certificate{otherIssuer().Certificate()}, noon); err == nil {
			t.Errorf("%.60s: verified with the certificate of another", keyInfo)
		}
	}
}

var otherIssuer = sync.OnceValue(vmssotest.NewAuthority)

// The vectors were signed by another implementation.
func TestVerifyTakesTheVectors(t *testing.T) {
	certificate := must(tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")).Leaf
	sts := certificateOf(t, read(t, "sts-cert.pem"))
	for _, name := range []string{"hok.xml", "bearer.xml"} {
		text := strings.TrimSpace(read(t, name))
		if _, err := signer.Verify(text, []*x509.Certificate{sts}, sts.NotBefore.Add(time.Hour)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := signer.Verify(text, []*x509.Certificate{certificate}, sts.NotBefore.Add(time.Hour)); err == nil {
			t.Errorf("%s: verified with another certificate", name)
		}
	}
}

// A wrapping attack (Somorovsky et al., "On Breaking SAML") moves the signed
// assertion aside, so that the signature is still right, and puts an assertion of
// the attacker in its place. The first eight are the classic ones; those that
// need a Response have one here.
func TestVerifyRefusesWrappedAssertions(t *testing.T) {
	good := issued(vmssotest.Claims{})
	from, to := strings.Index(good, "<ds:Signature"), strings.Index(good, "</ds:Signature>")+len("</ds:Signature>")
	signature := good[from:to]
	bare := good[:from] + good[to:] // what is signed
	evil := strings.NewReplacer("alice@", "admin@", `ID="_good"`, `ID="_evil"`).Replace(bare)
	sameID := strings.ReplaceAll(evil, "_evil", "_good")
	// with puts something behind the evil Issuer.
	with := func(evil, s string) string {
		return strings.Replace(evil, "</saml2:Issuer>", "</saml2:Issuer>"+s, 1)
	}
	last := func(evil, s string) string {
		return strings.Replace(evil, "</saml2:Assertion>", s+"</saml2:Assertion>", 1)
	}
	object := func(s string) string {
		return strings.Replace(signature, "</ds:Signature>", "<ds:Object>"+s+"</ds:Object></ds:Signature>", 1)
	}
	response := func(s string) string {
		return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r">` + s + `</samlp:Response>`
	}
	attacks := []struct{ name, text, say string }{
		{"1: the good Response in the signature of the evil one", response(evil + object(response(bare))), "protocol message"},
		{"2: the good Response before a detached signature", response(evil + bare + signature), "protocol message"},
		{"3: the evil assertion beside the good one", response(evil + good), "protocol message"},
		{"3, without the Response", evil + good, "second element"},
		{"4: the good assertion in the evil one", last(evil, good), "right behind the Issuer"},
		{"5: the signature in the evil one, the good one behind it", response(with(evil, signature) + bare), "protocol message"},
		{"5, without the Response", with(evil, signature) + bare, "second element"},
		{"6: the good one in the signature of the evil one", with(evil, object(bare)), "has not the parts"},
		{"7: the good one in Extensions", response("<samlp:Extensions>" + good + "</samlp:Extensions>" + evil), "protocol message"},
		{"7, in Advice", with(evil, "<saml2:Advice>"+good+"</saml2:Advice>"), "right behind the Issuer"},
		{"7, in Advice, the signature in its place", with(evil, signature+"<saml2:Advice>"+bare+"</saml2:Advice>"), "refers to something else"},
		{"8: the good one in an Object", with(evil, object(good)), "has not the parts"},
		{"9: both with the same ID", with(sameID, signature+"<saml2:Advice>"+bare+"</saml2:Advice>"), "an ID twice"},
		{"9, in an Object", with(sameID, object(bare)), "an ID twice"},
		{"9, as attributes of two namespaces", strings.Replace(with(evil, signature+"<saml2:Advice>"+bare+"</saml2:Advice>"), ` ID="_evil"`, ` xmlns:x="urn:x" x:ID="_good" ID="_evil"`, 1), "attributes of other namespaces"},
		{"the signature alone", with(evil, signature), "refers to something else"},
		{"the signature alone, with the ID", with(sameID, signature), "changed since"},
		{"the signature at the end", last(bare, signature), "right behind the Issuer"},
		{"the signature before the Issuer", strings.Replace(bare, "<saml2:Issuer", signature+"<saml2:Issuer", 1), "right behind the Issuer"},
		{"the signature in the Issuer", strings.Replace(bare, "</saml2:Issuer>", signature+"</saml2:Issuer>", 1), "text alone"},
		{"two signatures", with(good, signature), "right behind the Issuer"},
		{"no signature", bare, "right behind the Issuer"},
		{"another reference before", strings.Replace(good, "<ds:Reference", `<ds:Reference URI="#_evil"></ds:Reference><ds:Reference`, 1), "one reference"},
		{"the reference by the whole document", strings.Replace(good, `URI="#_good"`, `URI=""`, 1), "refers to something else"},
		{"the reference by another namespace", strings.Replace(good, `URI="#_good"`, `xmlns:x="urn:x" x:URI="#_good" URI="#_evil"`, 1), "attributes of other namespaces"},
		{"a transform that leaves something out", strings.Replace(good, "<ds:Transforms>", `<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"/>`, 1), "transforms"},
		{"no transform", regexp.MustCompile(`<ds:Transforms>.*</ds:Transforms>`).ReplaceAllString(good, "<ds:Transforms></ds:Transforms>"), "transforms"},
		{"a comment in the name", strings.Replace(good, "alice@vsphere.local", "alice@vsphere.local<!---->", 1), "comment"},
		{"a comment that cuts the name", strings.Replace(good, "alice@vsphere.local", "alice@vsphere<!-- -->.local", 1), "comment"},
		{"a comment in the signature", strings.Replace(good, "<ds:SignatureValue>", "<ds:SignatureValue><!---->", 1), "comment"},
		{"another name", strings.Replace(good, "alice@", "admin@", 1), "changed since"},
		{"another end", strings.ReplaceAll(good, "2026-03-01T13:", "2026-03-01T14:"), "changed since"},
		{"a statement more", last(good, "<saml2:AttributeStatement/>"), "changed since"},
		{"an attribute more", strings.Replace(good, "<saml2:Subject>", `<saml2:Subject a="">`, 1), "changed since"},
		{"the digest of another", strings.Replace(good, "<ds:DigestValue>", "<ds:DigestValue>AAAA", 1), "changed since"},
		{"no value", regexp.MustCompile(`<ds:SignatureValue>[^<]*`).ReplaceAllString(good, "<ds:SignatureValue>"), "changed since"},
		{"the value of an HMAC", strings.Replace(good, "2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#hmac-sha256", 1), "its algorithm"},
		{"an ECDSA value", strings.Replace(good, "#rsa-sha256", "#ecdsa-sha256", 1), "of another kind"},
		{"inclusive canonicalization", strings.Replace(good, `CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"`, 1), "its canonicalization"},
		{"encrypted", opaque, "EncryptedAssertion"},
	}
	for _, tt := range attacks {
		if tt.text == good {
			t.Errorf("%s: the test did not change the assertion", tt.name)
		}
		a, err := signer.Verify(tt.text, []*x509.Certificate{issuer().Certificate()}, noon.Add(time.Minute))
		if err == nil || a != nil || !errors.Is(err, vmsso.ErrUnsupportedToken) {
			t.Errorf("%s: got %+v, %v, want ErrUnsupportedToken", tt.name, a, err)
		}
		if err != nil && !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %q, want it to say %q", tt.name, err, tt.say)
		}
		if err != nil && (strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "admin@")) {
			t.Errorf("%s: the error quotes the token: %v", tt.name, err)
		}
	}
}

func TestVerifyLooksAtTheTimes(t *testing.T) {
	text := issued(vmssotest.Claims{})
	cert := issuer().Certificate()
	tests := []struct {
		name string
		now  time.Time
		say  string
	}{
		{"before", noon.Add(-time.Second), "not valid before"},
		{"the first moment", noon, ""},
		{"the last", noon.Add(time.Hour - time.Millisecond), ""},
		{"the end", noon.Add(time.Hour), "expired"},
		{"before the certificate", cert.NotBefore.Add(-time.Second), "Cert is not valid"},
		{"behind the certificate", cert.NotAfter.Add(time.Second), "Cert is not valid"},
	}
	for _, tt := range tests {
		_, err := signer.Verify(text, []*x509.Certificate{cert}, tt.now)
		if (err == nil) != (tt.say == "") || err != nil && !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.say)
		}
	}
	leaf := certificateOf(t, read(t, "client-cert.pem"))
	hok := issued(vmssotest.Claims{Holder: leaf}) // its confirmation is not limited
	if _, err := signer.Verify(hok, []*x509.Certificate{cert}, noon.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "it has expired") {
		t.Errorf("holder-of-key: got %v, want it expired", err)
	}
	early := strings.Replace(text, `SubjectConfirmationData NotOnOrAfter="2026-03-01T13:00`, `SubjectConfirmationData NotOnOrAfter="2026-03-01T12:05`, 1)
	key := testKeys["RSA-2048"]()
	early = signedBy(t, early, key, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", crypto.SHA256)
	own := []*x509.Certificate{long(t, key)}
	if _, err := signer.Verify(early, own, noon.Add(5*time.Minute-time.Second)); err != nil {
		t.Errorf("within its confirmation: %v", err)
	}
	if _, err := signer.Verify(early, own, noon.Add(5*time.Minute)); err == nil || !strings.Contains(err.Error(), "confirmation has expired") {
		t.Errorf("behind its confirmation: got %v, want it expired", err)
	}
	for name, trust := range map[string][]*x509.Certificate{"nobody": nil, "another": {otherIssuer().Certificate()}} {
		if _, err := signer.Verify(text, trust, noon); !errors.Is(err, vmsso.ErrUnsupportedToken) {
			t.Errorf("trusted is %s: got %v", name, err)
		}
	}
}

// signedBy signs an assertion of the issuer anew, in the same form, with another
// key or algorithm.
func signedBy(t *testing.T, good string, key crypto.Signer, method, digestMethod string, hash crypto.Hash) string {
	t.Helper()
	from, to := strings.Index(good, "<ds:Signature"), strings.Index(good, "</ds:Signature>")+len("</ds:Signature>")
	canonical := func(text, prefixes string) []byte {
		b, err := xmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(parse(t, []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	content := canonical(good[:from]+good[to:], "xs xsi")
	digest := sum256(content)
	if strings.HasSuffix(digestMethod, "sha1") {
		s := sha1.Sum(content)
		digest = s[:]
	}
	info := good[strings.Index(good, "<ds:SignedInfo"):strings.Index(good, "<ds:SignatureValue")]
	info = strings.Replace(info, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", method, 1)
	info = strings.Replace(info, "http://www.w3.org/2001/04/xmlenc#sha256", digestMethod, 1)
	info = regexp.MustCompile(`(<ds:DigestValue>)[^<]*`).ReplaceAllString(info, "${1}"+base64.StdEncoding.EncodeToString(digest))
	info = strings.Replace(info, "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`, 1)
	h := hash.New()
	h.Write(canonical(info, ""))
	value, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		value = rs(t, value, 32)
	}
	return good[:from] + `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + info + "<ds:SignatureValue>" +
		base64.StdEncoding.EncodeToString(value) + "</ds:SignatureValue></ds:Signature>" + good[to:]
}

// long is a certificate of the key that is valid for long.
func long(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	return must(x509.ParseCertificate(pair(t, key, -100*365*24*time.Hour, 100*365*24*time.Hour).Certificate[0]))
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func TestVerifyTakesTheAlgorithmsOfToday(t *testing.T) {
	const more, xmlenc, old = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2000/09/xmldsig#"
	tests := []struct {
		kind, method, digest string
		hash                 crypto.Hash
		ok                   bool
	}{
		{"RSA-2048", more + "rsa-sha256", xmlenc + "sha256", crypto.SHA256, true},
		{"RSA-2048", more + "rsa-sha384", xmlenc + "sha256", crypto.SHA384, true},
		{"RSA-2048", more + "rsa-sha512", xmlenc + "sha256", crypto.SHA512, true},
		{"P-256", more + "ecdsa-sha256", xmlenc + "sha256", crypto.SHA256, true},
		{"RSA-2048", old + "rsa-sha1", xmlenc + "sha256", crypto.SHA1, false},
		{"RSA-2048", more + "rsa-sha256", old + "sha1", crypto.SHA256, false},
		{"RSA-2048", more + "rsa-sha512", xmlenc + "sha256", crypto.SHA256, false},
		{"P-256", more + "rsa-sha256", xmlenc + "sha256", crypto.SHA256, false},
		{"P-256", more + "ecdsa-sha1", xmlenc + "sha256", crypto.SHA1, false},
	}
	for _, tt := range tests {
		key := testKeys[tt.kind]()
		cert := long(t, key)
		text := signedBy(t, issued(vmssotest.Claims{}), key, tt.method, tt.digest, tt.hash)
		_, err := signer.Verify(text, []*x509.Certificate{issuer().Certificate(), cert}, noon)
		if (err == nil) != tt.ok {
			t.Errorf("%s, %s, %s: got %v, want verified: %t", tt.kind, tt.method, tt.digest, err, tt.ok)
		}
	}
}

// An attacker cannot make two readers differ: whatever is changed in a signed
// assertion is refused, or means what it meant.
func FuzzVerify(f *testing.F) {
	good := issued(vmssotest.Claims{Audiences: []string{"urn:a"}})
	f.Add(good, 0, "")
	f.Add(good, strings.Index(good, "alice"), "<!-- -->")
	f.Add(good, strings.Index(good, "<saml2:Subject>"), " ")
	want, err := signer.Verify(good, []*x509.Certificate{issuer().Certificate()}, noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, at int, insert string) {
		if at >= 0 && at <= len(text) {
			text = text[:at] + insert + text[at:]
		}
		a, err := signer.Verify(text, []*x509.Certificate{issuer().Certificate()}, noon)
		if err != nil {
			return
		}
		if a.Subject != want.Subject || !a.Expires.Equal(want.Expires) || fmt.Sprint(a.Audiences) != fmt.Sprint(want.Audiences) {
			t.Errorf("verified, but %+v, want %+v: %q", *a, *want, text)
		}
		if doc := etree.NewDocument(); doc.ReadFromString(text) != nil || doc.Root() == nil {
			t.Errorf("verified, but no XML: %q", text)
		}
	})
}
