package signer_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"pgregory.net/rapid"

	"github.com/vmsso/vmsso/signer"
)

// foreignBodies are elements that a caller may hand to Envelope. The element is
// the one whose local name is op; want is its exclusive canonical form, written
// by hand from the rules of https://www.w3.org/TR/xml-exc-c14n.
// more: it is sent with declarations that the canonical form leaves out.
var foreignBodies = []struct {
	name, document, want string
	more                 bool
}{
	{"nothing special",
		`<op><a>1</a></op>`,
		`<op><a>1</a></op>`, false},
	{"a prefix of an ancestor",
		`<x xmlns:p="urn:p" xmlns:unused="urn:u"><p:op><p:a/></p:op></x>`,
		`<p:op xmlns:p="urn:p"><p:a></p:a></p:op>`, true},
	{"a prefix of an ancestor, used deep inside only",
		`<x xmlns:p="urn:p"><y xmlns:q="urn:q"><op><b><p:a q:z="1"/><p:a/></b></op></y></x>`,
		`<op><b><p:a xmlns:p="urn:p" xmlns:q="urn:q" q:z="1"></p:a><p:a xmlns:p="urn:p"></p:a></b></op>`, true},
	{"a prefix that an ancestor declares again",
		`<x xmlns:p="urn:1"><y xmlns:p="urn:2"><p:op/></y></x>`,
		`<p:op xmlns:p="urn:2"></p:op>`, false},
	{"a prefix that is declared again inside",
		`<p:op xmlns:p="urn:1"><p:a xmlns:p="urn:2"><p:b/></p:a><p:c/><p:d xmlns:p="urn:1"/></p:op>`,
		`<p:op xmlns:p="urn:1"><p:a xmlns:p="urn:2"><p:b></p:b></p:a><p:c></p:c><p:d></p:d></p:op>`, false},
	{"a default namespace",
		`<op xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></op>`,
		`<op xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></op>`, false},
	{"the default namespace of an ancestor",
		`<x xmlns="urn:d"><op><a/></op></x>`,
		`<op xmlns="urn:d"><a></a></op>`, false},
	{"a default namespace that ends",
		`<op xmlns="urn:d"><a xmlns=""><b/></a></op>`,
		`<op xmlns="urn:d"><a xmlns=""><b></b></a></op>`, false},
	{"a default namespace that nothing uses, and ends",
		`<p:op xmlns:p="urn:p" xmlns="urn:d"><a xmlns=""/></p:op>`,
		`<p:op xmlns:p="urn:p"><a></a></p:op>`, true},
	{"a default namespace of an ancestor that ends",
		`<x xmlns="urn:d"><op xmlns=""><a/></op></x>`,
		`<op><a></a></op>`, false},
	{"no default namespace, said twice",
		`<op xmlns=""><a xmlns=""/></op>`,
		`<op><a></a></op>`, false},
	{"attributes out of order",
		`<op z="1" a="2" xmlns:z="urn:a" xmlns:a="urn:z" a:m="3" z:m="4" M="5"/>`,
		`<op xmlns:a="urn:z" xmlns:z="urn:a" M="5" a="2" z="1" z:m="4" a:m="3"></op>`, false},
	{"attributes of two namespaces, whose local names are in the other order",
		`<op xmlns:a="urn:z" xmlns:z="urn:a" a:a="1" z:z="2"/>`,
		`<op xmlns:a="urn:z" xmlns:z="urn:a" z:z="2" a:a="1"></op>`, false},
	{"attributes of two namespaces, declared by an ancestor",
		`<x xmlns:a="urn:z" xmlns:z="urn:a"><op a:a="1" z:z="2"><i z:b="1" a:a="2" xml:lang="en" c="3"/></op></x>`,
		`<op xmlns:a="urn:z" xmlns:z="urn:a" z:z="2" a:a="1"><i c="3" xml:lang="en" z:b="1" a:a="2"></i></op>`, false},
	{"attributes of one namespace under two prefixes",
		`<op xmlns:p="urn:same" xmlns:q="urn:same" p:b="1" q:a="2"/>`,
		`<op xmlns:p="urn:same" xmlns:q="urn:same" q:a="2" p:b="1"></op>`, false},
	{"xml:lang and xml:space",
		`<x xml:lang="de"><op xml:space="preserve"> <a xml:lang="en"/> </op></x>`,
		`<op xml:space="preserve"> <a xml:lang="en"></a> </op>`, false},
	{"CDATA",
		`<op><![CDATA[<a>&"]]>]]&gt;<![CDATA[]]><a><![CDATA[x]]>y</a></op>`,
		`<op>&lt;a&gt;&amp;"]]&gt;<a>xy</a></op>`, false},
	{"comments",
		`<op><!-- one -->a<!-- two -->b<c><!----></c></op>`,
		`<op>ab<c></c></op>`, false},
	{"carriage returns",
		"<op a='x&#13;y'>x&#13;&#xA;y</op>",
		"<op a=\"x&#xD;y\">x&#xD;\ny</op>", false},
	{"the line ends of Windows",
		"<op>\r\n<a/>\r\n</op>",
		"<op>\n<a></a>\n</op>", false},
	{"quotes",
		`<op a='"' b="'">"'</op>`,
		`<op a="&quot;" b="'">"'</op>`, false},
	{"less than and greater than",
		`<op a="&lt;&gt;">&lt;&gt;&amp;lt;</op>`,
		`<op a="&lt;>">&lt;&gt;&amp;lt;</op>`, false},
	{"tabs and line feeds in an attribute",
		`<op a=" x&#9;y&#10;z&#32;&#32;"/>`,
		`<op a=" x&#x9;y&#xA;z  "></op>`, false},
	{"beyond the Basic Multilingual Plane",
		`<op ключ="𝄞">&#x1D11E; 漢字 e&#x301; 👩‍💻</op>`,
		"<op ключ=\"𝄞\">𝄞 漢字 e\u0301 👩‍💻</op>", false},
	{"the prefixes soap and wsu with the meaning that they have around it",
		`<op xmlns:wsu="` + wsu + `" xmlns:soap="` + soap11 + `"><wsu:Created/><soap:a/></op>`,
		`<op><wsu:Created></wsu:Created><soap:a></soap:a></op>`, false},
	{"the prefixes soap and wsu with another meaning",
		`<soap:op xmlns:soap="urn:other" xmlns:wsu="urn:more" wsu:Id="mine"><wsu:a/></soap:op>`,
		`<soap:op xmlns:soap="urn:other" xmlns:wsu="urn:more" wsu:Id="mine"><wsu:a></wsu:a></soap:op>`, false},
	{"a prefix that only a value uses",
		`<x xmlns:xs="http://www.w3.org/2001/XMLSchema"><op xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">1</op></x>`,
		`<op xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">1</op>`, true},
}

