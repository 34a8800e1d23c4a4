//go:build unix

package tokensource_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A pipe without a writer would block the login for ever.
func TestPipesAndDevicesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	pipe, loop, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("this file system has no pipes: %v", err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
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
		{tokensource.FileConfig{Token: filepath.Join(dir, "s")}, filepath.Join(dir, "s")},
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
	f, err := tokensource.NewFile(tokensource.FileConfig{Token: link, Poll: -1})
	if err != nil {
		t.Fatal(err)
	}
	point("b")
	if tok, err := f.Token(t.Context()); err != nil || !strings.Contains(tok.Assertion, "_the-other") {
		t.Errorf("got %v, %v, want the other token", tok, err)
	}
}

// A kubeVolume is a directory as the kubelet fills it: each version in a directory
// of its own, the link ..data to the one that counts, and a link through that for
// each file.
type kubeVolume struct {
	t        testing.TB
	dir      string
	versions int
}

func (v *kubeVolume) write(files map[string]string) {
	v.t.Helper()
	must := func(err error) {
		v.t.Helper()
		if err != nil {
			v.t.Fatal(err)
		}
	}
	old, _ := os.Readlink(filepath.Join(v.dir, "..data"))
	v.versions++
	next := fmt.Sprintf("..2026_01_02_%d", v.versions)
	for name, content := range files {
		path := filepath.Join(v.dir, next, name)
		must(os.MkdirAll(filepath.Dir(path), 0o700))
		must(os.WriteFile(path, []byte(content), 0o600))
	}
	must(os.Symlink(next, filepath.Join(v.dir, "..data_tmp")))
	must(os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")))
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		if err := os.Symlink("..data/"+top, filepath.Join(v.dir, top)); err != nil && !errors.Is(err, fs.ErrExist) {
			v.t.Fatal(err)
		}
	}
	if old != "" {
		must(os.RemoveAll(filepath.Join(v.dir, old)))
	}
}

// The holder of an encrypted token cannot be seen from outside: only the volume
// tells which key belongs to it.
func TestVersionsOfAKubernetesVolumeAreNotMixed(t *testing.T) {
	const swaps, readers = 1000, 4
	volume := &kubeVolume{t: t, dir: t.TempDir()}
	issuer := vmssotest.NewAuthority()
	var all [8]generation
	public := map[string]crypto.PublicKey{}
	for i := range all {
		all[i] = newGeneration(t, issuer, fmt.Sprint("_g", i), time.Hour)
		if i%2 == 0 {
			all[i].token = fmt.Sprintf(`<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">%d</EncryptedAssertion>`, i)
		}
		public[all[i].token] = all[i].public
	}
	write := func(g generation) {
		volume.write(map[string]string{"token.xml": g.token, "keys/client.pem": g.certificate, "keys/client.key": g.key})
	}
	write(all[0])
	at := func(name string) string { return filepath.Join(volume.dir, name) }
	f := newFile(t, tokensource.FileConfig{Token: at("token.xml"), Certificate: at("keys/client.pem"), Key: at("keys/client.key"), Poll: -1})

	var taken atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var last *vmsso.Token
			for {
				select {
				case <-stop:
					return
				default:
				}
				tok, err := f.Token(context.Background())
				if err != nil {
					t.Errorf("a token lives, but: %v", err)
					return
				}
				if k, ok := public[tok.Assertion].(*ecdsa.PublicKey); !ok || !k.Equal(tok.Key.Public()) {
					t.Error("the token and the key are of two versions")
					return
				}
				if tok != last {
					taken.Add(1)
				}
				last = tok
			}
		})
	}
	for i := range swaps {
		write(all[i%len(all)])
	}
	close(stop)
	wg.Wait()
	yields(t, "at last", f, all[(swaps-1)%len(all)].token)
	if taken.Load() < 2*readers {
		t.Errorf("the readers saw %d versions, want more: they saw no swap", taken.Load())
	}
}

