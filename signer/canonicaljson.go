package signer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds the depth of a JSON text.
const maxNesting = 128

// parseJSON reads one JSON text whose numbers stay as they are written.
func parseJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("signer: the JSON is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("signer: no JSON at byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("signer: more than one JSON text at byte %d", d.InputOffset())
	}
	return v, nil
}

// appendCanonical appends v in the canonical form of draft-staykov-hu-json-canonical-form
// as VMware's Java runtime, which vCenter verifies with, makes it: members in
// the order of their names as UTF-16, no white space, few escapes, and doubles
// told from integers by how they are written.
func appendCanonical(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("signer: the JSON has more than %d levels", maxNesting)
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendText(b, v), nil
	case json.Number:
		return appendNumber(b, v.String())
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendCanonical(b, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.SortedFunc(maps.Keys(v), compareUTF16) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, name), ':')
			if b, err = appendCanonical(b, v[name], depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, fmt.Errorf("signer: %T has no JSON form", v)
}

// compareUTF16 orders as Java's String.compareTo does.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			return cmp.Or(cmp.Compare(firstUnit(x), firstUnit(y)), cmp.Compare(x, y))
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

// firstUnit is the first of the character's one or two units of UTF-16.
func firstUnit(r rune) rune {
	if high, _ := utf16.EncodeRune(r); high != utf8.RuneError {
		return high
	}
	return r
}

// appendText writes everything as it is but quotes, backslashes and controls.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	rest := 0 // what is not written yet begins there
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[rest:i]...)
		rest = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = fmt.Appendf(b, `\u%04X`, c)
		}
	}
	return append(append(b, s[rest:]...), '"')
}

// appendNumber writes an integer as it is and a double with one digit before
// the point, at least one behind it, and an exponent.
func appendNumber(b []byte, literal string) ([]byte, error) {
	if literal == "-0" { // an integer has no sign there
		literal = "0"
	}
	if !strings.ContainsAny(literal, ".eE") {
		return append(b, literal...), nil
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, errors.New("signer: a number in the JSON is out of range")
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") { // Java always writes two digits
		mantissa, exponent, _ = strings.Cut(strconv.FormatFloat(f, 'E', 1, 64), "E")
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		return nil, err
	}
	return strconv.AppendInt(append(append(b, mantissa...), 'E'), int64(n), 10), nil
}
