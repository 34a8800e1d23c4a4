package vmssotest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// Bounds of a message: a delegated token inside a request is about 20 deep, a token with thousands of groups has thousands of elements.
const (
	maxDepth    = 64
	maxElements = 100_000
)

// document is a message as a tree, with the place of each element in its bytes. It holds what the signature of a message can speak of and nothing
// that parsers disagree about: no DOCTYPE, no processing instruction, no entity, no attribute twice, no prefix that is not declared, no id twice.
type document struct {
	raw  []byte
	root *etree.Element
	span map[*etree.Element]span
	ids  map[string]*etree.Element // by wsu:Id, ID, Id, AssertionID and xml:id
}

// span is where an element stands: from the "<" of its start tag to behind the ">" of its end tag.
type span struct{ start, end int }

// bytes cuts el out of the message as it came.
func (d *document) bytes(el *etree.Element) string {
	s := d.span[el]
	return string(d.raw[s.start:s.end])
}

// builder builds a document from the tokens of encoding/xml.
type builder struct {
	*document
	top      *etree.Element // the element that is open
	depth, n int
}

func parseDocument(raw []byte) (*document, error) {
	b := &builder{document: &document{raw: raw, span: map[*etree.Element]span{}, ids: map[string]*etree.Element{}}}
	dec := xml.NewDecoder(bytes.NewReader(raw))
	for {
		start := int(dec.InputOffset())
		tok, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not well-formed: %w", err)
		}
		if err := b.add(tok, start, int(dec.InputOffset())); err != nil {
			return nil, err
		}
	}
	if b.root == nil || b.top != nil {
		return nil, errors.New("not well-formed: it ends inside an element")
	}
	return b.document, nil
}

func (b *builder) add(tok xml.Token, start, end int) error {
	switch t := tok.(type) {
	case xml.StartElement:
		return b.open(t, start, end)
	case xml.EndElement:
		return b.close(t, end)
	case xml.CharData:
		if b.top != nil {
			b.top.CreateText(string(t))
		} else if len(bytes.Trim(t, " \t\r\n")) > 0 {
			return errors.New("not well-formed: text outside the root element")
		}
	case xml.Comment: // exclusive C14N leaves comments out; where text counts, text() refuses them
		if b.top != nil {
			b.top.CreateComment(string(t))
		}
	case xml.ProcInst:
		if t.Target != "xml" || start != 0 {
			return errors.New("processing instruction in the message")
		}
	case xml.Directive:
		return errors.New("DOCTYPE in the message")
	}
	return nil
}

func (b *builder) open(t xml.StartElement, start, end int) error {
	b.depth++
	b.n++
	switch {
	case b.depth > maxDepth:
		return errors.New("message is too deep")
	case b.n > maxElements:
		return errors.New("message has too many elements")
	case b.top == nil && b.root != nil:
		return errors.New("not well-formed: more than one root element")
	case lineBreakInAttribute(b.raw[start:end]):
		// A parser must read it as a space; encoding/xml does not, so a digest over it would be wrong.
		return errors.New("literal line break or tab in an attribute value")
	}
	el := etree.NewElement(t.Name.Local)
	el.Space = t.Name.Space
	if b.top == nil {
		b.root = el
	} else {
		b.top.AddChild(el)
	}
	b.top = el
	b.span[el] = span{start: start}
	for _, a := range t.Attr {
		for _, have := range el.Attr {
			if have.Space == a.Name.Space && have.Key == a.Name.Local {
				return fmt.Errorf("not well-formed: attribute %s twice", a.Name.Local)
			}
		}
		el.Attr = append(el.Attr, etree.Attr{Space: a.Name.Space, Key: a.Name.Local, Value: a.Value})
	}
	if err := checkNames(el); err != nil {
		return err
	}
	return b.noteIDs(el)
}

func (b *builder) close(t xml.EndElement, end int) error {
	if b.top == nil || b.top.Space != t.Name.Space || b.top.Tag != t.Name.Local {
		return fmt.Errorf("not well-formed: unexpected end of %s", t.Name.Local)
	}
	s := b.span[b.top]
	s.end = end
	b.span[b.top] = s
	b.top = b.top.Parent()
	b.depth--
	return nil
}

// checkNames applies "Namespaces in XML": encoding/xml's raw tokens do not.
func checkNames(el *etree.Element) error {
	if strings.Contains(el.Tag, ":") || el.Space == "xmlns" {
		return fmt.Errorf("illegal element name %q", el.Tag)
	}
	if _, ok := namespace(el, el.Space); !ok {
		return fmt.Errorf("prefix %q is not declared", el.Space)
	}
	type name struct{ ns, local string }
	seen := make(map[name]bool, len(el.Attr))
	for _, a := range el.Attr {
		if strings.Contains(a.Key, ":") {
			return fmt.Errorf("illegal attribute name %q", a.Key)
		}
		if isDeclaration(a) {
			if err := checkDeclaration(a); err != nil {
				return err
			}
			continue
		}
		n := name{local: a.Key}
		if a.Space != "" {
			ns, ok := namespace(el, a.Space)
			if !ok {
				return fmt.Errorf("prefix %q is not declared", a.Space)
			}
			n.ns = ns
		}
		if seen[n] {
			return fmt.Errorf("not well-formed: attribute %s twice", a.Key)
		}
		seen[n] = true
	}
	return nil
}

func checkDeclaration(a etree.Attr) error {
	switch {
	case a.Value == nsXML, a.Value == nsXMLNS, a.Space == "xmlns" && (a.Key == "xml" || a.Key == "xmlns"):
		return errors.New("reserved namespace or prefix declared")
	case a.Space == "xmlns" && a.Value == "":
		return fmt.Errorf("prefix %q is bound to nothing", a.Key)
	}
	return nil
}

// noteIDs remembers what a reference may name. An id that is there twice is the core of signature wrapping.
func (b *builder) noteIDs(el *etree.Element) error {
	for _, a := range el.Attr {
		if a.Value == "" || !isID(el, a) { // govmomi sends Id="" on ds:Signature
			continue
		}
		if b.ids[a.Value] != nil {
			return fmt.Errorf("id %q twice in the message", a.Value)
		}
		b.ids[a.Value] = el
	}
	return nil
}

func isID(el *etree.Element, a etree.Attr) bool {
	switch a.Space {
	case "":
		return a.Key == "ID" || a.Key == "Id" || a.Key == "AssertionID"
	case "xmlns":
		return false
	case "xml":
		return a.Key == "id"
	}
	ns, _ := namespace(el, a.Space)
	return ns == nsWSU && a.Key == "Id"
}

// lineBreakInAttribute looks for a literal line break or tab between the quotes of a start tag.
func lineBreakInAttribute(tag []byte) bool {
	var quote byte
	for _, c := range tag {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		case quote != 0 && (c == '\n' || c == '\r' || c == '\t'):
			return true
		}
	}
	return false
}
