//go:build !windows

package tokensource_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vmsso/vmsso/tokensource"
)

// A pipe without a writer would block the login for ever.
func TestPipesAndDevicesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe, loop, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("this file system has no pipes: %v", err)
	}
	for name, target := range map[string]string{loop: loop, link: pipe} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		cfg tokensource.FileConfig
		say string
	}{
		{tokensource.FileConfig{Token: pipe}, pipe + " is not a regular file"},
		{tokensource.FileConfig{Token: link}, link + " is not a regular file"},
		{tokensource.FileConfig{Token: "/dev/zero"}, "/dev/zero is not a regular file"},
		{tokensource.FileConfig{Token: loop}, loop},
		{tokensource.FileConfig{Token: "testdata/hok.xml", Certificate: pipe}, pipe + " is not a regular file"},
		{tokensource.FileConfig{Token: "testdata/hok.xml", Certificate: "testdata/client-cert.pem", Key: pipe}, pipe + " is not a regular file"},
	}
	for _, tt := range tests {
		if _, err := tokensource.NewFile(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%+v: got %v, want an error that says %q", tt.cfg, err, tt.say)
		}
	}
}

// Secrets are mounted into containers as links to links, which are swapped.
func TestLinkToAnotherTokenIsPickedUp(t *testing.T) {
	path := files(t, map[string]string{"a": vector(t, "bearer.xml"), "b": strings.ReplaceAll(vector(t, "bearer.xml"), "_66666666", "_the-other")})
	link := path("token.xml")
	point := func(to string) {
		t.Helper()
		if err := os.Symlink(path(to), link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	point("a")
	f, err := tokensource.NewFile(tokensource.FileConfig{Token: link})
	if err != nil {
		t.Fatal(err)
	}
	point("b")
	if tok, err := f.Token(t.Context()); err != nil || !strings.Contains(tok.Assertion, "_the-other") {
		t.Errorf("got %v, %v, want the other token", tok, err)
	}
}
