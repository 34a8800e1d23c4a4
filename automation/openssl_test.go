package automation_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/vmssotest"
)

// opensslVerifies tells whether openssl confirms the signature by the
// certificate in the assertion.
func opensslVerifies(t *testing.T, assertion, signature string, signed []byte) bool {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not on PATH: install it to have our signatures judged by another implementation")
	}
	m := regexp.MustCompile(`(?s)<\w+:SubjectConfirmationData.*?<ds:X509Certificate>([^<]+)</ds:X509Certificate>`).FindStringSubmatch(assertion)
	if m == nil {
		t.Fatal("the assertion names no holder's certificate")
	}
	der, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		t.Fatal(err)
	}
	value, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "signature": value, "signed": signed} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	out, err := run("x509", "-in", "cert.pem", "-pubkey", "-noout", "-out", "public.pem")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = run("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed")
	return err == nil
}

// captured logs in and returns the request and its body as they were sent.
func captured(t *testing.T, protocol automation.Protocol) (*http.Request, []byte) {
	t.Helper()
	pair := rsaPair()
	tok := &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: user, Holder: pair.Leaf}), Key: pair.PrivateKey.(crypto.Signer)}
	l := newLab(t, false)
	var sent *http.Request
	var body []byte
	a := &automation.Authenticator{Protocol: protocol}
	if _, err := a.Login(t.Context(), roundTripper(func(req *http.Request) (*http.Response, error) {
		sent = req
		body, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		return l.base.RoundTrip(req)
	}), endpoint, tok); err != nil {
		t.Fatal(err)
	}
	return sent, body
}

// TestInteropOpensslVerifiesTheHeader rebuilds what is signed from the request
// as it was sent.
func TestInteropOpensslVerifiesTheHeader(t *testing.T) {
	req, body := captured(t, automation.REST)
	attributes := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(req.Header.Get("Authorization"), -1) {
		attributes[m[1]] = m[2]
	}
	packed, err := base64.StdEncoding.DecodeString(attributes["token"])
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(body)
	signed := attributes["nonce"] + "\nPOST\n/api/session\nvc.example.test\n80\n" + string(hash[:]) + "\n"
	if !opensslVerifies(t, string(assertion), attributes["signature"], []byte(signed)) {
		t.Errorf("openssl refuses the signature in %s", req.Header.Get("Authorization"))
	}
	if opensslVerifies(t, string(assertion), attributes["signature"], []byte(strings.Replace(signed, "POST", "PUT", 1))) {
		t.Error("openssl takes the signature for that of another method")
	}
}

// TestInteropOpensslVerifiesTheRequest: all of the request is ASCII without
// doubles, of which encoding/json writes the canonical form too.
func TestInteropOpensslVerifiesTheRequest(t *testing.T) {
	_, body := captured(t, automation.JSONRPC)
	var request map[string]any
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatal(err)
	}
	security := request["params"].(map[string]any)["ctx"].(map[string]any)["securityCtx"].(map[string]any)
	signature := security["signature"].(map[string]any)
	delete(security, "signature")
	canonical := func() []byte {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(request); err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	if !opensslVerifies(t, signature["samlToken"].(string), signature["value"].(string), canonical()) {
		t.Errorf("openssl refuses the signature of %s", body)
	}
	request["id"] = "2"
	if opensslVerifies(t, signature["samlToken"].(string), signature["value"].(string), canonical()) {
		t.Error("openssl takes the signature for that of another request")
	}
}
