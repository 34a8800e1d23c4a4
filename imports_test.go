package vmsso_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestImportsPointOneWay: the root is the vocabulary and knows none of its
// kinds, a judge shares nothing with what it judges, and each heavy library has
// one home.
func TestImportsPointOneWay(t *testing.T) {
	const module = "github.com/vmsso/vmsso"
	allowed := map[string][]string{ // by folder: what of this module it may import
		".":                 {"internal/endpoint", "internal/retry"},
		"signer":            {".", "internal/envelope"},
		"tokensource":       {".", "signer", "internal/envelope", "internal/endpoint"},
		"soap":              {".", "signer", "cookiejar", "internal/envelope", "internal/peek"},
		"automation":        {".", "signer", "internal/call", "internal/peek"},
		"vcloud":            {".", "signer", "internal/call", "internal/endpoint"},
		"lookup":            {".", "internal/call", "internal/endpoint", "internal/envelope"},
		"cookiejar":         {".", "internal/endpoint"},
		"vmssotest":         {"."},
		"bench/soak":        {".", "soap", "automation", "vcloud", "tokensource", "vmssotest"},
		"internal/envelope": {".", "internal/call"},
		"internal/call":     {".", "internal/retry"},
		"internal/endpoint": {},
		"internal/faults":   {},
		"internal/model":    {},
		"internal/peek":     {},
		"internal/retry":    {},

		"bench/internal/rig": {".", "tokensource", "vmssotest"},
	}
	homes := map[string][]string{
		"github.com/gofrs/flock":                {"cookiejar"},
		"github.com/hashicorp/go-retryablehttp": {"internal/retry"},
		"github.com/beevik/etree":               {"internal/envelope", "signer", "vmssotest"},
		"github.com/russellhaering/goxmldsig":   {"signer", "vmssotest"},
		"golang.org/x/sync/singleflight":        {".", "tokensource"},
		"software.sslmate.com/src/go-pkcs12":    {"tokensource"},
	}
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		file = filepath.ToSlash(file)
		if err != nil || d.IsDir() && (file == "examples" || file == "contrib" || file == "bench/peers" || d.Name() == "testdata" || file != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		folder := path.Dir(file)
		may, known := allowed[folder]
		if !known {
			t.Errorf("folder %s is not in this test's table", folder)
			return nil
		}
		seen[folder] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if own, ok := strings.CutPrefix(name, module); ok {
				own = path.Clean("./" + strings.TrimPrefix(own, "/"))
				if !slices.Contains(may, own) {
					t.Errorf("%s imports %s", file, name)
				}
			}
			if home, ok := homes[name]; ok && !slices.Contains(home, folder) {
				t.Errorf("%s imports %s, which belongs to %v", file, name, home)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(allowed) {
		t.Errorf("only the folders %v were found", seen)
	}
}
