package tokensource_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A generation is what an agent writes at a time.
type generation struct {
	token, certificate, key string
	public                  crypto.PublicKey
}

// newGeneration makes a holder-of-key token with a key of its own, valid for a
// time.
func newGeneration(t testing.TB, issuer *vmssotest.Authority, id string, valid time.Duration) generation {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := vmssotest.NewKeyPair("agent", key)
	return generation{
		token:       issuer.Issue(vmssotest.Claims{ID: id, Subject: user, Holder: pair.Leaf, NotBefore: time.Now(), NotOnOrAfter: time.Now().Add(valid)}),
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		public:      key.Public(),
	}
}

// write puts the files there one after another; no file is seen half written.
func (g generation) write(t testing.TB, dir string) {
	t.Helper()
	for _, f := range []struct{ name, content string }{{"token.xml", g.token}, {"client.pem", g.certificate}, {"client.key", g.key}} {
		put(t, filepath.Join(dir, f.name), f.content)
	}
}

// put replaces a file.
func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func inDir(dir string) tokensource.FileConfig {
	return tokensource.FileConfig{Token: filepath.Join(dir, "token.xml"), Certificate: filepath.Join(dir, "client.pem"), Key: filepath.Join(dir, "client.key"), Poll: -1}
}

// newLog returns a logger, and a function that returns what it has got since the
// last time.
func newLog() (*slog.Logger, func() string) {
	var b bytes.Buffer
	l := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return l, func() string {
		defer b.Reset()
		return b.String()
	}
}

func newFile(t testing.TB, cfg tokensource.FileConfig) *tokensource.File {
	t.Helper()
	f, err := tokensource.NewFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// yields checks that the source's token is this one.
func yields(t *testing.T, when string, f *tokensource.File, want string) *vmsso.Token {
	t.Helper()
	tok, err := f.Token(context.Background())
	if err != nil || tok.Assertion != want {
		t.Errorf("%s: got %v, %v, want another token", when, tok, err)
	}
	return tok
}

func TestFilesAreReadOnceInPoll(t *testing.T) {
	issuer := vmssotest.NewAuthority()
	for _, tt := range []struct {
		name       string
		poll, late time.Duration
	}{{"by default", 0, 30 * time.Second}, {"a minute", time.Minute, time.Minute}, {"each time", -1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			first, second := newGeneration(t, issuer, "_first", time.Hour), newGeneration(t, issuer, "_second", time.Hour)
			first.write(t, dir)
			cfg := inDir(dir)
			cfg.Poll = tt.poll
			f := newFile(t, cfg)
			second.write(t, dir)
			if tt.late > 0 {
				time.Sleep(tt.late - time.Nanosecond)
				yields(t, tt.name+", before the time", f, first.token)
				time.Sleep(time.Nanosecond)
			}
			yields(t, tt.name+", then", f, second.token)
		})
	}
}

// A change is what the content says; a touched file is none.
func TestUnchangedContentIsTheSameToken(t *testing.T) {
	dir := t.TempDir()
	g := newGeneration(t, vmssotest.NewAuthority(), "_a", time.Hour)
	g.write(t, dir)
	f := newFile(t, inDir(dir))
	first := yields(t, "at first", f, g.token)
	if err := os.Chtimes(filepath.Join(dir, "token.xml"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if tok := yields(t, "touched", f, g.token); tok != first {
		t.Error("a touched file is another token")
	}
	g.write(t, dir)
	if tok := yields(t, "written again", f, g.token); tok != first {
		t.Error("the same content is another token")
	}
}

// File systems keep times in steps of up to two seconds, and copies keep times.
func TestChangeIsSeenWhateverTheTimesSay(t *testing.T) {
	path := files(t, map[string]string{"token.xml": vector(t, "bearer.xml")})("token.xml")
	at := time.Now().Add(-time.Hour)
	chtimes := func() {
		t.Helper()
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	chtimes()
	f := newFile(t, tokensource.FileConfig{Token: path, Poll: -1})
	second := strings.Replace(vector(t, "bearer.xml"), "_66666666", "_77777777", 1) // of the same length, in the same file
	if err := os.WriteFile(path, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	chtimes()
	yields(t, "with the same time and size", f, second)
}

func TestRefusedTokenIsLookedForAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		issuer := vmssotest.NewAuthority()
		first, second := newGeneration(t, issuer, "_first", time.Hour), newGeneration(t, issuer, "_second", time.Hour)
		first.write(t, dir)
		cfg := inDir(dir)
		cfg.Poll = 0
		f := newFile(t, cfg)
		tok := yields(t, "at first", f, first.token)
		f.Refused(tok, vmsso.ErrRejected)
		yields(t, "refused, nothing new", f, first.token)
		second.write(t, dir)
		yields(t, "within Poll", f, first.token)
		f.Refused(tok, vmsso.ErrRejected)
		yields(t, "refused", f, second.token)
	})
}

func TestExpiredTokenIsLookedForAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		issuer := vmssotest.NewAuthority()
		first, second := newGeneration(t, issuer, "_first", time.Minute), newGeneration(t, issuer, "_second", time.Hour)
		first.write(t, dir)
		cfg := inDir(dir)
		cfg.Poll = time.Hour
		f := newFile(t, cfg)
		time.Sleep(time.Minute - time.Nanosecond)
		second.write(t, dir)
		yields(t, "while it lives", f, first.token)
		time.Sleep(time.Nanosecond)
		yields(t, "when it has expired", f, second.token)
		time.Sleep(time.Hour)
		if tok, err := f.Token(t.Context()); tok != nil || !errors.Is(err, vmsso.ErrTokenExpired) || !strings.Contains(err.Error(), "put a fresh one into "+cfg.Token) {
			t.Errorf("nothing new is there: got %v, %v, want ErrTokenExpired", tok, err)
		}
	})
}

