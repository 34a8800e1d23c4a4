package tokensource_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// files writes a directory of files and returns their paths.
func files(t testing.TB, content map[string]string) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(dir, name)
	}
}

func TestFileYieldsTheTokenInIt(t *testing.T) {
	bearer, hok := vector(t, "bearer.xml"), vector(t, "hok.xml")
	cert, key := vector(t, "client-cert.pem"), vector(t, "client-key-pkcs8.pem")
	windows := strings.ReplaceAll(bearer, "><", ">\r\n<")
	tests := []struct {
		name            string
		token           string
		certificate     string // content of the certificate's and key's files
		key             string
		want            string
		wantHolderOfKey bool
	}{
		{"bearer", bearer, "", "", bearer, false},
		{"holder-of-key", hok, cert, key, hok, true},
		{"certificate and key in one file", hok, cert + key, "", hok, true},
		{"key and certificate in one file", hok, key + cert, "", hok, true},
		{"a chain behind the certificate", hok, cert + "\nissued by:\n" + cert, key, hok, true},
		{"line ends of Windows in PEM", hok, strings.ReplaceAll(cert, "\n", "\r\n"), strings.ReplaceAll(key, "\n", "\r\n"), hok, true},
		{"the key in the older form of PEM", hok, cert, pkcs1(t), hok, true},
		{"a line feed at the end", bearer + "\n", "", "", bearer, false},
		{"white space around", " \r\n" + bearer + "\r\n\t ", "", "", bearer, false},
		{"a byte order mark", "\ufeff" + bearer, "", "", bearer, false},
		{"an XML declaration", `<?xml version="1.0" encoding="UTF-8"?>` + bearer, "", "", bearer, false},
		{"all of them", "\ufeff<?xml version='1.0'?>\r\n" + bearer + "\r\n", "", "", bearer, false},
		{"line ends of Windows inside stay", windows + "\r\n", "", "", windows, false},
	}
	for _, tt := range tests {
		content := map[string]string{"token.xml": tt.token}
		var certFile, keyFile string
		if tt.certificate != "" {
			content["cert.pem"], certFile = tt.certificate, "cert.pem"
		}
		if tt.key != "" {
			content["key.pem"], keyFile = tt.key, "key.pem"
		}
		path := files(t, content)
		f, err := tokensource.NewFile(tokensource.FileConfig{Token: path("token.xml"), Certificate: path(certFile), Key: path(keyFile)})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tok, err := f.Token(context.Background())
		if err != nil || tok.Assertion != tt.want || (tok.Key != nil) != tt.wantHolderOfKey || !tok.Expires.Equal(vectorExpiry) {
			t.Errorf("%s: got %v, %v, want the assertion verbatim, holder-of-key %t, expiry %v", tt.name, tok, err, tt.wantHolderOfKey, vectorExpiry)
		}
	}
}

func pkcs1(t testing.TB) string {
	t.Helper()
	block, _ := pem.Decode([]byte(vector(t, "client-key-pkcs8.pem")))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))}))
}

