package envelope_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso/internal/envelope"
)

func TestTextAndAttrAreCanonical(t *testing.T) {
	tests := []struct{ in, text, attr string }{
		{"", "", ""},
		{"vCenter", "vCenter", "vCenter"},
		{"<a>", "&lt;a&gt;", "&lt;a>"},
		{"a&b", "a&amp;b", "a&amp;b"},
		{"&amp;", "&amp;amp;", "&amp;amp;"},
		{`say "a"`, `say "a"`, `say &quot;a&quot;`},
		{"it's", "it's", "it's"},
		{"]]>", "]]&gt;", "]]>"},
		{"a\tb", "a\tb", "a&#x9;b"},
		{"a\nb", "a\nb", "a&#xA;b"},
		{"a\r\nb", "a&#xD;\nb", "a&#xD;&#xA;b"},
		{" a ", " a ", " a "},
		{"é𝄞\u202E\u0085\u2028", "é𝄞\u202E\u0085\u2028", "é𝄞\u202E\u0085\u2028"},
	}
	for _, tt := range tests {
		if got := envelope.Text(tt.in); got != tt.text {
			t.Errorf("Text(%q): got %q, want %q", tt.in, got, tt.text)
		}
		if got := envelope.Attr(tt.in); got != tt.attr {
			t.Errorf("Attr(%q): got %q, want %q", tt.in, got, tt.attr)
		}
		// The canonical form is that of another implementation, too.
		e := etree.NewElement("a")
		e.CreateAttr("b", tt.in)
		e.SetText(tt.in)
		doc := etree.NewDocument()
		doc.WriteSettings = etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
		doc.SetRoot(e)
		want, err := doc.WriteToString()
		if err != nil {
			t.Fatal(err)
		}
		if got := `<a b="` + envelope.Attr(tt.in) + `">` + envelope.Text(tt.in) + `</a>`; got != want {
			t.Errorf("%q: got %s, want %s", tt.in, got, want)
		}
		var back struct {
			B string `xml:"b,attr"`
			T string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte(want), &back); err != nil || back.B != tt.in || back.T != tt.in {
			t.Errorf("%q: read back as %q and %q, %v", tt.in, back.B, back.T, err)
		}
	}
}

func TestValidTellsWhatXMLCannotCarry(t *testing.T) {
	tests := []struct{ in, want string }{ // want "": valid
		{"", ""},
		{"password \t\r\n<&>\"'", ""},
		{"é𝄞漢字\u0085\u2028\u202E\u007f", ""},
		{"\ufffd", ""}, // the replacement character itself
		{"\ud7ff\ue000\ufffd", ""},
		{"\U0001FFFE", ""}, // no character, but allowed
		{"\x00", "a control character at byte 0"},
		{"pass\x07word", "a control character at byte 4"},
		{"\x1b[31m", "a control character at byte 0"},
		{"a\x0b", "a control character at byte 1"},
		{"a\x0c", "a control character at byte 1"},
		{"é\x1f", "a control character at byte 2"},
		{"a\ufffe", "a control character at byte 1"},
		{"a\uffff", "a control character at byte 1"},
		{"caf\xe9", "invalid UTF-8 at byte 3"},
		{"\xed\xa0\x80", "invalid UTF-8 at byte 0"}, // half of a surrogate pair
		{"\xc0\x80", "invalid UTF-8 at byte 0"},     // an overlong NUL
		{"\xff\xfea", "invalid UTF-8 at byte 0"},
	}
	for _, tt := range tests {
		got := ""
		if err := envelope.Valid(tt.in); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Valid(%q): got %q, want %q", tt.in, got, tt.want)
		}
		// encoding/xml has the same opinion of what a text may be.
		err := xml.Unmarshal([]byte("<a>"+envelope.Text(tt.in)+"</a>"), new(struct{}))
		if strict := err == nil; strict != (tt.want == "") {
			t.Errorf("Valid(%q): %q, but encoding/xml says %v", tt.in, got, err)
		}
		if secret := strings.Trim(tt.in, "\x00\x07"); len(secret) > 6 && strings.Contains(got, secret) {
			t.Errorf("Valid(%q): the error quotes it: %q", tt.in, got)
		}
	}
}
