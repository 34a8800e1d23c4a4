package vmssotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// parseJSON reads one JSON text as a tree of nil, bool, string, json.Number, []any and map[string]any. Of members of the same name the last one
// counts, as in Java. What Java reads differently is refused: encoding/json replaces bytes that are no UTF-8 and halves of surrogate pairs.
func parseJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	if halfSurrogate(data) {
		return nil, errors.New("half of a surrogate pair")
	}
	return v, nil
}

// halfSurrogate looks for an escape \uD800 to \uDFFF that is not one of a pair. data is well-formed: a backslash stands only inside strings.
func halfSurrogate(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		data = data[i:]
		if r := escaped(data); !utf16.IsSurrogate(r) {
			data = data[2:]
		} else if utf16.DecodeRune(r, escaped(data[6:])) == utf8.RuneError {
			return true
		} else {
			data = data[12:]
		}
	}
}

// escaped returns what the escape \uXXXX at the start of data stands for; 0 if there is none.
func escaped(data []byte) rune {
	if !bytes.HasPrefix(data, []byte(`\u`)) {
		return 0
	}
	r, _ := strconv.ParseUint(string(data[2:6]), 16, 16) // well-formed
	return rune(r)
}

// canonicalJSON writes a tree of parseJSON in the canonical form that is signed, draft-staykov-hu-json-canonical-form as VMware's Java runtime does
// it: no white space, members in the order of the UTF-16 code units of their names, every character as it is that need not be escaped, integers as
// they are, other numbers as the doubles of XML Schema.
func canonicalJSON(v any) ([]byte, error) { return appendCanonical(nil, v) }

func appendCanonical(out []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case json.Number:
		return appendNumber(out, v.String())
	case string:
		return appendString(out, v), nil
	case []any:
		out = append(out, '[')
		for i, item := range v {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendCanonical(out, item); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case map[string]any:
		out = append(out, '{')
		for i, name := range sortedNames(v) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, name), ':')
			if out, err = appendCanonical(out, v[name]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	}
	return nil, fmt.Errorf("%T is not JSON", v)
}

// sortedNames sorts as Java's String.compareTo does: a character outside the BMP, two surrogates, comes before U+E000.
func sortedNames(members map[string]any) []string {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	})
	return names
}

func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if n := strings.IndexByte("\"\\\b\f\n\r\t", c); n >= 0 {
			out = append(out, '\\', `"\bfnrt`[n])
		} else if c < ' ' {
			out = fmt.Appendf(out, `\u%04X`, c)
		} else {
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendNumber keeps the kind of a number: 1 is an integer, 1.0 and 1e0 are the double 1.0E0.
func appendNumber(out []byte, s string) ([]byte, error) {
	if s == "-0" { // Java's integers have one zero
		s = "0"
	}
	if !strings.ContainsAny(s, ".eE") {
		return append(out, s...), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%.40s is not a double", s)
	}
	digits := strconv.FormatFloat(f, 'e', -1, 64)
	if !strings.Contains(digits, ".") { // where one digit is enough, Java takes the best two: 4.9E-324, not 5.0E-324
		digits = strconv.FormatFloat(f, 'e', 1, 64)
	}
	mantissa, exponent, _ := strings.Cut(digits, "e")
	e, err := strconv.Atoi(exponent) // takes +02
	return strconv.AppendInt(append(append(out, mantissa...), 'E'), int64(e), 10), err
}
