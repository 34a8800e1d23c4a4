package vcloud_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestInteropOpensslVerifiesTheHeader takes the header apart as it was sent: the
// signature is that of the token's XML, by the certificate in the token.
func TestInteropOpensslVerifiesTheHeader(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not on PATH: install it to have our signatures judged by another implementation")
	}
	l := newLab(t, vmssotest.DirectorConfig{})
	var header string
	l.server.Inject("POST /cloudapi/1.0.0/sessions", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		header = r.Header.Get("Authorization")
		next.ServeHTTP(w, r)
	})
	c, _ := l.client(t, &vcloud.Authenticator{Org: "Finance"}, holder())
	if status, _, err := do(t.Context(), c, "GET", "/api/org", nil, nil); err != nil || status != 200 {
		t.Fatal(status, err)
	}
	m := regexp.MustCompile(`^SIGN token="([^"]+)",org="Finance",signature="([^"]+)",signature_alg="SHA256withRSA"$`).FindStringSubmatch(header)
	if m == nil {
		t.Fatalf("the header has another form: %s", header)
	}
	packed, _ := base64.StdEncoding.DecodeString(m[1])
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	cert := regexp.MustCompile(`(?s)SubjectConfirmationData.*?<ds:X509Certificate>([^<]+)</ds:X509Certificate>`).FindSubmatch(assertion)
	if cert == nil {
		t.Fatal("the assertion names no holder's certificate")
	}
	der, _ := base64.StdEncoding.DecodeString(string(cert[1]))
	signature, _ := base64.StdEncoding.DecodeString(m[2])
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "signature": signature,
		"token.xml": assertion, "tampered.xml": bytes.Replace(assertion, []byte(user), []byte("rob@example.test"), 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl := func(args ...string) error {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := openssl("x509", "-in", "cert.pem", "-pubkey", "-noout", "-out", "public.pem"); err != nil {
		t.Fatal(err)
	}
	if err := openssl("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "token.xml"); err != nil {
		t.Errorf("openssl refuses the signature: %v", err)
	}
	if err := openssl("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "tampered.xml"); err == nil {
		t.Error("openssl takes the signature for that of another token")
	}
}
