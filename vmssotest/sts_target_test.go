package vmssotest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// emptyTag finds the elements that canonical XML writes with an end tag.
const emptyTag = `<([\w:.-]+)((?: [\w:.-]+="[^"]*")*)/>`

// inBody is what exclusive C14N makes of an assertion inside a Body. It replaces text, and so shares nothing with what it is to test: no prefix is
// declared that only values use, or nothing; xsi and del are declared where they are used.
func inBody(assertion string) string {
	s := regexp.MustCompile(` xmlns:(xs|xsd|xsi|rsa|del|unused)="[^"]*"`).ReplaceAllString(assertion, "")
	s = regexp.MustCompile(emptyTag).ReplaceAllString(s, `<$1$2></$1>`)
	s = regexp.MustCompile(`<([\w:.-]+)((?: [\w:.-]+="[^"]*")* xsi:type=)`).ReplaceAllString(s, `<$1 xmlns:xsi="`+nsXSI+`"$2`)
	return strings.ReplaceAll(s, `<del:Delegate `, `<del:Delegate xmlns:del="`+nsDel+`" `)
}

// carrying puts a token into the body of a message that is to be signed; around is the request, canonical but for the token.
func carrying(m *message, token string, around func(token string) string) *message {
	m.body, m.signedBody = bodyXML(m.bodyID, around(token)), bodyXML(m.bodyID, around(inBody(token)))
	return m
}

// oldToken is a holder-of-key token that can be renewed and passed on.
func oldToken(edit func(*Claims)) string {
	c := Claims{
		ID: "_old-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime().Add(-time.Hour), NotOnOrAfter: testTime().Add(time.Hour),
		Renewals: 3, Delegations: 2, Groups: []string{`vsphere.local\Everyone`, `vsphere.local\R & D`},
	}
	if edit != nil {
		edit(&c)
	}
	return authority().Issue(c)
}

