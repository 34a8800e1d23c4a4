package vmssotest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// canonical is what canonicalJSON makes of a text.
func canonical(t testing.TB, text string) string {
	t.Helper()
	v, err := parseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := canonicalJSON(v)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(out)
}

// What VMware's Java runtime 2.19.0 makes of these texts.
func TestCanonicalJSONOfJava(t *testing.T) {
	var inputs, expected []string
	for name, into := range map[string]*[]string{"canonical-inputs.json": &inputs, "canonical-expected.json": &expected} {
		if err := json.Unmarshal([]byte(read(t, name)), into); err != nil {
			t.Fatal(err)
		}
	}
	if len(inputs) != 8 || len(expected) != len(inputs) {
		t.Fatalf("%d inputs, %d expected", len(inputs), len(expected))
	}
	for i, text := range inputs {
		if got := canonical(t, text); got != expected[i] {
			t.Errorf("%s: got %s, want %s", text, got, expected[i])
		}
	}
}

// The request that the Java runtime signed, from what it sent.
func TestCanonicalJSONOfSignedRequest(t *testing.T) {
	v, err := parseJSON([]byte(read(t, "java-2.19.0-hok.body.json")))
	if err != nil {
		t.Fatal(err)
	}
	ctx := v.(map[string]any)["params"].(map[string]any)["ctx"].(map[string]any)
	delete(ctx["securityCtx"].(map[string]any), "signature")
	if got, err := canonicalJSON(v); err != nil || string(got) != read(t, "java-2.19.0-hok.canonical.bin") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{" null\n", "null"},
		{"\ttrue", "true"},
		{`""`, `""`},
		{"[ ]", "[]"},
		{"{ }", "{}"},
		{`[[],[[1 , 2]]]`, `[[],[[1,2]]]`},
		{`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		{`{"a":{"b":1},"a":{"c":2}}`, `{"a":{"c":2}}`},
		{`{"b":0,"":1,"B":2,"ab":3,"a":4}`, `{"":1,"B":2,"a":4,"ab":3,"b":0}`},
		{`{"\uFB33":1,"\uD83D\uDE00":2,"\uD7FF":3}`, "{\"\uD7FF\":3,\"\U0001F600\":2,\"\uFB33\":1}"},
		{`"\u0041\/\u00e9\u2028\u2029\u007f<>&'"`, "\"A/\u00e9\u2028\u2029\u007f<>&'\""},
		{`"\u000b\u001a\u000a"`, `"\u000B\u001A\n"`},
		{`"\\ud800 \"\\\\"`, `"\\ud800 \"\\\\"`},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"-7", "-7"},
		{"-0", "0"},
		{"9007199254740993", "9007199254740993"},
		{"1e0", "1.0E0"},
		{"1E+2", "1.0E2"},
		{"-1.50e-3", "-1.5E-3"},
		{"10.0", "1.0E1"},
		{"0.1", "1.0E-1"},
		{"1e-400", "0.0E0"},
		{"4.9E-324", "4.9E-324"},
		{"5e-324", "4.9E-324"},
		{"2e-323", "2.0E-323"},
		{"1.7976931348623157e308", "1.7976931348623157E308"},
		{"12345678901234567890.0", "1.2345678901234567E19"},
	} {
		if got := canonical(t, test.text); got != test.want {
			t.Errorf("%s: got %s, want %s", test.text, got, test.want)
		}
	}
}

// What other readers understand differently, or not at all, is not read.
func TestParseJSONRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "EOF",
		" ":                      "EOF",
		"{":                      "EOF",
		"{}{}":                   "more than one",
		"{} x":                   "more than one",
		"{},":                    "more than one",
		"NaN":                    "invalid character",
		"01":                     "more than one",
		"+1":                     "invalid character",
		"1.":                     "EOF",
		"'a'":                    "invalid character",
		`{"a":1,}`:               "invalid character",
		"/**/1":                  "invalid character",
		"\ufeff{}":               "invalid character",
		"\"a\nb\"":               "invalid character",
		`"\x41"`:                 "invalid character",
		"\"\xff\"":               "not UTF-8",
		"\"\xed\xa0\x80\"":       "not UTF-8", // a surrogate in UTF-8
		`"\ud83d"`:               "half of a surrogate pair",
		`"\ude00"`:               "half of a surrogate pair",
		`"\ude00\ud83d"`:         "half of a surrogate pair",
		`"\ud83d\ud83d\ude00"`:   "half of a surrogate pair",
		`"\ud83d\u0041"`:         "half of a surrogate pair",
		`"\ud83d\\ude00"`:        "half of a surrogate pair",
		`"\ud83d\n\ude00"`:       "half of a surrogate pair",
		`{"\uD83D":1}`:           "half of a surrogate pair",
		`"\ud83d\ude00 \udbff"`:  "half of a surrogate pair",
		`"\\\ud83d"`:             "half of a surrogate pair",
		strings.Repeat("[", 1e5): "depth",
	} {
		if v, err := parseJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q is read as %v, %v, want %s", text, v, err, want)
		}
	}
	for _, text := range []string{`"\\ud83d"`, `"\ud83d\ude00\\"`, `"\uffff\ue000\ud7ff"`, `"\""`} {
		if _, err := parseJSON([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCanonicalJSONRefused(t *testing.T) {
	for _, v := range []any{json.Number("1e400"), []any{json.Number("-1e400")}, map[string]any{"a": json.Number("1e999")}, 1, []any{bytes.MinRead}} {
		if out, err := canonicalJSON(v); err == nil {
			t.Errorf("%v: %s", v, out)
		}
	}
}
