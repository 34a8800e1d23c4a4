package signer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso/signer"
)

// assertion is a small bearer assertion that the tables change.
const assertion = `<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0">` +
	`<saml2:Issuer>https://sts.example</saml2:Issuer>` +
	`<saml2:Subject><saml2:NameID>s3cr3t@example</saml2:NameID><saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/></saml2:Subject>` +
	`<saml2:Conditions NotBefore="2026-03-01T12:00:00.000Z" NotOnOrAfter="2026-03-01T12:05:00.500Z">` +
	`<saml2:AudienceRestriction><saml2:Audience>urn:a</saml2:Audience><saml2:Audience> urn:b </saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>` +
	`</saml2:Assertion>`

func TestAssertionIsRead(t *testing.T) {
	got, err := signer.ParseAssertion(assertion)
	if err != nil {
		t.Fatal(err)
	}
	want := signer.Assertion{
		ID: "_1", Issuer: "https://sts.example", Subject: "s3cr3t@example", Audiences: []string{"urn:a", "urn:b"},
		NotBefore: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Expires: time.Date(2026, 3, 1, 12, 5, 0, 500e6, time.UTC),
	}
	if got.ID != want.ID || got.Issuer != want.Issuer || got.Subject != want.Subject || !slices.Equal(got.Audiences, want.Audiences) ||
		!got.NotBefore.Equal(want.NotBefore) || !got.Expires.Equal(want.Expires) || got.HolderOfKey || got.Holder != nil || got.Encrypted {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestVectorAssertionsAreRead(t *testing.T) {
	client := vectorPair(t)
	for _, tt := range []struct {
		name, subject string
		holderOfKey   bool
	}{
		{"hok.xml", "test-solution@vsphere.local", true},
		{"bearer.xml", "administrator@vsphere.local", false},
	} {
		a, err := signer.ParseAssertion(read(t, tt.name))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if a.Subject != tt.subject || a.HolderOfKey != tt.holderOfKey || a.ID == "" ||
			a.Issuer != "https://vc.example.test/websso/SAML2/Metadata/vsphere.local" ||
			!a.NotBefore.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) || !a.Expires.Equal(time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: got %+v", tt.name, *a)
		}
		if (a.Holder != nil) != tt.holderOfKey || tt.holderOfKey && !slices.Equal(a.Holder.Raw, client.Certificate[0]) {
			t.Errorf("%s: got holder %v, want the client's certificate: %t", tt.name, a.Holder, tt.holderOfKey)
		}
		if key := testKeys["RSA-2048"]().Public(); a.Fits(key) == tt.holderOfKey {
			t.Errorf("%s: Fits(another key) is %t", tt.name, a.Fits(key))
		}
	}
}

// What issuers write, or might write, differently.
func TestAssertionsOfOtherIssuersAreRead(t *testing.T) {
	hok := read(t, "hok.xml")
	change := func(from, to string) string {
		s := strings.ReplaceAll(assertion, from, to)
		if s == assertion {
			t.Fatalf("%q is not in the assertion", from)
		}
		return s
	}
	deep := strings.Repeat("<a>", 62) + strings.Repeat("</a>", 62)
	tests := []struct{ name, text string }{
		{"another prefix", strings.ReplaceAll(strings.ReplaceAll(assertion, "saml2:", "x-1.y:"), "xmlns:saml2", "xmlns:x-1.y")},
		{"a default namespace", strings.ReplaceAll(strings.ReplaceAll(assertion, "xmlns:saml2=", "xmlns="), "saml2:", "")},
		{"single quotes", strings.ReplaceAll(assertion, `"`, `'`)},
		{"white space between elements", strings.ReplaceAll(assertion, "><", ">\r\n\t <")},
		{"white space in tags", change(` ID="_1"`, "\r\n\tID = \"_1\" ")},
		{"comments", change("<saml2:Subject>", "<!-- <saml2:Assertion> --><saml2:Subject><!---->")},
		{"CDATA", change("s3cr3t@example", "s3cr3t<![CDATA[@example]]>")},
		{"character references", change("s3cr3t@example", "&#115;3cr3t&#x40;example")},
		{"a prefix that is declared again", change("<saml2:Subject>", `<saml2:Subject xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion">`)},
		{"an element of its own in Advice", change("<saml2:Subject>", `<saml2:Advice><x xmlns="urn:x"><saml2:Assertion Version="1.0"/></x></saml2:Advice><saml2:Subject>`)},
		{"xml:lang", change("<saml2:Issuer>", `<saml2:Issuer xml:lang="en">`)},
		{"64 levels", change("<saml2:Subject>", "<saml2:Advice>"+deep+"</saml2:Advice><saml2:Subject>")},
		{"256 attributes", change("<saml2:Issuer>", "<saml2:Issuer"+attributes(256)+">")},
		{"two bearer confirmations", change("</saml2:Subject>", `<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/></saml2:Subject>`)},
		{"1 MiB", assertion[:len(assertion)-len("</saml2:Assertion>")] + strings.Repeat(" ", 1<<20-len(assertion)) + "</saml2:Assertion>"},
	}
	for _, tt := range tests {
		a, err := signer.ParseAssertion(tt.text)
		if err != nil {
			t.Errorf("%s: %v: %.300s", tt.name, err, tt.text)
			continue
		}
		if a.ID != "_1" || a.Subject != "s3cr3t@example" || a.Issuer != "https://sts.example" || a.HolderOfKey || a.Expires.IsZero() || len(a.Audiences) != 2 {
			t.Errorf("%s: got %+v: %.300s", tt.name, *a, tt.text)
		}
	}
	// Java breaks base64 into lines, some with the carriage return as a reference.
	at := strings.LastIndex(hok, "<ds:X509Certificate>") + len("<ds:X509Certificate>")
	for _, lineEnd := range []string{"\n", "\r\n", "&#13;\n", " "} {
		a, err := signer.ParseAssertion(hok[:at] + lineEnd + hok[at:at+76] + lineEnd + hok[at+76:])
		if err != nil || a.Holder == nil || a.Holder.Subject.CommonName != "test-solution" {
			t.Errorf("certificate in lines that end with %q: got %+v, %v", lineEnd, a, err)
		}
	}
}

func TestAssertionWithoutConditionsDoesNotExpire(t *testing.T) {
	from, to := strings.Index(assertion, "<saml2:Conditions"), strings.Index(assertion, "</saml2:Assertion>")
	for _, conditions := range []string{"", "<saml2:Conditions/>"} {
		a, err := signer.ParseAssertion(assertion[:from] + conditions + assertion[to:])
		if err != nil || !a.Expires.IsZero() || !a.NotBefore.IsZero() || a.Audiences != nil {
			t.Errorf("%q: got %+v, %v, want no times", conditions, a, err)
		}
	}
}

// The holder is who the subject confirmation names, not who signed the assertion,
// and the first certificate of a chain.
func TestHolderIsTheFirstCertificateOfTheSubjectConfirmation(t *testing.T) {
	hok := read(t, "hok.xml")
	chain := strings.Replace(hok, "</ds:X509Data></ds:KeyInfo></saml2:SubjectConfirmationData>",
		"<ds:X509Certificate>"+issuerCertificate(hok)+"</ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml2:SubjectConfirmationData>", 1)
	if chain == hok {
		t.Fatal("the test did not change the assertion")
	}
	a, err := signer.ParseAssertion(chain)
	if err != nil || a.Holder == nil || a.Holder.Subject.CommonName != "test-solution" {
		t.Errorf("got %+v, %v, want the holder test-solution", a, err)
	}
}

// issuerCertificate is the first in an assertion: that of its signature.
func issuerCertificate(text string) string {
	_, text, _ = strings.Cut(text, "<ds:X509Certificate>")
	text, _, _ = strings.Cut(text, "<")
	return text
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + string(rune('a'+i%26)) + strings.Repeat("b", i/26) + `=""`)
	}
	return b.String()
}
