package signer_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

const bearerMethod = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// refused are texts that are no assertion which can be put into a message. All
// have s3cr3t in them, which no error may show.
func refused() []struct{ name, text, say string } {
	change := func(from, to string) string { return strings.Replace(assertion, from, to, 1) }
	confirmation := `<saml2:SubjectConfirmation Method="` + bearerMethod + `"/>`
	utf16le := func() string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(assertion)) {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		}
		return b.String()
	}()
	certificate := func(s string) string {
		return change(confirmation, `<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"><saml2:SubjectConfirmationData>`+
			`<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>`+s+`</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`+
			`</saml2:SubjectConfirmationData></saml2:SubjectConfirmation>`)
	}
	return []struct{ name, text, say string }{
		{"empty", "", "it is empty"},
		{"white space", " \r\n\t", "begin with '<'"},
		{"no XML", "s3cr3t", "begin with '<'"},
		{"base64", "PHNhbWwyOnMzY3IzdD4=", "begin with '<'"},
		{"a byte order mark", "\ufeff" + assertion, "byte order mark (at byte 0)"},
		{"UTF-16", utf16le, "UTF-16 (at byte 0)"},
		{"UTF-16 with a byte order mark", "\xff\xfe" + utf16le, "UTF-16 (at byte 0)"},
		{"UTF-16, big endian", "\x00" + utf16le[:len(utf16le)-1], "UTF-16 (at byte 0)"},
		{"UTF-16 that ends with a >", utf16le[:len(utf16le)-1], "UTF-16 (at byte 0)"},
		{"a NUL in text", change("s3cr3t@", "s3cr3t\x00@"), "at byte 174"},
		{"a NUL in a comment", change("<saml2:Subject>", "<!-- s3cr3t \x00 --><saml2:Subject>"), "at byte 151"},
		{"a NUL in CDATA", change("s3cr3t@", "<![CDATA[s3cr3t\x00]]>@"), "at byte 183"},
		{"a NUL in an attribute", change(` ID=`, " x=\"s3cr3t\x00\" ID="), "at byte 78"},
		{"a control character in a comment", change("<saml2:Subject>", "<!-- s3cr3t \x1b --><saml2:Subject>"), "at byte 151"},
		{"a control character as a reference", change("s3cr3t@", "s3cr3t&#1;@"), "not well-formed XML at byte"},
		{"not UTF-8", change("s3cr3t@", "s3cr3t\xe9@"), "at byte 174"},
		{"not UTF-8 in a comment", change("<saml2:Subject>", "<!-- s3cr3t \xe9 --><saml2:Subject>"), "at byte 151"},
		{"white space in front", " " + assertion, "begin with '<' (at byte 0)"},
		{"a line feed at the end", assertion + "\n", "end with '>' (at byte 553)"},
		{"an XML declaration", `<?xml version="1.0" encoding="UTF-8"?>` + assertion, "processing instruction or XML declaration (at byte 0)"},
		{"a processing instruction inside", change("<saml2:Issuer>", "<?s3cr3t s3cr3t?><saml2:Issuer>"), "processing instruction"},
		{"a processing instruction behind", assertion + "<?s3cr3t?>", "processing instruction"},
		{"a document type", "<!DOCTYPE s3cr3t>" + assertion, "document type declaration (at byte 0)"},
		{"a document type in small letters", "<!doctype s3cr3t>" + assertion, "document type declaration"},
		{"a document type inside", change("<saml2:Issuer>", "<!DOCTYPE s3cr3t><saml2:Issuer>"), "document type declaration"},
		{"an external entity", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/s3cr3t">]>` + change("s3cr3t@", "&x;@"), "document type declaration"},
		{"a billion laughs", `<!DOCTYPE a [<!ENTITY b "s3cr3ts3cr3t"><!ENTITY c "&b;&b;&b;&b;">]>` + change("s3cr3t@", "&c;@"), "document type declaration"},
		{"an entity that nobody declared", change("s3cr3t@", "s3cr3t&nbsp;@"), "not well-formed XML at byte"},
		{"an unescaped ampersand", change("s3cr3t@", "s3cr3t&@"), "not well-formed XML at byte"},
		{"]]> in text", change("s3cr3t@", "s3cr3t]]>@"), "not well-formed XML at byte"},
		{"cut in an element", strings.TrimSuffix(assertion, "</saml2:Assertion>"), "not well-formed XML at byte"},
		{"cut in a tag", assertion[:strings.Index(assertion, `Method=`)] + ">", "not well-formed XML at byte"},
		{"cut behind a comment", "<!-- s3cr3t -->", "it has no element"},
		{"an end tag too much", assertion + "</saml2:s3cr3t>", "not well-formed XML at byte"},
		{"end tags in the wrong order", change("</saml2:NameID>", "</saml2:s3cr3t>"), "not well-formed XML at byte"},
		{"text between two elements", assertion + "s3cr3t<a/>", "text outside the element"},
		{"two assertions", assertion + assertion, "second element"},
		{"an element behind", assertion + "<s3cr3t/>", "second element"},
		{"an assertion in an assertion's place", "<s3cr3t/>" + assertion, "no SAML 2.0 Assertion"},
		{"a response around it", `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">` + assertion + `</samlp:Response>`, "protocol message: give the Assertion element inside"},
		{"a WS-Trust response around it", `<wst:RequestedSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512">` + assertion + `</wst:RequestedSecurityToken>`, "no SAML 2.0 Assertion"},
		{"HTML", "<html><body>s3cr3t</body></html>", "no SAML 2.0 Assertion"},
		{"another element of SAML", strings.ReplaceAll(assertion, "saml2:Assertion", "saml2:s3cr3t"), "no SAML 2.0 Assertion"},
		{"an Assertion of no namespace", strings.ReplaceAll(strings.ReplaceAll(assertion, "saml2:", ""), "xmlns:saml2", "xmlns:a"), "no SAML 2.0 Assertion"},
		{"SAML 1.1", `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" MajorVersion="1" MinorVersion="1" AssertionID="s3cr3t"></saml:Assertion>`, "SAML 1.1"},
		{"SAML 2.1", change(`Version="2.0"`, `Version="2.1-s3cr3t"`), "Version is not 2.0"},
		{"no version", change(` Version="2.0"`, ""), "Version is not 2.0"},
		{"no ID", change(` ID="_1"`, ""), "ID is missing"},
		{"an empty ID", change(`ID="_1"`, `ID=""`), "ID is missing or not valid"},
		{"two IDs", change(`ID="_1"`, `ID="_1" ID="_s3cr3t"`), "attribute twice"},
		{"an ID of another namespace", change(`ID="_1"`, `saml2:ID="_1"`), "ID is missing"},
		{"the ID of another element as well", change("<saml2:Issuer>", `<saml2:Issuer ID="_1">`), "an ID twice (at byte 91)"},
		{"the ID of another element as well, in other letters", change("<saml2:Issuer>", `<saml2:Issuer Id="_1">`), "an ID twice"},
		{"the xml:id of another element as well", change("<saml2:Issuer>", `<saml2:Issuer xml:id="_1">`), "an ID twice"},
		{"an ID of two elements in Advice", change("<saml2:Subject>", `<saml2:Advice><a ID="s3cr3t"/><b Id="s3cr3t"/></saml2:Advice><saml2:Subject>`), "an ID twice"},
		{"an attribute twice by two prefixes", change("<saml2:Issuer>", `<saml2:Issuer xmlns:a="urn:s3cr3t" xmlns:b="urn:s3cr3t" a:c="" b:c="">`), "attribute twice"},
		{"a namespace twice", change("<saml2:Issuer>", `<saml2:Issuer xmlns:a="urn:s3cr3t" xmlns:a="urn:s3cr3t">`), "attribute twice"},
		{"two issuers", change("<saml2:Subject>", "<saml2:Issuer>s3cr3t</saml2:Issuer><saml2:Subject>"), "two Issuer"},
		{"two subjects", change("<saml2:Conditions", "<saml2:Subject><saml2:NameID>s3cr3t</saml2:NameID></saml2:Subject><saml2:Conditions"), "two Subject"},
		{"two names", change("<saml2:SubjectConfirmation", "<saml2:NameID>s3cr3t</saml2:NameID><saml2:SubjectConfirmation"), "two NameID"},
		{"two conditions", change("</saml2:Assertion>", "<saml2:Conditions/></saml2:Assertion>"), "two Conditions"},
		{"an element in a name", change("s3cr3t@", "s3cr3t<x/>@"), "text alone"},
		{"an ID in other letters", change(`ID="_1"`, `Id="_1"`), "ID is missing"},
		{"an ID with a quote", change(`ID="_1"`, `ID="_s3cr3t&quot;"`), "not valid"},
		{"an ID with markup", change(`ID="_1"`, `ID="_s3cr3t&lt;/a>"`), "not valid"},
		{"an ID with a space", change(`ID="_1"`, `ID="_s3cr3t 1"`), "not valid"},
		{"an ID with a line feed", change(`ID="_1"`, `ID="_s3cr3t&#10;"`), "not valid"},
		{"an ID that begins with a digit", change(`ID="_1"`, `ID="1s3cr3t"`), "not valid"},
		{"an ID with a colon", change(`ID="_1"`, `ID="_1:s3cr3t"`), "not valid"},
		{"an ID without end", change(`ID="_1"`, `ID="_s3cr3t`+strings.Repeat("1", 300)+`"`), "not valid"},
		{"no subject confirmation", change(confirmation, ""), "no subject confirmation"},
		{"sender-vouches", change("cm:bearer", "cm:sender-vouches"), "neither bearer nor holder-of-key"},
		{"an unknown method", change(bearerMethod, "s3cr3t"), "neither bearer nor holder-of-key"},
		{"no method", change(` Method="`+bearerMethod+`"`, ""), "neither bearer nor holder-of-key"},
		{"a bearer who is also vouched for", change(confirmation, confirmation+strings.Replace(confirmation, "bearer", "sender-vouches", 1)), "neither bearer nor holder-of-key"},
		{"a confirmation that stands elsewhere", change(confirmation, "<saml2:Advice>"+confirmation+"</saml2:Advice>"), "no subject confirmation"},
		{"a certificate that is not base64", certificate("s3cr3t!"), "not base64"},
		{"a certificate that is none", certificate("czNjcjN0"), "cannot be read"},
		{"a prefix that is declared around it only", change(` xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"`, ""), "not declared"},
		{"an undeclared prefix inside", change("<saml2:Issuer>", "<s3cr3t:a/><saml2:Issuer>"), "prefix is not declared"},
		{"an undeclared prefix of an attribute", change("<saml2:Issuer>", `<saml2:Issuer s3cr3t:a="">`), "prefix is not declared"},
		{"a prefix that is declared beside it only", change("<saml2:Issuer>", `<b xmlns:s3cr3t="urn:x"/><s3cr3t:a/><saml2:Issuer>`), "prefix is not declared"},
		{"a local time", change("2026-03-01T12:05:00.500Z", "2026-03-01T12:05:00.500"), "not in UTC"},
		{"a time of another zone", change("2026-03-01T12:05:00.500Z", "2026-03-01T12:05:00+01:00"), "not in UTC"},
		{"a time that is none", change("2026-03-01T12:00:00.000Z", "s3cr3t"), "not in UTC"},
		{"a time of its confirmation that is none", change(bearerMethod+`"/>`, bearerMethod+`"><saml2:SubjectConfirmationData NotOnOrAfter="s3cr3t"/></saml2:SubjectConfirmation>`), "not in UTC"},
		{"a count that is none", change("</saml2:Conditions>", `<saml2:ProxyRestriction Count="s3cr3t"/></saml2:Conditions>`), "not a number"},
		{"a count that is negative", change("</saml2:Conditions>", `<saml2:ProxyRestriction Count="-1"/></saml2:Conditions>`), "not a number"},
		{"65 levels", change("<saml2:Issuer>", strings.Repeat("<a>", 64)+strings.Repeat("</a>", 64)+"<saml2:Issuer>"), "more than 64 levels"},
		{"100000 levels", change("<saml2:Issuer>", strings.Repeat("<a>", 100_000)), "more than 64 levels"},
		{"257 attributes", change("<saml2:Issuer>", "<saml2:Issuer"+attributes(257)+">"), "more than 256 attributes"},
		{"100000 attributes", change("<saml2:Issuer>", "<saml2:Issuer"+strings.Repeat(` a=""`, 100_000)+">"), "more than 256 attributes"},
		{"30000 namespaces", change("<saml2:Issuer>", "<saml2:Issuer"+strings.Repeat(` xmlns:abc="urn:def"`, 30_000)+">"), "more than 256 attributes"},
		{"a byte more than 1 MiB", assertion + strings.Repeat(">", 1<<20+1-len(assertion)), "longer than 1048576 bytes"},
		{"50 MB", change("s3cr3t@", strings.Repeat("s3cr3t@", 50_000_000/7)), "longer than 1048576 bytes"},
	}
}