func TestTokenBeforeServesWhileTheNewFilesAreBroken(t *testing.T) {
	issuer := vmssotest.NewAuthority()
	old, next := newGeneration(t, issuer, "_old", time.Hour), newGeneration(t, issuer, "_next", time.Hour)
	expired := newGeneration(t, issuer, "_expired", -time.Minute)
	for _, tt := range []struct {
		name, file, content string // "-": the file is removed
		say                 string
	}{
		{"half a token", "token.xml", next.token[:len(next.token)/2], "not a usable SAML 2.0 token"},
		{"an empty token", "token.xml", "", "it is empty"},
		{"no token", "token.xml", "-", "no such file"},
		{"the token of another key", "token.xml", next.token, "not the key that the token was issued for"},
		{"a new key without its certificate", "client.key", next.key, "private key does not match public key"},
		{"a new certificate without its key", "client.pem", next.certificate, "private key does not match public key"},
		{"half a key", "client.key", next.key[:60], "failed to find any PEM data"},
		{"no key", "client.key", "-", "no such file"},
		{"an expired token", "", "", "the token has expired"},
	} {
		dir := t.TempDir()
		old.write(t, dir)
		cfg := inDir(dir)
		var log func() string
		cfg.Logger, log = newLog()
		f := newFile(t, cfg)
		before := yields(t, tt.name+": at first", f, old.token)
		path := filepath.Join(dir, tt.file)
		var err error
		switch {
		case tt.file == "":
			expired.write(t, dir)
		case tt.content == "-":
			err = os.Remove(path)
		default:
			put(t, path, tt.content)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if tok := yields(t, tt.name+": broken", f, old.token); tok != before {
				t.Errorf("%s: another token than before", tt.name)
			}
			said := log()
			if want := 1 - min(i, 1); strings.Count(said, "level=WARN") != want || want == 1 && !strings.Contains(strings.ReplaceAll(said, "The system cannot find the file specified", "no such file"), tt.say) {
				t.Errorf("%s: the log says %q the %dth time, want %d warnings of %q", tt.name, said, i+1, want, tt.say)
			}
		}
		next.write(t, dir)
		yields(t, tt.name+": whole again", f, next.token)
		if said := log(); said != "" {
			t.Errorf("%s: the log says %q of good files", tt.name, said)
		}
	}
}

func TestBrokenFilesBehindAnExpiredTokenAreBothTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		g := newGeneration(t, vmssotest.NewAuthority(), "_a", time.Hour)
		g.write(t, dir)
		cfg := inDir(dir)
		f := newFile(t, cfg)
		if err := os.Remove(cfg.Key); err != nil {
			t.Fatal(err)
		}
		yields(t, "while it lives", f, g.token)
		end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		time.Sleep(time.Hour)
		tok, err := f.Token(t.Context())
		if tok != nil || !errors.Is(err, vmsso.ErrTokenExpired) || !errors.Is(err, fs.ErrNotExist) ||
			!strings.Contains(err.Error(), "expired at "+end+", and what is in its place cannot be used: ") || !strings.Contains(err.Error(), cfg.Key) {
			t.Errorf("got %v, %v, want both errors", tok, err)
		}
		g.write(t, dir)
		if tok, err := f.Token(t.Context()); tok != nil || !errors.Is(err, vmsso.ErrTokenExpired) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "in its place") {
			t.Errorf("the expired one again: got %v, %v, want ErrTokenExpired alone", tok, err)
		}
	})
}

// Files that are mounted or copied one by one: whoever reads meanwhile gets what
// was before or what comes after.
func TestFilesReplacedOneByOneAreNotMixed(t *testing.T) {
	dir := t.TempDir()
	issuer := vmssotest.NewAuthority()
	var all [8]generation
	public := map[string]crypto.PublicKey{}
	for i := range all {
		all[i] = newGeneration(t, issuer, fmt.Sprint("_g", i), time.Hour)
		public[all[i].token] = all[i].public
	}
	all[0].write(t, dir)
	f := newFile(t, inDir(dir))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
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
					t.Error("the token and the key are of two generations")
					return
				}
			}
		})
	}
	for i := range 200 {
		all[i%len(all)].write(t, dir)
	}
	close(stop)
	readers.Wait()
	yields(t, "at last", f, all[199%len(all)].token)
}

// Whoever waits for another's reading may leave.
func TestWaitingForTheFilesEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := files(t, map[string]string{"token.xml": vector(t, "bearer.xml")})("token.xml")
		h := &stuck{Handler: slog.DiscardHandler, release: make(chan struct{})}
		f := newFile(t, tokensource.FileConfig{Token: path, Poll: -1, Logger: slog.New(h)})
		put(t, path, "broken")
		done := make(chan struct{})
		go func() {
			defer close(done)
			yields(t, "after the wait", f, vector(t, "bearer.xml"))
		}()
		synctest.Wait()
		why := errors.New("the caller has left")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		if tok, err := f.Token(ctx); tok != nil || err != why {
			t.Errorf("got %v, %v, want %v", tok, err, why)
		}
		close(h.release)
		<-done
	})
}

// stuck is a log that does not get on.
type stuck struct {
	slog.Handler
	release chan struct{}
}

func (s *stuck) Enabled(context.Context, slog.Level) bool { return true }

func (s *stuck) Handle(context.Context, slog.Record) error {
	<-s.release
	return nil
}
