package signer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// foreignBody writes a Body around a copy of content: as it is sent, and in
// exclusive canonical form, which is what is signed. The two differ where the
// canonical form leaves out a namespace declaration that no name uses: a value
// may use it, such as xsi:type="xs:string", and a signature in the content may
// have it among its InclusiveNamespaces.
func foreignBody(content *etree.Element, id string) (sent, canonical []byte, err error) {
	content = detached(content)
	plainText(content)
	b := etree.NewElement("soap:Body")
	b.CreateAttr("xmlns:soap", nsSoap)
	b.CreateAttr("xmlns:wsu", nsWsu)
	b.CreateAttr("wsu:Id", id)
	b.AddChild(content)
	declared := map[*etree.Element][]etree.Attr{}
	each(content, func(e *etree.Element) {
		declared[e] = slices.DeleteFunc(slices.Clone(e.Attr), func(a etree.Attr) bool { return !declares(a) })
	})
	if err := etreeutils.TransformExcC14n(b, "", false); err != nil {
		return nil, nil, err
	}
	each(b, mend)
	if canonical, err = write(b); err != nil {
		return nil, nil, err
	}
	each(content, func(e *etree.Element) {
		for _, a := range declared[e] {
			if namespace(e, prefix(a)) != a.Value {
				e.CreateAttr(a.FullKey(), a.Value)
			}
		}
	})
	sent, err = write(b)
	return sent, canonical, err
}

// canonicalBody is the exclusive canonical form of a Body, given as text.
func canonicalBody(text []byte) ([]byte, error) {
	if i := spaceInAttribute(text); i >= 0 {
		return nil, fmt.Errorf("a line break or tab in an attribute at byte %d, which parsers turn into a blank", i)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, errors.New("it is not well-formed XML")
	}
	b := doc.Root()
	if b == nil || len(doc.ChildElements()) != 1 {
		return nil, errors.New("it is not one element")
	}
	plainText(b)
	if err := etreeutils.TransformExcC14n(b, "", false); err != nil {
		return nil, err
	}
	each(b, mend)
	return write(b)
}

// spaceInAttribute returns where a tag of well-formed XML has white space other
// than blanks inside an attribute's value, or -1.
func spaceInAttribute(text []byte) int {
	var quote byte
	inTag := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0 && (c == '\t' || c == '\n' || c == '\r'):
			return i
		case quote != 0:
		case !inTag && c == '<':
			n := skipped(text[i:])
			i += n
			inTag = n == 0
		case inTag && c == '>':
			inTag = false
		case inTag && (c == '"' || c == '\''):
			quote = c
		}
	}
	return -1
}

// skipped is the length, but for the last byte, of the comment or CDATA section
// that text begins with; 0 if it begins with neither.
func skipped(text []byte) int {
	for opening, closing := range map[string]string{"<!--": "-->", "<![CDATA[": "]]>"} {
		if rest, ok := bytes.CutPrefix(text, []byte(opening)); ok {
			if end := bytes.Index(rest, []byte(closing)); end >= 0 {
				return len(opening) + end + len(closing) - 1
			}
		}
	}
	return 0
}

// detached returns a copy of e that declares what its ancestors declare.
func detached(e *etree.Element) *etree.Element {
	c := e.Copy()
	for p := e.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if declares(a) && !slices.ContainsFunc(c.Attr, func(b etree.Attr) bool { return declares(b) && prefix(b) == prefix(a) }) {
				c.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	return c
}

// plainText turns CDATA sections into text, as Canonical XML does and the
// canonicalizer does not.
func plainText(e *etree.Element) {
	for i, t := range e.Child {
		switch t := t.(type) {
		case *etree.CharData:
			if t.IsCData() {
				e.RemoveChildAt(i)
				e.InsertChildAt(i, etree.NewText(t.Data))
			}
		case *etree.Element:
			plainText(t)
		}
	}
}

// mend corrects two errors that goxmldsig 1.6.1 makes in an element whose
// parent is correct: an xmlns="" stays where no default namespace ends, and
// attributes of several namespaces are ordered by their local names.
// See https://www.w3.org/TR/xml-c14n#ProcessingModel.
func mend(e *etree.Element) {
	outer := ""
	if p := e.Parent(); p != nil {
		outer = namespace(p, "")
	}
	e.Attr = slices.DeleteFunc(e.Attr, func(a etree.Attr) bool { return a.FullKey() == "xmlns" && a.Value == outer })
	slices.SortFunc(e.Attr, func(a, b etree.Attr) int {
		switch {
		case declares(a) && declares(b):
			return cmp.Compare(prefix(a), prefix(b))
		case declares(a):
			return -1
		case declares(b):
			return 1
		}
		return cmp.Or(cmp.Compare(attrNamespace(e, a), attrNamespace(e, b)), cmp.Compare(a.Key, b.Key))
	})
}

// declares tells whether an attribute is a namespace declaration.
func declares(a etree.Attr) bool { return a.Space == "xmlns" || a.FullKey() == "xmlns" }

// prefix is what a namespace declaration declares, "" for the default.
func prefix(a etree.Attr) string {
	if a.Space == "" {
		return ""
	}
	return a.Key
}

// namespace is what a prefix stands for in e, "" if nothing.
func namespace(e *etree.Element, name string) string {
	for ; e != nil; e = e.Parent() {
		for _, a := range e.Attr {
			if declares(a) && prefix(a) == name {
				return a.Value
			}
		}
	}
	return ""
}

func attrNamespace(e *etree.Element, a etree.Attr) string {
	switch a.Space {
	case "":
		return ""
	case "xml":
		return etreeutils.XMLNamespace
	}
	return namespace(e, a.Space)
}

// each calls f for e and what is in it, parents first.
func each(e *etree.Element, f func(*etree.Element)) {
	f(e)
	for _, c := range e.ChildElements() {
		each(c, f)
	}
}

// write serializes e as Canonical XML spells it.
func write(e *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.WriteSettings = etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
	doc.SetRoot(e.Copy())
	return doc.WriteToBytes()
}
