package signer

import (
	"cmp"
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
