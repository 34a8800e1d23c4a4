package tokensource_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A shape is a token in one of the forms that issuers give them.
type shape struct {
	assertion string
	signed    bool // by the lab's service, as it is: the others were changed, which it finds out when it comes to them
}

// shapes are tokens of alice that can be passed on and renewed.
func shapes(authority *vmssotest.Authority, holder *x509.Certificate) map[string]shape {
	issue := func(edit func(*vmssotest.Claims)) shape {
		c := vmssotest.Claims{Subject: user, Holder: holder, Delegations: 3, Renewals: 3, Groups: []string{`vsphere.local\R & D`}, NotOnOrAfter: time.Now().Add(time.Hour)}
		if edit != nil {
			edit(&c)
		}
		return shape{authority.Issue(c), true}
	}
	statements := func(xml string) shape { return issue(func(c *vmssotest.Claims) { c.Statements = xml }) }
	plain := issue(nil).assertion
	changed := func(old, new string) shape { return shape{strings.ReplaceAll(plain, old, new), false} }
	const encrypted = `<saml2:EncryptedAssertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"><xenc:CipherData/></xenc:EncryptedData></saml2:EncryptedAssertion>`
	return map[string]shape{
		"plain":               {plain, true},
		"another prefix":      issue(func(c *vmssotest.Claims) { c.Prefix = "saml" }),
		"the default prefix":  issue(func(c *vmssotest.Claims) { c.Prefix = "xmlns" }),
		"a prefix of ours":    issue(func(c *vmssotest.Claims) { c.Prefix = "wsu" }),
		"audiences":           issue(func(c *vmssotest.Claims) { c.Audiences = []string{"urn:a", `urn:"b"&c`} }),
		"proxy count":         issue(func(c *vmssotest.Claims) { c.Delegations = 1 }),
		"delegates":           issue(func(c *vmssotest.Claims) { c.Delegates = []string{"first@vsphere.local", "r&d@vsphere.local"} }),
		"two statements":      statements(`<saml2:AuthnStatement AuthnInstant="2026-05-04T11:00:00.000Z" SessionNotOnOrAfter="2026-05-04T13:00:00.000Z"></saml2:AuthnStatement>`),
		"advice":              statements(`<saml2:Advice>` + strings.Replace(encrypted, ` xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion"`, "", 1) + `</saml2:Advice>`),
		"quotes, white space": statements("\n\t <saml2:AttributeStatement >\n  <saml2:Attribute\n Name='a\"b'><saml2:AttributeValue> \"a\" 'b' \n\t </saml2:AttributeValue></saml2:Attribute >\n</saml2:AttributeStatement> "),
		"carriage returns":    statements("<saml2:AttributeStatement>\r\n<saml2:Attribute Name='&#xD;&#xA;&#9;'>&#13;&gt;]]&gt;</saml2:Attribute></saml2:AttributeStatement>"),
		"CDATA":               statements(`<saml2:AttributeStatement><saml2:Attribute Name="a"><![CDATA[<&'"]]>` + "\U0001F600" + `</saml2:Attribute></saml2:AttributeStatement>`),
		"an empty element":    statements(`<saml2:AttributeStatement/>`),
		"types of xs and xsd": statements(`<saml2:AttributeStatement xmlns:xsd="http://www.w3.org/2001/XMLSchema"><saml2:Attribute Name="a"><saml2:AttributeValue xsi:type="xsd:string">a</saml2:AttributeValue><saml2:AttributeValue xsi:type="xs:string">b</saml2:AttributeValue></saml2:Attribute></saml2:AttributeStatement>`),
		"other namespaces":    statements(`<x:a xmlns:x="urn:x" xmlns="urn:y" xmlns:unused="urn:z"><b><c xmlns=""/></b></x:a>`),

		"comments": {strings.Replace(plain, "<saml2:Subject>", `<!-- it's "quoted" --><saml2:Subject>`, 1), true}, // which no signature covers

		"xsd in place of xs":  {strings.NewReplacer("xmlns:xs=", "xmlns:xsd=", `"xs:string"`, `"xsd:string"`, `"xs xsi"`, `"xsd xsi"`).Replace(plain), false},
		"one-time use":        changed("</saml2:Conditions>", "<saml2:OneTimeUse/></saml2:Conditions>"),
		"recipient":           changed("<saml2:SubjectConfirmationData ", `<saml2:SubjectConfirmationData Recipient="https://vc.example.test/a?b=c&amp;d" `),
		"encrypted assertion": {encrypted, false},
	}
}

