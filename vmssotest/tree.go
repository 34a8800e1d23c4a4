package vmssotest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// namespace resolves a prefix where el stands; the empty prefix is bound to "" if nothing declares it.
func namespace(el *etree.Element, prefix string) (ns string, ok bool) {
	if prefix == "xml" {
		return nsXML, true
	}
	for ; el != nil; el = el.Parent() {
		for i := range el.Attr {
			a := &el.Attr[i]
			if prefix == "" && a.Space == "" && a.Key == "xmlns" || prefix != "" && a.Space == "xmlns" && a.Key == prefix {
				return a.Value, true
			}
		}
	}
	return "", prefix == ""
}

func isDeclaration(a etree.Attr) bool {
	return a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"
}

// is reports whether el has this name.
func is(el *etree.Element, ns, local string) bool {
	if el.Tag != local {
		return false
	}
	have, _ := namespace(el, el.Space)
	return have == ns
}

// attr returns an attribute's value and whether it is there; ns is "" for an attribute without prefix.
func attr(el *etree.Element, ns, local string) (string, bool) {
	for _, a := range el.Attr {
		if a.Key != local || isDeclaration(a) || (a.Space == "") != (ns == "") {
			continue
		}
		if ns != "" {
			if have, _ := namespace(el, a.Space); have != ns {
				continue
			}
		}
		return a.Value, true
	}
	return "", false
}

// allowAttrs refuses attributes other than these. A name is "local" or "{namespace}local".
func allowAttrs(el *etree.Element, names ...string) error {
next:
	for _, a := range el.Attr {
		if isDeclaration(a) {
			continue
		}
		name := a.Key
		if a.Space != "" {
			ns, _ := namespace(el, a.Space)
			name = "{" + ns + "}" + a.Key
		}
		for _, n := range names {
			if n == name {
				continue next
			}
		}
		return fmt.Errorf("unexpected attribute %s of %s", a.Key, el.Tag)
	}
	return nil
}

// elements returns the child elements of an element that holds nothing else: text between them is refused, white space and comments are not.
func elements(el *etree.Element) ([]*etree.Element, error) {
	var list []*etree.Element
	for _, c := range el.Child {
		switch c := c.(type) {
		case *etree.Element:
			list = append(list, c)
		case *etree.CharData:
			if strings.Trim(c.Data, " \t\r\n") != "" {
				return nil, fmt.Errorf("text inside %s", el.Tag)
			}
		}
	}
	return list, nil
}

// text returns the text of an element that holds nothing else. A comment is refused: readers disagree about the text around it.
func text(el *etree.Element) (string, error) {
	var b strings.Builder
	for _, c := range el.Child {
		t, ok := c.(*etree.CharData)
		if !ok {
			return "", fmt.Errorf("%s holds more than text", el.Tag)
		}
		b.WriteString(t.Data)
	}
	return b.String(), nil
}

// trimmedText is text without the white space around it.
func trimmedText(el *etree.Element) (string, error) {
	s, err := text(el)
	return strings.Trim(s, " \t\r\n"), err
}

// base64Text decodes the text of an element. Java breaks lines with "&#13;\n" inside; all white space is tolerated, spare bits are not.
func base64Text(el *etree.Element) ([]byte, error) {
	s, err := text(el)
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64", el.Tag)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%s is empty", el.Tag)
	}
	return data, nil
}

// instant parses the times of WS-Security and SAML messages: UTC with "Z", seconds, any fraction.
func instant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	// time.Parse takes more than xs:dateTime does: "T3:04:05", a comma before the fraction.
	if err != nil || len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || s[len(s)-1] != 'Z' || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("%q is not a UTC time", s)
	}
	return t, nil
}

// isName reports whether s is an id as the messages have them: an ASCII NCName.
func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