func ecKey(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Each content has s3cr3t in it, or is a real key: no error may quote any of it.
func TestFilesThatCannotBeUsedAreRefusedByName(t *testing.T) {
	bearer, hok := vector(t, "bearer.xml"), vector(t, "hok.xml")
	cert, key := vector(t, "client-cert.pem"), vector(t, "client-key-pkcs8.pem")
	block := func(kind, body string) string {
		return "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----\n"
	}
	expired := strings.ReplaceAll(bearer, "2049-12-31T00:00:00.000Z", "2021-12-31T00:00:00.000Z")
	tests := []struct {
		name                    string
		token, certificate, key string // contents; "-": not there; "/": a directory; "": not configured
		is                      error
		say, file               string // file: which one is to blame
	}{
		{"no token file", "-", "", "", fs.ErrNotExist, "", "token"},
		{"no certificate file", hok, "-", key, fs.ErrNotExist, "", "certificate"},
		{"no key file", hok, cert, "-", fs.ErrNotExist, "", "key"},
		{"a directory", "/", "", "", nil, "is not a regular file", "token"},
		{"a directory of certificates", hok, "/", key, nil, "is not a regular file", "certificate"},
		{"too big", "<a>" + strings.Repeat("s3cr3t", 200_000), "", "", nil, "longer than 1048576 bytes", "token"},
		{"a key too big", hok, cert, key + strings.Repeat("s3cr3t", 200_000), nil, "longer than 1048576 bytes", "key"},
		{"an empty token", " ", "", "", vmsso.ErrUnsupportedToken, "it is empty", "token"},
		{"no XML", "s3cr3t", "", "", vmsso.ErrUnsupportedToken, "begin with '<'", "token"},
		{"a cut token", bearer[:200] + "s3cr3t>", "", "", vmsso.ErrUnsupportedToken, "not well-formed XML at byte", "token"},
		{"two tokens", bearer + bearer, "", "", vmsso.ErrUnsupportedToken, "second element", "token"},
		{"UTF-16", "\xff\xfe<\x00s3cr3t>\x00", "", "", vmsso.ErrUnsupportedToken, "begin with '<'", "token"},
		{"an XML declaration alone", "<?xml version='1.0'?>", "", "", vmsso.ErrUnsupportedToken, "it is empty", "token"},
		{"an XML declaration without end", "<?xml s3cr3t>", "", "", vmsso.ErrUnsupportedToken, "", "token"},
		{"expired", expired, "", "", vmsso.ErrTokenExpired, "at 2021-12-31T00:00:00Z: put a fresh one into", "token"},
		{"holder-of-key without a pair", hok, "", "", vmsso.ErrUnsupportedKey, "give its private key", "token"},
		{"bearer with a pair", bearer, cert, key, vmsso.ErrUnsupportedKey, "bearer token", "token"},
		{"the key of another certificate", hok, cert, ecKey(t), vmsso.ErrUnsupportedKey, "private key", "key"},
		{"no key in the certificate's file", hok, cert, "", vmsso.ErrUnsupportedKey, "", "certificate"},
		{"the files are swapped", hok, key, cert, vmsso.ErrUnsupportedKey, "", "certificate"},
		{"the certificate twice", hok, cert, cert, vmsso.ErrUnsupportedKey, "", "key"},
		{"no PEM", hok, "s3cr3t", key, vmsso.ErrUnsupportedKey, "PEM", "certificate"},
		{"no PEM in the key's file", hok, cert, "s3cr3t", vmsso.ErrUnsupportedKey, "PEM", "key"},
		{"garbage in PEM", hok, cert, block("PRIVATE KEY", "czNjcjN0"), vmsso.ErrUnsupportedKey, "", "key"},
		{"garbage in the certificate's PEM", hok, block("CERTIFICATE", "czNjcjN0"), key, vmsso.ErrUnsupportedKey, "", "certificate"},
		{"an encrypted key", hok, cert, block("ENCRYPTED PRIVATE KEY", "czNjcjN0"), vmsso.ErrUnsupportedKey, "is encrypted: decrypt it, for instance with openssl pkey", "key"},
		{"an encrypted key of the older form", hok, cert, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nczNjcjN0\n-----END RSA PRIVATE KEY-----\n", vmsso.ErrUnsupportedKey, "is encrypted", "key"},
		{"an encrypted key beside the certificate", hok, cert + block("ENCRYPTED PRIVATE KEY", "czNjcjN0"), "", vmsso.ErrUnsupportedKey, "is encrypted", "certificate"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		put := func(name, content string) string {
			path := filepath.Join(dir, name)
			var err error
			switch content {
			case "":
				return ""
			case "-":
			case "/":
				err = os.Mkdir(path, 0o700)
			default:
				err = os.WriteFile(path, []byte(content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		cfg := tokensource.FileConfig{Token: put("token", tt.token), Certificate: put("certificate", tt.certificate), Key: put("key", tt.key)}
		f, err := tokensource.NewFile(cfg)
		if f != nil || err == nil {
			t.Errorf("%s: got %v, %v, want an error alone", tt.name, f, err)
			continue
		}
		if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), "tokensource: ") {
			t.Errorf("%s: got %q, want %v that says %q", tt.name, err, tt.is, tt.say)
		}
		if !strings.Contains(err.Error(), filepath.Join(dir, tt.file)) {
			t.Errorf("%s: %q does not name the file %q", tt.name, err, tt.file)
		}
		for _, content := range []string{tt.token, tt.certificate, tt.key, "s3cr3t", "czNjcjN0"} {
			for _, line := range strings.Split(content, "\n") {
				if len(line) > 5 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
					t.Errorf("%s: the error quotes %q: %q", tt.name, line, err)
				}
			}
		}
	}
}

func TestFileConfigNeedsAToken(t *testing.T) {
	for _, tt := range []struct {
		cfg tokensource.FileConfig
		say string
	}{
		{tokensource.FileConfig{}, "FileConfig.Token is missing"},
		{tokensource.FileConfig{Token: "testdata/hok.xml", Key: "testdata/client-key-pkcs8.pem"}, "FileConfig.Key is set without Certificate"},
	} {
		if f, err := tokensource.NewFile(tt.cfg); f != nil || err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%+v: got %v, %v, want an error that says %q", tt.cfg, f, err, tt.say)
		}
	}
}

// Another program renews the token; the next login takes it.
func TestReplacedFileIsPickedUpByTheNextToken(t *testing.T) {
	first := vector(t, "bearer.xml")
	second := strings.ReplaceAll(first, "_66666666-7777-8888-9999-000000000000", "_the-second")
	if first == second {
		t.Fatal("the test did not change the token")
	}
	path := files(t, map[string]string{"token.xml": first, "next": second})
	f, err := tokensource.NewFile(tokensource.FileConfig{Token: path("token.xml")})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when, want string) {
		t.Helper()
		if tok, err := f.Token(context.Background()); err != nil || tok.Assertion != want {
			t.Errorf("%s: got %v, %v, want another token", when, tok, err)
		}
	}
	check("at first", first)
	if err := os.Rename(path("next"), path("token.xml")); err != nil {
		t.Fatal(err)
	}
	check("renamed over", second)
	if err := os.WriteFile(path("token.xml"), []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	check("written over", first)
	if err := os.WriteFile(path("token.xml"), []byte(first[:1000]), 0o600); err != nil {
		t.Fatal(err)
	}
	if tok, err := f.Token(context.Background()); tok != nil || !errors.Is(err, vmsso.ErrUnsupportedToken) {
		t.Errorf("half written: got %v, %v, want ErrUnsupportedToken", tok, err)
	}
	if err := os.Remove(path("token.xml")); err != nil {
		t.Fatal(err)
	}
	if tok, err := f.Token(context.Background()); tok != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: got %v, %v, want fs.ErrNotExist", tok, err)
	}
	if err := os.WriteFile(path("token.xml"), []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	check("there again", second)
}

// A certificate is renewed together with its key; between the two writes they do
// not fit.
func TestHalfReplacedPairIsRefusedUntilItFits(t *testing.T) {
	path := files(t, map[string]string{"token.xml": vector(t, "hok.xml"), "cert.pem": vector(t, "client-cert.pem"), "key.pem": vector(t, "client-key-pkcs8.pem")})
	f, err := tokensource.NewFile(tokensource.FileConfig{Token: path("token.xml"), Certificate: path("cert.pem"), Key: path("key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key string
		ok  bool
	}{{ecKey(t), false}, {vector(t, "client-key-pkcs8.pem"), true}} {
		if err := os.WriteFile(path("key.pem"), []byte(tt.key), 0o600); err != nil {
			t.Fatal(err)
		}
		tok, err := f.Token(context.Background())
		if (err == nil) != tt.ok || (tok != nil) != tt.ok || !tt.ok && !errors.Is(err, vmsso.ErrUnsupportedKey) {
			t.Errorf("the key fits: %t: got %v, %v", tt.ok, tok, err)
		}
	}
}

// A path by mistake, such as that of a disk image, must not fill the memory.
func TestHugeFileIsNotRead(t *testing.T) {
	path := files(t, map[string]string{"token.xml": "<"})("token.xml")
	if err := os.Truncate(path, 256<<20); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := tokensource.NewFile(tokensource.FileConfig{Token: path})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("got %v, want an error that names the limit", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes were allocated for a file of 256 MiB, want a few MiB", n)
	}
}

func TestFileOfJustTheLimitIsRead(t *testing.T) {
	bearer := vector(t, "bearer.xml")
	end := bytes.Repeat([]byte("\n"), 1<<20-len(bearer))
	path := files(t, map[string]string{"token.xml": bearer + string(end)})
	if _, err := tokensource.NewFile(tokensource.FileConfig{Token: path("token.xml")}); err != nil {
		t.Errorf("a file of 1 MiB: %v", err)
	}
}
