package vmsso_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryConstructorHasARunnableExample: who looks up how to make a thing finds
// a whole program that makes it, and that ran when it was tested. A constructor is
// an exported function that returns something, or a type of which programs write a
// literal.
func TestEveryConstructorHasARunnableExample(t *testing.T) {
	literals := map[string][]string{ // by folder
		".":           {"SessionStore", "Token", "Trace"},
		"soap":        {"Authenticator"},
		"automation":  {"Authenticator"},
		"vcloud":      {"Authenticator"},
		"tokensource": {"Func"},
	}
	notForUsers := []string{"internal", "examples", "bench", "contrib", "testdata"}
	fset := token.NewFileSet()
	packages := map[string][]*ast.File{} // by folder, with their tests
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && (slices.Contains(notForUsers, d.Name()) || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		folder := filepath.ToSlash(filepath.Dir(file))
		packages[folder] = append(packages[folder], f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		p, err := doc.NewFromFiles(fset, packages[folder], folder)
		if err != nil {
			t.Fatal(err)
		}
		made := constructors(p)
		for _, typ := range p.Types {
			if i := slices.Index(literals[folder], typ.Name); i >= 0 {
				literals[folder] = slices.Delete(literals[folder], i, i+1)
				made[typ.Name] = typ.Examples
			}
		}
		for _, name := range slices.Sorted(maps.Keys(made)) {
			if !slices.ContainsFunc(made[name], runnable) {
				t.Errorf("%s.%s has no example that runs: write Example%s in %s/example_test.go, with // Output: and with nothing but what is in that file",
					p.Name, name, name, folder)
			}
		}
		if len(literals[folder]) > 0 {
			t.Errorf("package %s has no %v any more", p.Name, literals[folder])
		}
	}
}

// constructors returns the examples of the package's constructors, by name.
func constructors(p *doc.Package) map[string][]*doc.Example {
	made := map[string][]*doc.Example{}
	funcs := slices.Clone(p.Funcs)
	for _, typ := range p.Types {
		funcs = append(funcs, typ.Funcs...)
	}
	for _, f := range funcs {
		if f.Decl.Type.Results != nil {
			made[f.Name] = f.Examples
		}
	}
	return made
}

// runnable: it is run, what it prints is compared, and what the documentation
// shows is a program, because the example uses nothing of another file.
func runnable(e *doc.Example) bool { return e.Output != "" && e.Play != nil }
