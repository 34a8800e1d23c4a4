package vmssotest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// canonicalize returns el in exclusive C14N without comments (https://www.w3.org/TR/xml-exc-c14n/), where it stands in its document: nothing is
// detached or changed. prefixes is the InclusiveNamespaces PrefixList.
//
// The canonicaliser is this package's own, because the one that it judges may use that of goxmldsig (which orders attributes of two namespaces by
// their local names and keeps a superfluous xmlns=""): two with the same error would agree.
func canonicalize(el *etree.Element, prefixes []string) ([]byte, error) {
	c := canonicalizer{prefixes: prefixes}
	if err := c.element(el, map[string]string{}); err != nil {
		return nil, err
	}
	return c.out.Bytes(), nil
}

type canonicalizer struct {
	out      bytes.Buffer
	prefixes []string
	skip     *etree.Element // left out: the signature of the enveloped-signature transform
}

// element writes el. rendered is what the ancestors in the output declare: prefix to namespace.
func (c *canonicalizer) element(el *etree.Element, rendered map[string]string) error {
	declare, err := c.declarations(el, rendered)
	if err != nil {
		return err
	}
	if len(declare) > 0 {
		rendered = maps.Clone(rendered)
		maps.Copy(rendered, declare)
	}
	tag := qualified(el.Space, el.Tag)
	c.out.WriteString("<" + tag)
	for _, prefix := range slices.Sorted(maps.Keys(declare)) {
		if prefix == "" {
			c.attribute("xmlns", declare[prefix])
		} else {
			c.attribute("xmlns:"+prefix, declare[prefix])
		}
	}
	for _, a := range sortedAttrs(el) {
		c.attribute(qualified(a.Space, a.Key), a.Value)
	}
	c.out.WriteString(">")
	for _, child := range el.Child {
		switch child := child.(type) {
		case *etree.Element:
			if child == c.skip {
				continue
			}
			if err := c.element(child, rendered); err != nil {
				return err
			}
		case *etree.CharData:
			c.out.WriteString(escapeText(child.Data))
		}
	}
	c.out.WriteString("</" + tag + ">")
	return nil
}

// declarations returns the namespaces that the start tag of el must declare: those of the prefixes that it uses itself or that are in the
// PrefixList, unless the output declares them already.
func (c *canonicalizer) declarations(el *etree.Element, rendered map[string]string) (map[string]string, error) {
	declare := map[string]string{}
	use := func(prefix string, must bool) error {
		if prefix == "xml" {
			return nil
		}
		ns, ok := namespace(el, prefix)
		if !ok {
			if must {
				return fmt.Errorf("prefix %q is not declared", prefix)
			}
			return nil
		}
		if rendered[prefix] != ns { // a default namespace that is not declared is "": then xmlns="" is superfluous
			declare[prefix] = ns
		}
		return nil
	}
	if err := use(el.Space, true); err != nil {
		return nil, err
	}
	for _, a := range el.Attr {
		if a.Space == "" || isDeclaration(a) {
			continue
		}
		if err := use(a.Space, true); err != nil {
			return nil, err
		}
	}
	for _, prefix := range c.prefixes {
		if prefix == "#default" {
			prefix = ""
		}
		if err := use(prefix, false); err != nil {
			return nil, err
		}
	}
	return declare, nil
}

func (c *canonicalizer) attribute(name, value string) {
	c.out.WriteString(" " + name + `="` + escapeAttr(value) + `"`)
}

// sortedAttrs returns the attributes, without declarations, ordered by namespace and then by local name.
func sortedAttrs(el *etree.Element) []etree.Attr {
	var list []etree.Attr
	ns := map[string]string{"": ""}
	for _, a := range el.Attr {
		if isDeclaration(a) {
			continue
		}
		if a.Space != "" {
			ns[a.Space], _ = namespace(el, a.Space)
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b etree.Attr) int {
		if c := strings.Compare(ns[a.Space], ns[b.Space]); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list
}

func qualified(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}

// escapeText escapes as C14N does.
func escapeText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}

// escapeAttr escapes an attribute value as C14N does.
func escapeAttr(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;").Replace(s)
}
