package tokensource_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// fits checks that the leaf is first and that the key is its own.
func fits(t *testing.T, name string, c *tls.Certificate, subject string, chain int) {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	public := c.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool })
	if !public.Equal(leaf.PublicKey) || leaf.Subject.CommonName != subject || len(c.Certificate) != chain || c.Leaf == nil || !c.Leaf.Equal(leaf) {
		t.Errorf("%s: the first of %d certificates is %q, want that of the key, %q, of %d", name, len(c.Certificate), leaf.Subject, subject, chain)
	}
}

// The files are openssl's: modern.p12 has AES-256, PBKDF2 and SHA-256, legacy.p12
// RC2 with 40 bits, 3DES and SHA-1, chain.p12 the issuer too, open.p12 no password.
func TestPKCS12OfEachKindIsRead(t *testing.T) {
	for _, tt := range []struct {
		file, password, subject string
		chain                   int
	}{
		{"modern.p12", "pässwörd €", "test-solution", 1},
		{"legacy.p12", "s3cr3t", "test-solution", 1},
		{"chain.p12", "s3cr3t", "throw-away leaf", 2},
		{"open.p12", "", "throw-away leaf", 1},
	} {
		c, err := tokensource.LoadPKCS12(filepath.Join("testdata", tt.file), tt.password)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		fits(t, tt.file, c, tt.subject, tt.chain)
	}
}

func TestCertificateOfTheKeyComesFirstWhateverTheOrder(t *testing.T) {
	leaf, issuer := vmssotest.NewKeyPair("leaf", nil), vmssotest.NewKeyPair("issuer", nil)
	for name, e := range map[string]*pkcs12.Encoder{"LegacyRC2": pkcs12.LegacyRC2, "LegacyDES": pkcs12.LegacyDES, "Modern2023": pkcs12.Modern2023, "Passwordless": pkcs12.Passwordless} {
		password := "s3cr3t"
		if name == "Passwordless" {
			password = ""
		}
		data, err := e.WithRand(rand.Reader).Encode(leaf.PrivateKey, issuer.Leaf, []*x509.Certificate{leaf.Leaf}, password)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tokensource.PKCS12(data, password)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		fits(t, name, c, "leaf", 2)
		if !bytes.Equal(c.Certificate[1], issuer.Certificate[0]) {
			t.Errorf("%s: the issuer's certificate is not behind the leaf", name)
		}
	}
}

func TestPKCS12ThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	legacy, modern := []byte(vector(t, "legacy.p12")), []byte(vector(t, "modern.p12"))
	leaf, other := vmssotest.NewKeyPair("leaf", nil), vmssotest.NewKeyPair("other", nil)
	foreign, err := pkcs12.Modern.Encode(leaf.PrivateKey, other.Leaf, nil, "s3cr3t")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{leaf.Leaf}, "s3cr3t")
	if err != nil {
		t.Fatal(err)
	}
	const iterations, more, none = "\x02\x03\x01\x86\xa0", "\x02\x03\x7f\xff\xff", "\x02\x03\x80\x00\x00" // as DER: 100,000 and 8 million, and less than none
	slow := func(e *pkcs12.Encoder, number int, to string) []byte {
		t.Helper()
		data, err := e.WithIterations(100_000).Encode(leaf.PrivateKey, leaf.Leaf, nil, "s3cr3t")
		if err != nil || bytes.Count(data, []byte(iterations)) != 3 {
			t.Fatalf("%v, %d numbers of iterations, want 3", err, bytes.Count(data, []byte(iterations)))
		}
		parts := strings.SplitN(string(data), iterations, number+2)
		return []byte(strings.Join(parts[:number+1], iterations) + to + parts[number+1])
	}
	tests := []struct {
		name, password string
		data           []byte
		say            string
	}{
		{"nothing", "", nil, "not in that format"},
		{"text", "", []byte("s3cr3t"), "not in that format"},
		{"PEM", "", []byte(vector(t, "client-cert.pem")), "it is PEM"},
		{"too long", "", make([]byte, 1<<20+1), "longer than 1048576 bytes"},
		{"cut", "s3cr3t", legacy[:len(legacy)/2], "openssl pkcs12 -export"},
		{"more behind it", "s3cr3t", append(bytes.Clone(legacy), 0), "openssl pkcs12 -export"},
		{"BER", "s3cr3t", append(append([]byte{0x30, 0x80}, legacy[4:]...), 0, 0), "BER with indefinite lengths"},
		{"another password", "S3cr3t", legacy, "the password is not the file's"},
		{"another password, AES", "s3cr3t", modern, "the password is not the file's"},
		{"no password", "", legacy, "the password is not the file's"},
		{"a password too much", "s3cr3t", []byte(vector(t, "open.p12")), "it has no MAC, and so no password: give none"},
		{"a password that is no text", "s3cr3t\xff\U0001F511", legacy, ""},
		{"the certificate of another key", "s3cr3t", foreign, "none of its certificates is that of its private key"},
		{"no key", "s3cr3t", trust, "export the certificate together with its key"},
		{"a certificate alone", "s3cr3t", leaf.Certificate[0], "openssl pkcs12 -export"},
		{"work for hours, for the certificate", "s3cr3t", slow(pkcs12.Modern, 0, more), "more than 2000000 iterations"},
		{"work for hours, for the key", "s3cr3t", slow(pkcs12.Modern, 1, more), "more than 2000000 iterations"},
		{"work for hours, for the MAC", "s3cr3t", slow(pkcs12.Modern, 2, more), "more than 2000000 iterations"},
		{"work for hours, for the certificate, older", "s3cr3t", slow(pkcs12.LegacyDES, 0, more), "more than 2000000 iterations"},
		{"work for hours, for the key, older", "s3cr3t", slow(pkcs12.LegacyDES, 1, more), "more than 2000000 iterations"},
		{"fewer iterations than none", "s3cr3t", slow(pkcs12.LegacyDES, 2, none), "2000000 iterations, or for none"},
	}
	for _, tt := range tests {
		c, err := tokensource.PKCS12(tt.data, tt.password)
		if c != nil || !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), "tokensource: ") {
			t.Errorf("%s: got %v, want an error that says %q", tt.name, err, tt.say)
		}
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "s3cr3t") {
			t.Errorf("%s: the error has the password or the content: %v", tt.name, err)
		}
	}
	if _, err := tokensource.LoadPKCS12("testdata/legacy.p12", "S3cr3t"); err == nil || !strings.Contains(err.Error(), "(file testdata/legacy.p12)") {
		t.Errorf("LoadPKCS12: %v, want the name of the file", err)
	}
	if _, err := tokensource.LoadPKCS12("testdata", ""); err == nil || !strings.Contains(err.Error(), "testdata is not a regular file") {
		t.Errorf("LoadPKCS12: %v, want the name of the directory", err)
	}
}

