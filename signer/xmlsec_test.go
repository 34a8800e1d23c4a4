package signer_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso/signer"
)

// tool finds a program that judges our messages without sharing code with us.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not on PATH: install it (Debian: xmlsec1, libxml2-utils) to have our messages judged by another implementation", name)
	}
	return path
}

// xmlsec tells whether xmlsec1 verifies the message's signature with the
// certificate, and what it printed.
func xmlsec(t *testing.T, message []byte, c *tls.Certificate) (verified bool, said string) {
	t.Helper()
	return runXmlsec(t, message, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
		"--node-xpath", `/*[1]/*[1]/*[1]/*[local-name()="Signature"]`, // of the header, not that in the assertion
		"--id-attr:Id", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd:Timestamp",
		"--id-attr:Id", "http://schemas.xmlsoap.org/soap/envelope/:Body")
}

func runXmlsec(t *testing.T, message, cert []byte, args ...string) (verified bool, said string) {
	t.Helper()
	program, dir := tool(t, "xmlsec1"), t.TempDir()
	for name, b := range map[string][]byte{"message.xml": message, "cert.pem": cert} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{"--verify", "--enabled-reference-uris", "same-doc", "--enabled-key-data", "key-name", "--pubkey-cert-pem", "cert.pem"}, args...)
	cmd := exec.Command(program, append(args, "message.xml")...)
	cmd.Dir = dir // xmlsec1 cuts the path of a certificate at a comma
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

func TestXmlsecVerifiesMessagesOfEveryKey(t *testing.T) {
	messages := []struct {
		name, content string
		credentials   func(*tls.Certificate) signer.Credentials
	}{
		{"login with a holder-of-key token", loginByToken, func(c *tls.Certificate) signer.Credentials {
			return signer.Credentials{Token: bound(t, c)}
		}},
		{"issue by certificate", issue, func(c *tls.Certificate) signer.Credentials {
			return signer.Credentials{Certificate: c}
		}},
		{"issue by certificate and password", issue, func(c *tls.Certificate) signer.Credentials {
			return signer.Credentials{Certificate: c, Username: "jo@vsphere.local", Password: `p<&>"]]>` + "\r\n\t𝄞"}
		}},
	}
	for _, kind := range []string{"RSA-2048", "RSA-3072", "P-256", "P-384", "P-521"} {
		c := validPair(t, testKeys[kind]())
		for _, m := range messages {
			t.Run(kind+" "+m.name, func(t *testing.T) {
				s := newSigner(t, m.credentials(c))
				for range 3 { // an ECDSA signature is another one each time
					msg := message(t, s, m.content)
					if ok, said := xmlsec(t, msg, c); !ok {
						t.Fatalf("refused by xmlsec1: %s\n%s", said, msg)
					}
				}
			})
		}
	}
}

func TestXmlsecVerifiesTheVectorTokensMessage(t *testing.T) {
	msg := message(t, newSigner(t, signer.Credentials{Token: vectorToken(t)}), loginByToken)
	if ok, said := xmlsec(t, msg, vectorPair(t)); !ok {
		t.Errorf("refused by xmlsec1: %s\n%s", said, msg)
	}
}

// The two stored messages are those of other implementations: they show that
// the command judges, and judges alike.
func TestXmlsecVerifiesTheMessagesOfOthers(t *testing.T) {
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml"} {
		if ok, said := xmlsec(t, []byte(read(t, name)), vectorPair(t)); !ok {
			t.Errorf("%s: refused by xmlsec1: %s", name, said)
		}
	}
}

func TestXmlsecRefusesWhatWasTamperedWith(t *testing.T) {
	replace := func(from, to string) func([]byte) []byte {
		return func(m []byte) []byte { return bytes.Replace(m, []byte(from), []byte(to), 1) }
	}
	// after changes one byte so many bytes behind the last occurrence of a mark.
	after := func(mark string, n int) func([]byte) []byte {
		return func(m []byte) []byte {
			m = bytes.Clone(m)
			at := bytes.LastIndex(m, []byte(mark)) + len(mark) + n
			if m[at]++; m[at] == '+'+1 || m[at] == 'Z'+1 || m[at] == 'z'+1 || m[at] == '9'+1 || m[at] == '/'+1 {
				m[at] = 'A'
			}
			return m
		}
	}
	tests := []struct {
		name   string
		tamper func([]byte) []byte
	}{
		{"text in the Body", replace(">SessionManager</_this>", ">SessionManagez</_this>")},
		{"an attribute in the Body", replace(`type="SessionManager"`, `type="SessionManages"`)},
		{"white space in the Body", replace("</_this><locale>", "</_this> <locale>")},
		{"Created", replace("<wsu:Created>2026-03-01T11:59:55.000Z", "<wsu:Created>2026-03-01T11:59:55.001Z")},
		{"Expires", replace("<wsu:Expires>2026-03-01T12:09:55.000Z", "<wsu:Expires>2026-03-02T12:09:55.000Z")},
		{"SignatureValue, first character", after("<ds:SignatureValue>", 0)},
		{"SignatureValue, in the middle", after("<ds:SignatureValue>", 40)},
		{"DigestValue", after("<ds:DigestValue>", 7)},
	}
	for _, kind := range []string{"RSA-2048", "P-256"} {
		c := validPair(t, testKeys[kind]())
		msg := message(t, newSigner(t, signer.Credentials{Token: bound(t, c)}), loginByToken)
		if ok, said := xmlsec(t, msg, c); !ok {
			t.Fatalf("%s: the message is refused as it is: %s", kind, said)
		}
		for _, tt := range tests {
			tampered := tt.tamper(msg)
			if bytes.Equal(tampered, msg) {
				t.Fatalf("%s: %s: the test did not change the message", kind, tt.name)
			}
			if ok, said := xmlsec(t, tampered, c); ok || !strings.Contains(said, "FAIL") && !strings.Contains(said, "ERROR") {
				t.Errorf("%s: %s was changed: got verified %t, want a refusal; xmlsec1 said: %s", kind, tt.name, ok, said)
			}
		}
		other := map[string]string{"RSA-2048": "RSA-3072", "P-256": "P-384"}[kind]
		for _, key := range []string{other, kind} { // of the same size at last
			k := testKeys[key]()
			if key == kind {
				k = freshKey(kind)
			}
			if ok, said := xmlsec(t, msg, pair(t, k, -time.Hour, time.Hour)); ok {
				t.Errorf("%s: verified with another certificate (%s): %s", kind, key, said)
			}
		}
	}
}
