package soap_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vmsso/vmsso/tokensource"
)

// TestXmlsecAcceptsWhatTheServersReceived takes the messages of whole logins,
// as they arrived at the servers, to another implementation.
func TestXmlsecAcceptsWhatTheServersReceived(t *testing.T) {
	if _, err := exec.LookPath("xmlsec1"); err != nil {
		t.Skip("xmlsec1 is not installed")
	}
	for name, pair := range map[string]tls.Certificate{"RSA-2048": rsaPair(), "P-256": ecPair()} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.client(t, l.stsSource(t, tokensource.STSConfig{Certificate: &pair}))
			mustCall(t, c, "CurrentTime", serviceInstance)
			for _, m := range []struct {
				name    string
				message []byte
				flip    []string
			}{
				{"LoginByToken", l.logins[0].Message, []string{"SessionManager</_this>", "</wsu:Created>", "</ds:SignatureValue><ds:KeyInfo><wsse:"}},
				{"Issue", l.issued[0].Message, []string{"</wst:KeyType>", "</wsu:Created>", "</ds:SignatureValue><ds:KeyInfo><wsse:"}},
			} {
				if out, ok := xmlsec(t, pair, m.message); !ok {
					t.Errorf("%s is refused: %s", m.name, out)
				}
				for _, before := range m.flip {
					bad := bytes.Clone(m.message)
					i := bytes.LastIndex(bad, []byte(before)) - 5
					if i < 0 {
						t.Fatalf("%s: no %q in the message", m.name, before)
					}
					if bad[i]++; bad[i] == ':' || bad[i] > 'z' {
						bad[i] = '0'
					}
					if out, ok := xmlsec(t, pair, bad); ok {
						t.Errorf("%s with another byte before %q is accepted: %s", m.name, before, out)
					}
				}
			}
			if out, ok := xmlsec(t, otherPair(), l.logins[0].Message); ok {
				t.Errorf("accepted with another key: %s", out)
			}
		})
	}
}

// xmlsec verifies the message's signature by the pair's certificate.
func xmlsec(t *testing.T, pair tls.Certificate, message []byte) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	cert, file := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "message.xml")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, message, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("xmlsec1", "--verify", "--enabled-reference-uris", "same-doc", "--enabled-key-data", "key-name",
		"--pubkey-cert-pem", cert, "--node-xpath", "/*[1]/*[1]/*[1]/*[3]",
		"--id-attr:Id", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd:Timestamp",
		"--id-attr:Id", "http://schemas.xmlsoap.org/soap/envelope/:Body", file).CombinedOutput()
	return string(out), err == nil
}
