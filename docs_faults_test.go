package vmsso_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestDocumentsAreSeenToFail(t *testing.T) {
	const document = "docs/a.md"
	for _, tc := range []struct{ name, text, want string }{
		{"a file", "see [b](b.md) and ![c](../c.png \"title\")", ""},
		{"no file", "see\n[b](bb.md)", "docs/a.md:2: the link bb.md leads to no file"},
		{"no image", "[![c](c.png)](b.md)", "docs/a.md:1: the link c.png leads to no file"},
		{"out of the repository", "[b](../../b.md)", "docs/a.md:1: the link ../../b.md leads to no file"},
		{"of the repository", "[c](/c.png) [d](/docs)", ""},
		{"another site", "[b](https://example.com/none.md) <https://example.com>", ""},
		{"a heading", "[b](b.md#the-heading-1) [here](#here)\n\n# Here", ""},
		{"no heading", "[b](b.md#heading)", "docs/a.md:1: the link b.md#heading leads to no heading of docs/b.md"},
		{"no heading here", "[b](#there)\n# Here", "docs/a.md:1: the link #there leads to no heading of docs/a.md"},
		{"a heading in a block", "[b](#here)\n```\n# Here\n```", "docs/a.md:1: the link #here leads to no heading of docs/a.md"},
		{"a reference", "[b][x] and [X][]\n\n[x]: b.md", ""},
		{"a reference to nothing", "[b][y]\n\n[x]: b.md", "docs/a.md:1: nothing defines the link [y]"},
		{"a definition", "[b][x]\n\n[x]: bb.md", "docs/a.md:3: the link bb.md leads to no file"},
		{"HTML", "<img src=\"d.png\">", "docs/a.md:1: the link d.png leads to no file"},
		{"code", "`[b](bb.md)` and `[]T[b][c]`\n```\n[b](bb.md)\n```", ""},
		{"a target", "`make test`, and make no mistake\n```\nmake test FOR=1s   # make haste\n```", ""},
		{"no target", "```\nmake test tests\n```", "docs/a.md:2: the Makefile has no target tests"},
		{"no target, inline", "run `make FOR=1s tests`", "docs/a.md:1: the Makefile has no target tests"},
		{"a program", "`go run ./cmd -x ./none`", "docs/a.md:1: there is no Go file in ./none"},
		{"programs", "`go run ./cmd`, `go test ./...`, `go vet -x ./cmd/...`", ""},
		{"no program", "```\n$ go run ./docs\n```", "docs/a.md:2: there is no Go file in ./docs"},
		{"a snippet", "```go\nfunc main() {\n\tprintln(1)\n```", ""},
		{"no snippet", "text\n```go\nfunc main() {\n\tprintln(2)\n}\n```", "docs/a.md:2: no Go file has this snippet; the nearest, cmd/main.go, lacks line 4: println(2)"},
		{"an empty snippet", "~~~go\n~~~", "docs/a.md:1: the snippet is empty"},
		{"a block without end", "```\n[b](bb.md)\n", "docs/a.md:0: a fenced block has no end"},
		{"no snippet in a list", "- so:\n  ```go\n  x\n  ```\n- [b](bb.md)", "docs/a.md:2: no Go file has line 3: x\ndocs/a.md:5: the link bb.md leads to no file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := readDocuments(fstest.MapFS{
				document:             {Data: []byte(tc.text)},
				"docs/b.md":          {Data: []byte("# The heading\n## The heading\n")},
				"c.png":              {},
				"cmd/main.go":        {Data: []byte("package main\n\nfunc main() {\n\tprintln(1)\n}\n")},
				"cmd/testdata/x.go":  {Data: []byte("x")},
				".hidden/x.md":       {Data: []byte("[b](bb.md)")},
				"bin/x.md":           {Data: []byte("[b](bb.md)")},
				"cmd/testdata/y.md":  {Data: []byte("[b](bb.md)")},
				"Makefile":           {Data: []byte("FOR ?= 1s\n.PHONY: test tests\ntest: fmt ## tests: all\n\tgo test\n")},
				"docs/README.md.txt": {},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.faults(), "\n"); got != tc.want {
				t.Errorf("%q\ngot  %s\nwant %s", tc.text, got, tc.want)
			}
		})
	}
}

func TestListOfExamplesLeavesNoneOut(t *testing.T) {
	d, err := readDocuments(fstest.MapFS{
		"README.md":           {Data: []byte("[a](contrib/a)")},
		"contrib/a/a.go":      {},
		"contrib/b/c/b.go":    {},
		"examples/README.md":  {Data: []byte("[rest](rest/)\n```\ngo run ./examples/soap\n```")},
		"examples/rest/a.go":  {},
		"examples/soap/a.go":  {},
		"examples/soaps/a.go": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"examples/README.md: does not lead to examples/soaps", "README.md: does not lead to contrib/b"}
	if got := d.faults(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	for _, tc := range []struct {
		headings string // lines
		want     string
	}{
		{"# Use it", "use-it"},
		{"## CA, thumbprint, proxy ##", "ca-thumbprint-proxy"},
		{"## Compared with govmomi's own login", "compared-with-govmomis-own-login"},
		{"# `go run ./x` & more", "go-run-x--more"},
		{"# A_b-c 1.2 …", "a_b-c-12-"},
		{"# Ärger über 日本", "ärger-über-日本"},
		{"# [Unreleased](https://example.com/a_b)", "unreleased"},
		{"# [Unreleased][x] and **more**", "unreleased-and-more"},
		{"# Use\n# Use\n# Use", "use use-1 use-2"},
		{"# Use 1\n# Use\n# Use", "use-1 use use-2"},
		{"#no heading\n####### neither", ""},
	} {
		if got := strings.Join(parsePage(tc.headings).anchors, " "); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.headings, got, tc.want)
		}
	}
}

func TestSnippetStandsInTheCodeWordForWord(t *testing.T) {
	code := []string{"func f() {", "if a {", "return", "}", "// why", "b()", "if a {", "panic(1)", "}", "}"}
	for _, tc := range []struct {
		snippet string
		matched int // lines
	}{
		{"func f() {\n\tif a {\n\t\treturn\n\t}", 4},
		{"\tif a {\n\n\t\tpanic(1)", 3},
		{"if a {\nb()", 1},
		{"return\n…\npanic(1)", 3},
		{"func f() {\n…\n// why\n…\n}", 5},
		{"// why\n…\nreturn", 2},
		{"if a {\n…\nif a {\npanic(1)\n…\nb()", 5},
		{"…\npanic(1)\n…", 3},
		{"b() // why", 0},
		{"// why not", 0},
		{"…b()", 0},
		{"}\n}\n}", 2},
	} {
		if got := matched(strings.Split(tc.snippet, "\n"), code); got != tc.matched {
			t.Errorf("%q: %d lines agree, want %d", tc.snippet, got, tc.matched)
		}
	}
}
