package tokensource

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
)

// What is read while another program writes: each letter is what one reading finds.
func TestHalfWrittenFilesAreReadUntilTheySettle(t *testing.T) {
	bearer, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(strings.Replace(string(bearer), "_66666666", "_77777777", 1))
	finds := map[rune]content{'a': {data: bearer}, 'b': {data: other}, 'x': {data: bearer[:100]}, 'y': {data: bearer[:200]}, '-': {err: errors.New("it is gone")}}
	for _, tt := range []struct {
		readings string
		want     []byte // nil: an error
		say      string
		pauses   int
	}{
		{"aa", bearer, "", 0},
		{"abbb", other, "", 1}, // it was replaced between two readings
		{"xxaa", bearer, "", 1},
		{"--aa", bearer, "", 1},
		{"xyaa", bearer, "", 1},
		{"xxyyaa", bearer, "", 2},
		{"xxyyxxyyaa", bearer, "", 4},
		{"xxx", nil, vmsso.ErrUnsupportedToken.Error(), 1}, // it stays like that
		{"---", nil, "it is gone", 1},
		{"ababababab", nil, "change all the time", 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &File{cfg: &FileConfig{Token: "token.xml"}, kept: func() *vmsso.Token { return nil }}
			left := []rune(tt.readings)
			start := time.Now()
			tok, sum, err := f.settled(context.Background(), start, func(filePaths) (files contents) {
				if len(left) == 0 {
					t.Errorf("%s: one reading more", tt.readings)
					return files
				}
				files[tokenFile] = finds[left[0]]
				left = left[1:]
				return files
			})
			if len(left) > 0 || time.Since(start) != time.Duration(tt.pauses)*settlePause {
				t.Errorf("%s: %d readings less, after %v", tt.readings, len(left), time.Since(start))
			}
			if tt.want == nil {
				if tok != nil || err == nil || !strings.Contains(err.Error(), tt.say) {
					t.Errorf("%s: got %v, %v, want an error that says %q", tt.readings, tok, err, tt.say)
				}
				return
			}
			if err != nil || tok.Assertion != string(tt.want) || sum != (contents{{data: tt.want}}).hash() {
				t.Errorf("%s: got %v, %v, want the last token, and its hash", tt.readings, tok, err)
			}
		})
	}
}

// The link to the version is followed once: what is read then is of that version,
// though there is another one meanwhile.
func TestFilesOfAVolumeAreOfOneVersion(t *testing.T) {
	volume := t.TempDir()
	at := func(elem ...string) string { return filepath.Join(append([]string{volume}, elem...)...) }
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"..1", "..2"} {
		try(os.MkdirAll(at(version, "keys"), 0o700))
		for _, file := range []string{"token.xml", "keys/client.pem", "keys/client.key"} {
			try(os.WriteFile(at(version, file), []byte(version), 0o600))
		}
	}
	point := func(version string) {
		t.Helper()
		_ = os.Remove(at("..data"))
		try(os.Symlink(version, at("..data")))
	}
	point("..1")
	try(os.Symlink(filepath.FromSlash("..data/token.xml"), at("token.xml")))
	try(os.Symlink(filepath.FromSlash("..data/keys"), at("keys")))
	try(os.WriteFile(at("beside.pem"), []byte("none"), 0o600))

	cfg := FileConfig{Token: at("token.xml"), Certificate: at("keys", "client.pem"), Key: volume + "//keys/../keys/client.key", PKCS12: at("beside.pem"), PasswordFile: at("keys", "nowhere")}
	paths := cfg.paths()
	point("..2")
	for want, files := range map[string]contents{"..1": paths.read(), "..2": cfg.paths().read()} {
		for _, i := range []int{tokenFile, certificateFile, keyFile} {
			if got := string(files[i].data); got != want || files[i].err != nil {
				t.Errorf("file %d is of version %q, %v, want %q", i, got, files[i].err, want)
			}
		}
		if got := string(files[pkcs12File].data); got != "none" {
			t.Errorf("the file beside the volume's is %q, %v", got, files[pkcs12File].err)
		}
		if err := files[passwordFile].err; err == nil || !strings.Contains(err.Error(), cfg.PasswordFile) {
			t.Errorf("the file that is not there: %v, want its name as it is configured", err)
		}
	}
	try(os.Remove(at("..data")))
	for i, c := range cfg.paths().read() {
		if i != pkcs12File && c.err == nil {
			t.Errorf("file %d is read without the link ..data", i)
		}
	}
}