func TestWhatIsNoUsableAssertionIsRefusedAndNotQuoted(t *testing.T) {
	for _, tt := range refused() {
		started, before := time.Now(), allocated()
		_, err := signer.ParseAssertion(tt.text)
		switch {
		case err == nil:
			t.Errorf("%s: accepted: %.500q", tt.name, tt.text)
			continue
		case !errors.Is(err, vmsso.ErrUnsupportedToken):
			t.Errorf("%s: %q is not ErrUnsupportedToken", tt.name, err)
		case !strings.Contains(err.Error(), tt.say):
			t.Errorf("%s: got %q, want it to say %q\n%.500q", tt.name, err, tt.say, tt.text)
		case strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "c3cr3t"):
			t.Errorf("%s: the error quotes the token: %q", tt.name, err)
		}
		if m := regexp.MustCompile(`at byte (\d+)`).FindStringSubmatch(err.Error()); m != nil {
			if at, _ := strconv.Atoi(m[1]); at > len(tt.text) {
				t.Errorf("%s: %q, but it has %d bytes", tt.name, err, len(tt.text))
			}
		}
		// Each takes some milliseconds; the bound leaves room for a slow machine.
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%s: took %v", tt.name, took)
		}
		if got := allocated() - before; got > 40<<20 {
			t.Errorf("%s: took %d bytes of memory", tt.name, got)
		}
		if s, err := signer.New(signer.Credentials{Token: &vmsso.Token{Assertion: tt.text}}); err == nil || s != nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: New returns %v, %v, want an error without the token", tt.name, s, err)
		}
	}
}