// Kubernetes mounts Secrets so that everybody in the container can read them.
func TestSecretsThatOthersCanReadAreWarnedOfOrRefused(t *testing.T) {
	hok, bearer := vector(t, "hok.xml"), vector(t, "bearer.xml")
	cert, key, p12 := vector(t, "client-cert.pem"), vector(t, "client-key-pkcs8.pem"), vector(t, "legacy.p12")
	tests := []struct {
		name    string
		content map[string]string
		open    string // the file that has another mode than 0600
		mode    os.FileMode
		exposed bool
	}{
		{"all private", map[string]string{"token": hok, "cert": cert, "key": key}, "", 0o600, false},
		{"read-only", map[string]string{"token": hok, "cert": cert, "key": key}, "key", 0o400, false},
		{"a public key", map[string]string{"token": hok, "cert": cert, "key": key}, "key", 0o644, true},
		{"a key for the group", map[string]string{"token": hok, "cert": cert, "key": key}, "key", 0o640, true},
		{"a key that others may write", map[string]string{"token": hok, "cert": cert, "key": key}, "key", 0o602, true},
		{"a public certificate", map[string]string{"token": hok, "cert": cert, "key": key}, "cert", 0o644, false},
		{"a public certificate with the key", map[string]string{"token": hok, "cert": cert + key}, "cert", 0o644, true},
		{"a public token that needs a key", map[string]string{"token": hok, "cert": cert, "key": key}, "token", 0o644, false},
		{"a public bearer token", map[string]string{"token": bearer}, "token", 0o644, true},
		{"a public PKCS#12 file", map[string]string{"token": hok, "p12": p12, "password": "s3cr3t"}, "p12", 0o644, true},
		{"a public password", map[string]string{"token": hok, "p12": p12, "password": "s3cr3t"}, "password", 0o444, true},
	}
	for _, tt := range tests {
		path := files(t, tt.content)
		at := func(name string) string {
			if _, there := tt.content[name]; !there {
				return ""
			}
			return path(name)
		}
		if tt.open != "" {
			if err := os.Chmod(path(tt.open), tt.mode); err != nil {
				t.Fatal(err)
			}
		}
		cfg := tokensource.FileConfig{Token: at("token"), Certificate: at("cert"), Key: at("key"), PKCS12: at("p12"), PasswordFile: at("password"), Poll: -1}
		var log func() string
		cfg.Logger, log = newLog()
		f := newFile(t, cfg)
		yields(t, tt.name, f, tt.content["token"])
		said := log()
		if warned := strings.Count(said, "level=WARN") == 1; warned != tt.exposed || warned && !strings.Contains(said, fmt.Sprintf("%s (mode %04o)", path(tt.open), tt.mode)) || !warned && said != "" {
			t.Errorf("%s: the log says %q of two readings, want one warning: %t", tt.name, said, tt.exposed)
		}
		cfg.Strict = true
		if _, err := tokensource.NewFile(cfg); (err != nil) != tt.exposed || err != nil && !strings.Contains(err.Error(), path(tt.open)) {
			t.Errorf("%s: strict: got %v, want an error: %t", tt.name, err, tt.exposed)
		}
	}
}

// Who opens the mode of files later is told as well.
func TestFilesThatBecomePublicAreWarnedOf(t *testing.T) {
	path := files(t, map[string]string{"token.xml": vector(t, "bearer.xml")})("token.xml")
	log, said := newLog()
	f := newFile(t, tokensource.FileConfig{Token: path, Poll: -1, Logger: log})
	strict := newFile(t, tokensource.FileConfig{Token: path, Poll: -1, Logger: log, Strict: true})
	if s := said(); s != "" {
		t.Errorf("the log says %q of private files", s)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	yields(t, "public", f, vector(t, "bearer.xml"))
	if s := said(); !strings.Contains(s, "others may read or write") {
		t.Errorf("the log says %q of public files", s)
	}
	yields(t, "strict", strict, vector(t, "bearer.xml")) // read when nobody else could
	if s := said(); !strings.Contains(s, "cannot be used") {
		t.Errorf("the log says %q of public files in strict mode", s)
	}
}
