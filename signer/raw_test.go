package signer_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/signer"
)

// renewTarget is a request that holds an assertion.
func renewTarget(assertion string) string {
	return `<wst:RequestSecurityToken xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><wst:RenewTarget>` + assertion + `</wst:RenewTarget></wst:RequestSecurityToken>`
}

// Assertions reach the server byte for byte, inside what is signed.
func TestXmlsecVerifiesMessagesAroundAnAssertion(t *testing.T) {
	c := validPair(t, testKeys["RSA-2048"]())
	s := newSigner(t, signer.Credentials{Certificate: c})
	hok := vectorToken(t).Assertion
	shapes := map[string]string{
		"the vector's":         hok,
		"the bearer one":       bearerToken(t).Assertion,
		"another prefix":       strings.NewReplacer("saml2:", "s:", "xmlns:saml2", "xmlns:s").Replace(hok),
		"the default prefix":   strings.NewReplacer("saml2:", "", "xmlns:saml2", "xmlns").Replace(hok),
		"white space in tags":  strings.Replace(hok, "<saml2:Subject>", "<saml2:Subject  >", 1),
		"white space":          strings.Replace(hok, "<saml2:Subject>", "\n\t <saml2:Subject>\r\n", 1),
		"comments":             strings.Replace(hok, "<saml2:Subject>", "<!-- it's \"quoted\" \t --><saml2:Subject><!---->", 1),
		"CDATA":                strings.Replace(hok, "</saml2:NameID>", "<![CDATA[<&'\"\t]]></saml2:NameID>", 1),
		"character references": strings.Replace(hok, "</saml2:NameID>", "&#13;&#x9;&#10;&quot;&apos;</saml2:NameID>", 1),
		"quotes in text":       strings.Replace(hok, "</saml2:NameID>", "'\"\t</saml2:NameID>", 1),
		"an empty element":     strings.Replace(hok, "<saml2:Subject>", "<saml2:Advice/><saml2:Subject>", 1),
		"unused namespaces":    strings.Replace(hok, "<saml2:Subject>", `<saml2:Subject xmlns:unused="urn:unused" xmlns:xsd="http://www.w3.org/2001/XMLSchema">`, 1),
	}
	for name, assertion := range shapes {
		t.Run(name, func(t *testing.T) {
			m, err := s.RawMessage([]byte(renewTarget(assertion)), noon)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(m, []byte(assertion)) {
				t.Error("the assertion was rewritten")
			}
			if ok, said := xmlsec(t, m, c); !ok {
				t.Errorf("refused by xmlsec1: %s\n%s", said, m)
			}
			tampered := bytes.Replace(m, []byte("2.0:assertion"), []byte("2.1:assertion"), -1)
			if ok, _ := xmlsec(t, tampered, c); ok || bytes.Equal(tampered, m) {
				t.Error("xmlsec1 takes a tampered one")
			}
		})
	}
}

func TestRawMessageRefusesWhatCannotBeSigned(t *testing.T) {
	s := newSigner(t, signer.Credentials{Certificate: validPair(t, testKeys["RSA-2048"]())})
	for name, content := range map[string]string{
		"not well-formed":               "<a>",
		"closes the body":               "<a/></soap:Body><soap:Body>",
		"a line break in an attribute":  "<a b='x\ny'/>",
		"a tab behind a comment":        "<!-- it's --><a b=\"x\ty\"/>",
		"a prefix that nobody declares": `<x:a/>`,
	} {
		if m, err := s.RawMessage([]byte(content), noon); err == nil || m != nil {
			t.Errorf("%s: got %s, want an error", name, m)
		}
	}
	if m, err := newSigner(t, signer.Credentials{Username: "jo", Password: "x"}).RawMessage([]byte("<a b='x\ny'/>"), noon); err != nil || !bytes.Contains(m, []byte("<a b='x\ny'/>")) {
		t.Errorf("not signed: got %s, %v", m, err)
	}
}