// checkReading compares with what encoding/xml finds on its own.
func checkReading(t *testing.T, a *signer.Assertion, text string) {
	t.Helper()
	var want struct {
		ID      string `xml:"ID,attr"`
		Issuer  string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
		Subject struct {
			NameID string `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Subject"`
		Conditions struct {
			Restrictions []struct {
				Audiences []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Audience"`
			} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AudienceRestriction"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Conditions"`
	}
	if err := xml.Unmarshal([]byte(text), &want); err != nil || a.Encrypted {
		return // it looks at more, such as encodings
	}
	if a.Issuer != strings.TrimSpace(want.Issuer) || a.Subject != strings.TrimSpace(want.Subject.NameID) {
		t.Errorf("got issuer %q and subject %q, want %q and %q: %q", a.Issuer, a.Subject, want.Issuer, want.Subject.NameID, text)
	}
	audiences := 0
	for _, r := range want.Conditions.Restrictions {
		audiences += len(r.Audiences)
	}
	if len(a.Audiences) != audiences {
		t.Errorf("got audiences %q, want %q: %q", a.Audiences, want.Conditions.Restrictions, text)
	}
	if a.HolderOfKey != slices.Contains(a.Confirmations, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key") || a.Fits(nil) && (a.Holder != nil || a.HolderKey != nil) {
		t.Errorf("holder-of-key %t, confirmations %q: %q", a.HolderOfKey, a.Confirmations, text)
	}
}

// allocated is all memory that was ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// What is accepted is put into a message as it is, so it must be one element
// there, whatever it says.
func FuzzParseAssertion(f *testing.F) {
	for _, name := range []string{"hok.xml", "bearer.xml"} {
		f.Add(read(f, name))
	}
	f.Add(assertion)
	for _, tt := range refused() {
		if len(tt.text) < 10_000 {
			f.Add(tt.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := signer.ParseAssertion(text)
		if err != nil {
			if !errors.Is(err, vmsso.ErrUnsupportedToken) {
				t.Errorf("%q is not ErrUnsupportedToken", err)
			}
			return
		}
		d := xml.NewDecoder(strings.NewReader("<a>" + text + "</a>"))
		depth, children := 0, 0
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("accepted, but in an element not well-formed: %v: %q", err, text)
			}
			switch tok := tok.(type) {
			case xml.StartElement:
				if depth++; depth == 2 {
					children++
				}
			case xml.EndElement:
				depth--
			case xml.CharData:
				if depth == 1 && len(bytes.TrimSpace(tok)) > 0 {
					t.Errorf("accepted, but there is text beside the element: %q", text)
				}
			case xml.ProcInst, xml.Directive:
				t.Errorf("accepted, with %T: %q", tok, text)
			}
		}
		if depth != 0 || children != 1 {
			t.Errorf("accepted, but %d elements, want 1: %q", children, text)
		}
		checkReading(t, a, text)
		if !a.Encrypted && !regexp.MustCompile(`^[A-Za-z0-9_.-]+$`).MatchString(a.ID) {
			t.Errorf("accepted with the ID %q: %q", a.ID, text)
		}
	})
}
