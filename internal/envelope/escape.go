package envelope

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The two replacers write characters as Canonical XML does, so that what is
// written with them needs no canonicalization.
// See https://www.w3.org/TR/xml-c14n#ProcessingModel.
var (
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attr = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

// Text returns s as the canonical content of an element. What is no valid text
// of XML 1.0 is refused by [Valid], not here.
func Text(s string) string { return text.Replace(s) }

// Attr returns s as the canonical value of an attribute in double quotes.
func Attr(s string) string { return attr.Replace(s) }

// Valid returns an error if s cannot be written in XML 1.0: control characters
// cannot, not even escaped. The error does not quote s.
func Valid(s string) error {
	for i, r := range s {
		switch {
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return fmt.Errorf("invalid UTF-8 at byte %d", i)
			}
		case r == '\t' || r == '\n' || r == '\r':
		case r < ' ' || r == 0xFFFE || r == 0xFFFF:
			return fmt.Errorf("a control character at byte %d", i)
		}
	}
	return nil
}