const (
	soap11 = "http://schemas.xmlsoap.org/soap/envelope/"
	wsu    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
)

// envelope puts the element op of a document into a message.
func envelope(t testing.TB, s *signer.Signer, document string) []byte {
	t.Helper()
	root := parse(t, []byte(document))
	op := root
	if op.Tag != "op" {
		op = root.FindElement("//op")
	}
	before := written(t, root)
	m, err := s.Envelope(op, noon)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	if after := written(t, root); after != before {
		t.Errorf("Envelope changed the caller's tree: got %s, want %s", after, before)
	}
	return m
}

func written(t rapid.TB, e *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.WriteSettings = etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true} // else a carriage return is lost
	doc.SetRoot(e.Copy())
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var bodyTag = regexp.MustCompile(`^<soap:Body xmlns:soap="[^"]*" xmlns:wsu="[^"]*" wsu:Id="_[0-9a-f]{32}">`)

// inBody is the canonical Body of a message with this content.
func inBody(t testing.TB, message []byte, content string) []byte {
	t.Helper()
	tag := bodyTag.Find(bodyOf(t, message))
	if tag == nil {
		t.Fatalf("no canonical start tag of Body in %s", message)
	}
	return []byte(string(tag) + content + `</soap:Body>`)
}

// xmllint returns the exclusive canonical form of a document by libxml2.
func xmllint(t *testing.T, document []byte) []byte {
	t.Helper()
	cmd := exec.Command(tool(t, "xmllint"), "--exc-c14n", "--nonet", "-")
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(document), &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("xmllint: %v: %s\n%s", err, &stderr, document)
	}
	return out
}

func TestXmlsecEnvelopeOfForeignBodies(t *testing.T) {
	c := vectorPair(t)
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	for _, tt := range foreignBodies {
		t.Run(tt.name, func(t *testing.T) {
			msg := envelope(t, s, tt.document)
			want := inBody(t, msg, tt.want)
			if got := bodyOf(t, msg); bytes.Equal(got, want) == tt.more {
				t.Errorf("%s: sent is %s\ncanonical  %s\nwant more declarations sent: %t", tt.document, got, want, tt.more)
			}
			if got := signedDigest(t, msg); got != digest(want) {
				t.Errorf("%s: the signed digest is not that of %s\nBody: %s", tt.document, want, bodyOf(t, msg))
			}
			if got := xmllint(t, bodyOf(t, msg)); !bytes.Equal(got, want) {
				t.Errorf("%s:\nlibxml2 reads %s\nwant          %s", tt.document, got, want)
			}
			if ok, said := xmlsec(t, msg, c); !ok {
				t.Errorf("%s: refused by xmlsec1: %s\n%s", tt.document, said, msg)
			}
		})
	}
}