// A solution user's certificate, as Windows keeps it, gets a token.
func TestSTSIssuesForAPKCS12Certificate(t *testing.T) {
	c, err := tokensource.LoadPKCS12("testdata/modern.p12", "pässwörd €")
	if err != nil {
		t.Fatal(err)
	}
	l := newSTSLab(t, vmssotest.NewAuthority(), *c)
	tok, err := l.source(t, tokensource.STSConfig{Certificate: c}).Token(t.Context())
	if err != nil || tok.Key == nil {
		t.Errorf("got %v, %v, want a holder-of-key token", tok, err)
	}
}

func TestPKCS12InteropOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	path := files(t, map[string]string{"cert.pem": vector(t, "client-cert.pem"), "key.pem": vector(t, "client-key-pkcs8.pem"), "ec.pem": ecKey(t)})
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("req", "-x509", "-new", "-key", path("ec.pem"), "-subj", "/CN=ec", "-days", "30", "-out", path("ec-cert.pem"))
	export := func(cert, key, options string) (*tls.Certificate, error) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out.p12")
		run(append([]string{"pkcs12", "-export", "-in", path(cert), "-inkey", path(key), "-passout", "pass:s3cr3t", "-out", out}, strings.Fields(options)...)...)
		return tokensource.LoadPKCS12(out, "s3cr3t")
	}
	for _, tt := range []struct{ name, cert, key, subject, options string }{
		{"modern", "cert.pem", "key.pem", "test-solution", ""},
		{"many iterations", "cert.pem", "key.pem", "test-solution", "-iter 100000"},
		{"legacy", "cert.pem", "key.pem", "test-solution", "-legacy"},
		{"3DES for both", "cert.pem", "key.pem", "test-solution", "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1"},
		{"AES-128 with SHA-512", "cert.pem", "key.pem", "test-solution", "-certpbe AES-128-CBC -keypbe AES-128-CBC -macalg sha512"},
		{"an elliptic curve", "ec-cert.pem", "ec.pem", "ec", ""},
		{"the key in the open", "cert.pem", "key.pem", "test-solution", "-keypbe NONE -certpbe NONE"},
	} {
		c, err := export(tt.cert, tt.key, tt.options)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		fits(t, tt.name, c, tt.subject, 1)
	}
	for options, say := range map[string]string{
		"-nocerts": "it has no certificate", "-nokeys": "it has no private key", "-nomac": "it has no MAC",
		"-certpbe camellia-256-cbc": "it cannot be read",
	} {
		if c, err := export("cert.pem", "key.pem", options); c != nil || !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, want an error that says %q", options, err, say)
		}
	}
}

func FuzzPKCS12(f *testing.F) {
	for _, name := range []string{"modern.p12", "legacy.p12", "chain.p12", "open.p12"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "s3cr3t")
		f.Add(b, "")
		f.Add(b[:len(b)/2], "")
	}
	block, _ := pem.Decode([]byte(vector(f, "client-cert.pem")))
	f.Add(block.Bytes, "")
	f.Add([]byte{0x30, 0x80, 0, 0}, "")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		c, err := tokensource.PKCS12(data, password)
		if err != nil {
			if c != nil || !errors.Is(err, vmsso.ErrUnsupportedKey) {
				t.Errorf("got %v, %v", c, err)
			}
			return
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := c.PrivateKey.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(leaf.PublicKey) {
			t.Error("the key is not that of the first certificate")
		}
	})
}