// carried are the two ways that a token is sent inside a signed Body. Each returns
// what the service received last and why it refused it, if it did.
var carried = map[string]func(t *testing.T, l *stsLab, token string) (wire, refusal string){
	"ActAs": func(t *testing.T, l *stsLab, token string) (wire, refusal string) {
		s := l.source(t, tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{tok: &vmsso.Token{Assertion: token}}})
		return l.received(t, s)
	},
	"RenewTarget": func(t *testing.T, l *stsLab, token string) (wire, refusal string) {
		s := renewable(t, l, tokensource.STSConfig{Certificate: &l.pair})
		l.sts.Inject("Issue", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><RequestSecurityTokenResponse><Lifetime><Expires>`+
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`</Expires></Lifetime><RequestedSecurityToken>`+token+`</RequestedSecurityToken></RequestSecurityTokenResponse></S:Body></S:Envelope>`)
		})
		if tok, err := s.Token(t.Context()); err != nil || tok.Assertion != token {
			t.Fatalf("issued: %v", err)
		}
		return l.received(t, s)
	},
}

// received asks for a token and returns the first message that the service got.
func (l *stsLab) received(t *testing.T, s *tokensource.STS) (wire, refusal string) {
	t.Helper()
	before := len(l.sts.Reasons())
	l.sts.Inject("", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		wire = string(body)
		next.ServeHTTP(w, r)
	})
	_, err := s.Token(t.Context())
	if reasons := l.sts.Reasons(); len(reasons) > before {
		return wire, reasons[before]
	}
	if err != nil {
		t.Errorf("refused before it was sent, or afterwards: %v", err)
	}
	return wire, ""
}

// Tokens of every shape reach the service byte for byte, and in a Body whose
// signature it finds right. Those that it has signed it takes; of the others it
// refuses the token, not the message.
func TestTokensOfAllShapesAreCarried(t *testing.T) {
	authority := vmssotest.NewAuthority()
	l := newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil))
	for name, shape := range shapes(authority, l.pair.Leaf) {
		for where, carry := range carried {
			t.Run(name+" in "+where, func(t *testing.T) {
				wire, refusal := carry(t, l, shape.assertion)
				if !strings.Contains(wire, where+">"+shape.assertion+"<") && !strings.Contains(wire, `200802">`+shape.assertion+"<") {
					t.Errorf("the token was rewritten: %s", wire)
				}
				switch {
				case shape.signed && refusal != "":
					t.Errorf("refused: %s", refusal)
				case !shape.signed && !strings.Contains(refusal, where+": ") && !strings.Contains(refusal, where+" has no Assertion"):
					t.Errorf("refusal %q, want one of the token in %s", refusal, where)
				}
			})
		}
	}
}

// The canonicalizer of goxmldsig, which signer does not follow where it errs, sees
// the same Body; and the token's own signature can be verified where it stands.
func TestGoxmldsigVerifiesCarriedTokens(t *testing.T) {
	authority := vmssotest.NewAuthority()
	l := newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil))
	for name, shape := range shapes(authority, l.pair.Leaf) {
		for where, carry := range carried {
			t.Run(name+" in "+where, func(t *testing.T) {
				wire, _ := carry(t, l, shape.assertion)
				doc := etree.NewDocument()
				if err := doc.ReadFromString(wire); err != nil {
					t.Fatal(err)
				}
				body := doc.FindElement("/Envelope/Body")
				canonical, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(body.Copy())
				if err != nil {
					t.Fatal(err)
				}
				digest := sha256.Sum256(canonical)
				want := doc.FindElements("/Envelope/Header/Security/Signature/SignedInfo/Reference/DigestValue")[1].Text()
				if got := base64.StdEncoding.EncodeToString(digest[:]); got != want {
					t.Errorf("digest of Body %s, want %s: %s", got, want, canonical)
				}
				if !shape.signed {
					return
				}
				trust := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{authority.Certificate()}})
				if _, err := trust.Validate(body.FindElement(".//Assertion").Copy()); err != nil {
					t.Errorf("the token inside: %v", err)
				}
			})
		}
	}
}
