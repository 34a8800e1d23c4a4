package signer_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"
	"pgregory.net/rapid"

	"github.com/vmsso/vmsso/signer"
)

// randomBody draws a small tree with an element op somewhere in it. A tame one
// has nothing in which goxmldsig errs: attributes of two namespaces in one
// element, and a default namespace that ends.
func randomBody(t *rapid.T, tame bool) *etree.Element {
	root := etree.NewElement("x")
	declareSome(t, root, tame)
	op := root
	for range rapid.IntRange(0, 2).Draw(t, "ancestors") {
		op = op.CreateElement("y")
		declareSome(t, op, tame)
	}
	if op = op.CreateElement("op"); rapid.Bool().Draw(t, "declares") {
		declareSome(t, op, tame)
	}
	grow(t, op, tame, 3)
	return op
}

var values = rapid.SampledFrom([]string{"", "x", " ", "\t", "\n", "\r", "\r\n", `"`, "'", "&", "<", ">", "]]>", "é", "𝄞", "p:x", "\u0085", "\u2028"})

func declareSome(t *rapid.T, e *etree.Element, tame bool) {
	for _, p := range []string{"p", "q", "soap", "wsu"} {
		if rapid.IntRange(0, 2).Draw(t, "declare "+p) == 0 {
			e.CreateAttr("xmlns:"+p, rapid.SampledFrom([]string{"urn:1", "urn:2", "urn:0", soap11, wsu}).Draw(t, "namespace"))
		}
	}
	switch rapid.IntRange(0, 5).Draw(t, "default") {
	case 0:
		e.CreateAttr("xmlns", "urn:1")
	case 1:
		e.CreateAttr("xmlns", "urn:d")
	case 2:
		if !tame {
			e.CreateAttr("xmlns", "")
		}
	}
}

func grow(t *rapid.T, e *etree.Element, tame bool, depth int) {
	scope := inScope(e)
	prefixes := append([]string{""}, slices.Sorted(keys(scope))...)
	e.Space = rapid.SampledFrom(prefixes).Draw(t, "prefix")
	only := rapid.SampledFrom(prefixes).Draw(t, "prefix of attributes")
	used := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "attributes") {
		p, key := only, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "attribute")
		if !tame {
			p = rapid.SampledFrom(append(prefixes, "xml")).Draw(t, "prefix of the attribute")
		}
		name := scope[p] + " " + key
		if p == "xml" {
			name = "xml " + key
		}
		if used[name] {
			continue // not well-formed
		}
		used[name] = true
		if p != "" {
			p += ":"
		}
		e.CreateAttr(p+key, values.Draw(t, "value"))
	}
	if depth == 0 {
		return
	}
	for range rapid.IntRange(0, 3).Draw(t, "children") {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			e.CreateText(values.Draw(t, "text"))
		case 1:
			e.CreateCData(strings.Trim(values.Draw(t, "CDATA"), "\r\n")) // where no carriage return can be written
		case 2:
			e.CreateComment("note")
		default:
			c := e.CreateElement(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "tag"))
			if rapid.Bool().Draw(t, "declares") {
				declareSome(t, c, tame)
			}
			grow(t, c, tame, depth-1)
		}
	}
}

// inScope tells what the prefixes other than the default mean in e.
func inScope(e *etree.Element) map[string]string {
	scope := map[string]string{}
	for ; e != nil; e = e.Parent() {
		for _, a := range e.Attr {
			if _, known := scope[a.Key]; a.Space == "xmlns" && !known {
				scope[a.Key] = a.Value
			}
		}
	}
	return scope
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func top(e *etree.Element) *etree.Element {
	for e.Parent() != nil {
		e = e.Parent()
	}
	return e
}

// meaning lists what encoding/xml reads in the element op: names with their
// namespaces, text and attributes, without comments.
func meaning(t rapid.TB, document []byte) string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(document))
	var out, text strings.Builder
	depth := 0
	flush := func() {
		if text.Len() > 0 {
			fmt.Fprintf(&out, "%q ", text.String())
			text.Reset()
		}
	}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth == 0 && tok.Name.Local != "op" {
				continue
			}
			flush()
			depth++
			var attrs []string
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					attrs = append(attrs, fmt.Sprintf("{%s}%s=%q", a.Name.Space, a.Name.Local, a.Value))
				}
			}
			slices.Sort(attrs)
			fmt.Fprintf(&out, "<{%s}%s %s>", tok.Name.Space, tok.Name.Local, strings.Join(attrs, " "))
		case xml.EndElement:
			if depth > 0 {
				flush()
				depth--
				out.WriteString("</>")
			}
		case xml.CharData:
			if depth > 0 {
				text.Write(tok)
			}
		}
	}
}

// checkBody puts op into a message and judges that.
func checkBody(t rapid.TB, s *signer.Signer, op *etree.Element, canonical func([]byte) []byte) {
	t.Helper()
	document := written(t, top(op))
	m, err := s.Envelope(op, noon)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	body := bodyOf(t, m)
	if got, want := signedDigest(t, m), digest(canonical(body)); got != want {
		t.Errorf("%s:\nsigned %s, want %s, that of the canonical form\nsent      %s\ncanonical %s", document, got, want, body, canonical(body))
	}
	if got, want := meaning(t, m), meaning(t, []byte(document)); got != want {
		t.Errorf("%s:\nsent %s\nmeans %s\nwant  %s", document, body, got, want)
	}
}

func TestEnvelopeOfAnyTameBodyIsSignedAsGoxmldsigCanonicalizesIt(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	rapid.Check(t, func(t *rapid.T) {
		checkBody(t, s, randomBody(t, true), func(body []byte) []byte {
			b, err := xmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(parse(t, body))
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
	})
}

func TestXmlsecEnvelopeOfAnyBodyIsSignedAsLibxmlCanonicalizesIt(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	tool(t, "xmllint")
	rapid.Check(t, func(rt *rapid.T) {
		checkBody(rt, s, randomBody(rt, false), func(body []byte) []byte { return xmllint(t, body) })
	})
}

var comment = regexp.MustCompile(`<!--.*?-->`)

// What is sent stays as it is, whatever its form; the signature is that of its
// canonical form, as libxml2 makes it.
func TestXmlsecRawMessageOfAnyBodyIsSentAsItIs(t *testing.T) {
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	tool(t, "xmllint")
	rapid.Check(t, func(rt *rapid.T) {
		content := written(rt, top(randomBody(rt, false)))
		m, err := s.RawMessage([]byte(content), noon)
		if err != nil {
			rt.Fatalf("%s: %v", content, err)
		}
		body := bodyOf(rt, m)
		if !bytes.Contains(body, []byte(">"+content+"</soap:Body>")) {
			rt.Errorf("sent %s\nwant %s in it", body, content)
		}
		plain := comment.ReplaceAll(body, nil) // xmllint keeps comments, which are not signed
		if got, want := signedDigest(rt, m), digest(xmllint(t, plain)); got != want {
			rt.Errorf("%s: signed %s, want %s", content, got, want)
		}
	})
}