// resigned signs an assertion that was changed, as the authority would; prefixes is the PrefixList.
func resigned(t testing.TB, assertion string, prefixes ...string) string {
	t.Helper()
	doc, err := parseDocument([]byte(regexp.MustCompile(`(?s)<ds:Signature .*?</ds:Signature>`).ReplaceAllString(assertion, "")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := canonicalize(doc.root, prefixes)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(data)
	set := func(pattern, value string) {
		assertion = regexp.MustCompile(pattern).ReplaceAllLiteralString(assertion, value)
	}
	set(`PrefixList="[^"]*"`, `PrefixList="`+strings.Join(prefixes, " ")+`"`)
	set(`<ds:DigestValue>[^<]*`, "<ds:DigestValue>"+encode(digest[:]))
	info := regexp.MustCompile(`<ds:SignedInfo>.*</ds:SignedInfo>`).FindString(assertion)
	info = regexp.MustCompile(emptyTag).ReplaceAllString(info, `<$1$2></$1>`)
	info = strings.Replace(info, "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="`+nsDS+`">`, 1)
	set(`<ds:SignatureValue>[^<]*`, "<ds:SignatureValue>"+encode(sign(t, authority().cert.PrivateKey.(crypto.Signer), crypto.SHA256, info)))
	return assertion
}

// tokenShapes are tokens of oldToken's claims in the shapes that issuers give them.
func tokenShapes(t testing.TB) map[string]string {
	plain := oldToken(nil)
	with := func(old, new string, prefixes ...string) string {
		if !strings.Contains(plain, old) {
			t.Fatalf("no %s in %s", old, plain)
		}
		return resigned(t, strings.ReplaceAll(plain, old, new), append(prefixes, "xs", "xsi")...)
	}
	statements := func(xml string) string { return oldToken(func(c *Claims) { c.Statements = xml }) }
	encrypted := `<saml2:EncryptedAssertion><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"></xenc:EncryptedData></saml2:EncryptedAssertion>`
	inner := `<saml2:Assertion ID="_inner" Version="2.0"><saml2:Issuer>x</saml2:Issuer></saml2:Assertion>`
	return map[string]string{
		"plain":             plain,
		"other prefix":      oldToken(func(c *Claims) { c.Prefix = "saml" }),
		"default namespace": oldToken(func(c *Claims) { c.Prefix = "xmlns" }),
		"audiences":         oldToken(func(c *Claims) { c.Audiences = []string{"urn:a", `urn:"b"&c`} }),
		"delegates":         oldToken(func(c *Claims) { c.Delegates = []string{"robot@vsphere.local", "r&d@vsphere.local"} }),
		"xsd in place of xs": resigned(t, strings.NewReplacer("xmlns:xs=", "xmlns:xsd=", `"xs:string"`, `"xsd:string"`).Replace(plain),
			"xsd", "xsi"),
		"PrefixList of one":   resigned(t, plain, "xs"),
		"a second statement":  statements(`<saml2:AuthnStatement AuthnInstant="2026-05-04T11:00:00.000Z" SessionNotOnOrAfter="2026-05-04T13:00:00.000Z"></saml2:AuthnStatement>`),
		"quotes and blanks":   statements("\n\t <saml2:AttributeStatement>\n  <saml2:Attribute Name=\"a\"><saml2:AttributeValue> \"a\" 'b' \n </saml2:AttributeValue></saml2:Attribute>\n</saml2:AttributeStatement> "),
		"an empty element":    statements("<saml2:AttributeStatement/>"),
		"an unused namespace": with("<saml2:Conditions ", `<saml2:Conditions xmlns:unused="urn:x" `),
		"one-time use":        with("</saml2:Conditions>", "<saml2:OneTimeUse/></saml2:Conditions>"),
		"recipient":           with("<saml2:SubjectConfirmationData ", `<saml2:SubjectConfirmationData Recipient="https://vc.example.test/a?b=c" `),
		"advice":              with("<saml2:AuthnStatement ", "<saml2:Advice>"+inner+encrypted+"</saml2:Advice><saml2:AuthnStatement "),
		"renewal under another prefix": with(` xmlns:rsa="`+nsRSA+`" Count="3" xsi:type="rsa:`,
			` xmlns:unused="`+nsRSA+`" Count="3" xsi:type="unused:`),
		"another condition": with("</saml2:Conditions>", `<saml2:Condition xsi:type="xs:other"/><saml2:Condition xsi:type="xs:other"/></saml2:Conditions>`),
		"another attribute": with("</saml2:AttributeStatement>", "</saml2:AttributeStatement><saml2:AttributeStatement>"+
			`<saml2:Attribute Name="g"><saml2:AttributeValue>root</saml2:AttributeValue></saml2:Attribute></saml2:AttributeStatement>`),
	}
}

// Tokens of every shape are verified where they stand: the digest of the Body is over their canonical form there, their own over the one inside them.
func TestTokensOfAllShapesInsideTheBody(t *testing.T) {
	for name, token := range tokenShapes(t) {
		for _, op := range []string{"Renew", "ActAs"} {
			m := renewal(token)
			if op == "ActAs" {
				m = actingFor(token)
			}
			s, issued := collectingSTS(nil)
			if w := ask(s, op, m.build(t)); w.Code != http.StatusOK || len(*issued) != 1 {
				t.Errorf("%s, %s: status %d, reasons %q", name, op, w.Code, s.Reasons())
				continue
			}
			got := (*issued)[0]
			if diff := cmp.Diff([]string{`vsphere.local\Everyone`, `vsphere.local\R & D`}, got.Groups); diff != "" || got.Subject != "alice@vsphere.local" || got.Renewed+got.ActAs != "_old-1" {
				t.Errorf("%s, %s: issued %+v, groups %s", name, op, got.Claims, diff)
			}
		}
	}
}

// Namespaces that stand further out count as those of the token if it does not declare them itself.
func TestNamespacesAroundTheToken(t *testing.T) {
	xsi := ` xmlns:xsi="` + nsXSI + `"`
	lean := strings.Replace(oldToken(nil), xsi, "", 1)
	for name, tt := range map[string]struct{ token, declare, reason string }{
		"declared around it":          {lean, xsi, ""},
		"declared around it as well":  {oldToken(nil), ` xmlns:saml2="urn:a" xmlns:xs="urn:b"`, ""},
		"one that is not in its list": {oldToken(nil), ` xmlns:added="urn:d"`, ""},
		"one that is":                 {resigned(t, oldToken(nil), "xs", "xsi", "added"), ` xmlns:added="urn:d"`, "InvalidSecurity: RenewTarget: "},
		"another namespace around it": {lean, ` xmlns:xsi="urn:c"`, "InvalidSecurity: RenewTarget: "},
		"none":                        {lean, "", `prefix "xsi" is not declared`},
		"only in its list":            {resigned(t, oldToken(nil), "xs", "xsi", "added"), "", ""},
	} {
		m := renewal(tt.token)
		m.body = strings.Replace(m.body, "<RequestSecurityToken ", "<RequestSecurityToken"+tt.declare+" ", 1)
		if strings.Contains(tt.declare, "xmlns:xsi") { // the Body's own digest is right
			m.signedBody = strings.ReplaceAll(m.signedBody, xsi, tt.declare)
		}
		s := newTestSTS(nil)
		w := ask(s, "Renew", m.build(t))
		if reasons := strings.Join(s.Reasons(), "; "); (w.Code == http.StatusOK) != (tt.reason == "") || !strings.Contains(reasons, tt.reason) {
			t.Errorf("%s: status %d, reasons %q, want %q", name, w.Code, reasons, tt.reason)
		}
	}
}

// One byte of the token changed, by somebody who signs the message properly: it is refused, or nothing that counts has changed.
func TestEveryByteOfTheTargetCounts(t *testing.T) {
	token := oldToken(func(c *Claims) { c.Audiences, c.Delegates = []string{"urn:a"}, []string{"robot@vsphere.local"} })
	for i := 0; i < len(token); i += stride {
		changed := []byte(token)
		changed[i] ^= 1
		op, m := "Renew", renewal(string(changed))
		if i%2 == 0 {
			op, m = "Issue", actingFor(string(changed))
		}
		if w := ask(newTestSTS(nil), op, m.build(t)); w.Code == http.StatusOK && !harmless(token, i) {
			t.Errorf("%s: byte %d, %q to %q, is accepted: …%s…", op, i, token[i], changed[i], changed[max(0, i-40):min(len(changed), i+40)])
		}
	}
}

// The conditions are those of vCenter: the names of the delegates stand in one condition, the last of them with the key as well.
func TestDelegatesInTheAssertion(t *testing.T) {
	got := oldToken(func(c *Claims) { c.Delegates = []string{"robot@vsphere.local", "r&d@vsphere.local"} })
	delegate := func(name string) string {
		return `<del:Delegate DelegationInstant="2026-05-04T11:00:00.000Z"><saml2:NameID Format="http://schemas.xmlsoap.org/claims/UPN">` + name + `</saml2:NameID></del:Delegate>`
	}
	for _, want := range []string{
		`<saml2:ProxyRestriction Count="2"/><saml2:Condition xmlns:del="urn:oasis:names:tc:SAML:2.0:conditions:delegation" xsi:type="del:DelegationRestrictionType">` +
			delegate("robot@vsphere.local") + delegate("r&amp;d@vsphere.local") + `</saml2:Condition><saml2:Condition xmlns:rsa="`,
		`<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key">` +
			`<saml2:NameID Format="http://schemas.xmlsoap.org/claims/UPN">r&amp;d@vsphere.local</saml2:NameID><saml2:SubjectConfirmationData `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	doc, err := parseDocument([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	token, err := verifyAssertion(doc.root, []*x509.Certificate{authority().Certificate()}, testTime(), 0)
	if err != nil || token.subject != "alice@vsphere.local" || !token.holder.Equal(clientCertificate()) {
		t.Errorf("token %+v, %v", token, err)
	}
}
