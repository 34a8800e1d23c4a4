package tokensource_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
		{"UTF-16", "\xff\xfe<\x00s3cr3t>\x00", "", "", vmsso.ErrUnsupportedToken, "", "token"},
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

func TestFileConfigWithoutSenseIsRefused(t *testing.T) {
	const token, cert, key, p12 = "testdata/hok.xml", "testdata/client-cert.pem", "testdata/client-key-pkcs8.pem", "testdata/legacy.p12"
	for _, tt := range []struct {
		cfg tokensource.FileConfig
		say string
	}{
		{tokensource.FileConfig{}, "FileConfig.Token is missing"},
		{tokensource.FileConfig{Token: token, Key: key}, "FileConfig.Key is set without Certificate"},
		{tokensource.FileConfig{Token: token, Certificate: cert, Key: key, PKCS12: p12}, "both PKCS12 and Certificate"},
		{tokensource.FileConfig{Token: token, Key: key, PKCS12: p12}, "both PKCS12 and Certificate"},
		{tokensource.FileConfig{Token: token, Certificate: cert, Key: key, Password: "s3cr3t"}, "a password without PKCS12"},
		{tokensource.FileConfig{Token: token, PasswordFile: token}, "a password without PKCS12"},
		{tokensource.FileConfig{Token: token, PKCS12: p12, Password: "s3cr3t", PasswordFile: token}, "both Password and PasswordFile"},
	} {
		if f, err := tokensource.NewFile(tt.cfg); f != nil || err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%+v: got %v, %v, want an error that says %q", tt.cfg, f, err, tt.say)
		}
	}
}

// The key and its certificate in one file, as Windows exports them.
func TestFileReadsPKCS12(t *testing.T) {
	hok := vector(t, "hok.xml")
	legacy, modern := vector(t, "legacy.p12"), vector(t, "modern.p12")
	tests := []struct {
		name                  string
		p12, password, inFile string // inFile: the content of the password's file
		is                    error
		say                   string
	}{
		{"a password", legacy, "s3cr3t", "", nil, ""},
		{"a password in a file", legacy, "", "s3cr3t", nil, ""},
		{"with a line feed", legacy, "", "s3cr3t\n", nil, ""},
		{"with that of Windows", legacy, "", "s3cr3t\r\n", nil, ""},
		{"another script", modern, "", "pässwörd €\n", nil, ""},
		{"white space counts", legacy, "", " s3cr3t", vmsso.ErrUnsupportedKey, "the password is not the file's"},
		{"another password", legacy, "s3cr3t!", "", vmsso.ErrUnsupportedKey, "the password is not the file's"},
		{"no password", legacy, "", "", vmsso.ErrUnsupportedKey, "the password is not the file's"},
		{"the key of another token", vector(t, "chain.p12"), "s3cr3t", "", vmsso.ErrUnsupportedKey, "not the key that the token was issued for"},
	}
	for _, tt := range tests {
		path := files(t, map[string]string{"token.xml": hok, "client.p12": tt.p12, "password": tt.inFile})
		cfg := tokensource.FileConfig{Token: path("token.xml"), PKCS12: path("client.p12"), Password: tt.password}
		if tt.inFile != "" {
			cfg.PasswordFile = path("password")
		}
		f, err := tokensource.NewFile(cfg)
		if !errors.Is(err, tt.is) || err != nil && (!strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: got %v, want %v that says %q", tt.name, err, tt.is, tt.say)
		}
		if err != nil {
			continue
		}
		if tok, err := f.Token(t.Context()); err != nil || tok.Key == nil || tok.Assertion != hok {
			t.Errorf("%s: got %v, %v, want a holder-of-key token", tt.name, tok, err)
		}
	}
}

func TestPasswordOfFilesIsNotShown(t *testing.T) {
	cfg := tokensource.FileConfig{Token: "testdata/hok.xml", PKCS12: "testdata/legacy.p12", Password: "s3cr3t"}
	f, err := tokensource.NewFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := f.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	showsNothingOf(t, []string{"s3cr3t", tok.Assertion[:60]}, cfg, &cfg, f, struct{ inside any }{f}, struct{ F *tokensource.File }{f})
}

// showsNothingOf prints values in all ways, and looks for secrets.
func showsNothingOf(t *testing.T, secrets []string, values ...any) {
	t.Helper()
	for i, v := range values {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		printed, _ := json.Marshal(v)
		out := log.String() + string(printed)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			out += fmt.Sprintf(verb, v)
		}
		for _, secret := range secrets {
			if strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
				t.Errorf("value %d (%T) shows %q", i, v, secret)
			}
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