// A token inside the Body (WS-Trust ActAs and RenewTarget) has a signature of its
// own, over declarations that only its InclusiveNamespaces and values name.
func TestXmlsecEnvelopeLeavesTheSignatureOfATokenInTheBodyIntact(t *testing.T) {
	const wst = `<wst:op xmlns:wst="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><wst:RenewTarget>`
	hok := read(t, "hok.xml")
	tests := []struct{ name, document string }{
		{"the token declares its prefixes", wst + hok + `</wst:RenewTarget></wst:op>`},
		{"they are declared around it as well", strings.Replace(wst, "<wst:op", `<wst:op xmlns:xs="http://www.w3.org/2001/XMLSchema"`, 1) + hok + `</wst:RenewTarget></wst:op>`},
	}
	c := vectorPair(t)
	s := newSigner(t, signer.Credentials{Certificate: c})
	sts, err := os.ReadFile("testdata/sts-cert.pem")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		msg := envelope(t, s, tt.document)
		if ok, said := xmlsec(t, msg, c); !ok {
			t.Errorf("%s: the message is refused: %s", tt.name, said)
		}
		if ok, said := xmlsecToken(t, msg, sts); !ok {
			t.Errorf("%s: the token is refused: %s\n%s", tt.name, said, msg)
		}
	}
}

// xmlsecToken verifies the signature of the assertion in the Body.
func xmlsecToken(t *testing.T, message, issuer []byte) (verified bool, said string) {
	t.Helper()
	return runXmlsec(t, message, issuer, "--node-xpath", `//*[local-name()="Body"]//*[local-name()="Signature"]`,
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion")
}

func TestEnvelopeTakesABodyOfManyElements(t *testing.T) {
	const document = `<x xmlns:p="urn:p"><op>%</op></x>`
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	content := strings.Repeat(`<p:a><b></b></p:a>`, 5000)
	msg := envelope(t, s, strings.Replace(document, "%", content, 1))
	want := inBody(t, msg, `<op>`+strings.ReplaceAll(content, `<p:a>`, `<p:a xmlns:p="urn:p">`)+`</op>`)
	if got := signedDigest(t, msg); got != digest(want) {
		t.Errorf("the digest of 10000 elements is %s, want %s", got, digest(want))
	}
}

func TestEnvelopeRefusesAPrefixThatIsNotDeclared(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	for _, document := range []string{`<p:op/>`, `<op p:a=""/>`, `<op><p:a xmlns:p="urn:p"/><p:b/></op>`} {
		msg, err := s.Envelope(parse(t, []byte(document)), noon)
		if err == nil || msg != nil {
			t.Errorf("%s: got the message %q and error %v, want an error alone", document, msg, err)
		}
	}
}

var anyID = regexp.MustCompile(`_[0-9a-f]{32}|<ds:DigestValue>[^<]*|<ds:SignatureValue>[^<]*`)

// Message trusts its caller to write canonical XML. These are the library's own
// contents, so they must be what Envelope makes of them.
func TestMessageIsWhatEnvelopeMakesOfTheSameContent(t *testing.T) {
	for _, s := range []*signer.Signer{
		newSigner(t, signer.Credentials{Token: vectorToken(t)}),
		newSigner(t, signer.Credentials{Token: bearerToken(t)}),
		newSigner(t, signer.Credentials{Certificate: vectorPair(t), Username: "jo", Password: "secret"}),
	} {
		for _, content := range []string{loginByToken, issue} {
			around := `<soap:Body xmlns:soap="` + soap11 + `" xmlns:wsu="` + wsu + `">` + content + `</soap:Body>`
			fromTree, err := s.Envelope(parse(t, []byte(around)).ChildElements()[0], noon)
			if err != nil {
				t.Fatal(err)
			}
			msg := message(t, s, content)
			got, want := anyID.ReplaceAllString(string(msg), "*"), anyID.ReplaceAllString(string(fromTree), "*")
			if got != want {
				t.Errorf("%s:\nMessage  %s\nEnvelope %s", content, got, want)
			}
			if s.HolderOfKey() && signedDigest(t, msg) != digest(bodyOf(t, msg)) {
				t.Errorf("%s: the signed digest is not that of the Body", content)
			}
		}
	}
}
