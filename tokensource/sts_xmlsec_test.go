package tokensource_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// xmlsec tells whether xmlsec1 verifies a signature of the message with the
// certificate, and what it printed.
func xmlsec(t *testing.T, message string, cert *x509.Certificate, signature string) (verified bool, said string) {
	t.Helper()
	program, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not on PATH: install it (Debian: xmlsec1) to have our messages judged by another implementation")
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"message.xml": []byte(message), "cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--verify", "--enabled-reference-uris", "same-doc", "--enabled-key-data", "key-name", "--pubkey-cert-pem", "cert.pem",
		"--node-xpath", signature,
		"--id-attr:Id", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd:Timestamp",
		"--id-attr:Id", "http://schemas.xmlsoap.org/soap/envelope/:Body",
		"--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "message.xml")
	cmd.Dir = dir // xmlsec1 cuts the path of a certificate at a comma
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

const (
	ofTheMessage = `/*[1]/*[1]/*[1]/*[local-name()="Signature"]`
	ofTheToken   = `/*[1]/*[2]//*[local-name()="Assertion"][1]/*[local-name()="Signature"]`
)

// The service receives messages that another implementation verifies, whatever
// they prove who asks by, and whatever they ask for.
func TestXmlsecVerifiesEveryRequest(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, stranger := vmssotest.NewAuthority(), vmssotest.NewKeyPair("stranger", nil).Leaf
	for kind, l := range map[string]*stsLab{
		"RSA":   newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil)),
		"P-256": newSTSLab(t, authority, vmssotest.NewKeyPair("solution", key)),
	} {
		audience := []string{"https://vcd.example.test/?a&b<>\"'", "urn:b"}
		person := tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair}
		for name, cfg := range map[string]tokensource.STSConfig{
			"password and certificate": person,
			"certificate":              {Certificate: &l.pair},
			"token":                    {Token: tokensource.Static(l.holder(t))},
			"ActAs":                    {Certificate: &l.pair, ActAs: tokensource.Static(l.bearer(t))},
			"ActAs, holder-of-key":     {Certificate: &l.pair, ActAs: tokensource.Static(l.token(t, person))},
			"ActAs by a token":         {Token: tokensource.Static(l.holder(t)), ActAs: tokensource.Static(l.bearer(t))},
			"audiences":                {Certificate: &l.pair, Audience: audience, AppliesTo: audience[0], NotDelegatable: true},
			"ActAs and audiences":      {Certificate: &l.pair, ActAs: tokensource.Static(l.bearer(t)), Audience: audience, AppliesTo: audience[0]},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				cfg.Renewable, cfg.Lifetime = true, time.Hour
				s := l.source(t, cfg)
				messages := map[string]string{}
				for _, stage := range []string{"Issue", "Renew"} {
					wire, refusal := l.received(t, s)
					if refusal != "" && !(cfg.ActAs != nil && strings.Contains(refusal, "not renewable")) { // the person's is not
						t.Fatalf("%s: %s", stage, refusal)
					}
					messages[stage] = wire
				}
				if cfg.Certificate == nil {
					delete(messages, "Renew") // was another Issue
				} else if !strings.Contains(messages["Renew"], "<wst:RenewTarget><saml2:Assertion ") {
					t.Error("nothing was renewed")
				}
				for stage, wire := range messages {
					if ok, said := xmlsec(t, wire, l.pair.Leaf, ofTheMessage); !ok {
						t.Errorf("%s: refused by xmlsec1: %s\n%s", stage, said, wire)
					}
					if kind != "RSA" {
						continue
					}
					if ok, _ := xmlsec(t, wire, stranger, ofTheMessage); ok {
						t.Errorf("%s: verified with another certificate", stage)
					}
					for what, bad := range tampered(wire) {
						if ok, _ := xmlsec(t, bad, l.pair.Leaf, ofTheMessage); ok || bad == wire {
							t.Errorf("%s: verified although the %s was changed", stage, what)
						}
					}
				}
			})
		}
	}
}

// tampered are messages of which one part was changed.
func tampered(wire string) map[string]string {
	header, body, _ := strings.Cut(wire, "<soap:Body")
	value := strings.LastIndex(header, "<ds:SignatureValue>") + len("<ds:SignatureValue>")
	other := "A"
	if header[value] == 'A' {
		other = "B"
	}
	return map[string]string{
		"Timestamp": strings.Replace(wire, "<wsu:Created>2", "<wsu:Created>3", 1),
		"signature": header[:value] + other + header[value+1:] + "<soap:Body" + body,
		"Body":      strings.Replace(wire, "</wst:RequestSecurityToken>", " </wst:RequestSecurityToken>", 1),
	}
}

// So does the Body around a token of every shape, and the token's own signature,
// where it has one, can be verified inside.
func TestXmlsecVerifiesTokensOfAllShapes(t *testing.T) {
	authority := vmssotest.NewAuthority()
	l := newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil))
	for name, shape := range shapes(authority, l.pair.Leaf) {
		for where, carry := range carried {
			t.Run(name+" in "+where, func(t *testing.T) {
				wire, _ := carry(t, l, shape.assertion)
				if ok, said := xmlsec(t, wire, l.pair.Leaf, ofTheMessage); !ok {
					t.Errorf("the message is refused by xmlsec1: %s\n%s", said, wire)
				}
				if shape.signed {
					if ok, said := xmlsec(t, wire, authority.Certificate(), ofTheToken); !ok {
						t.Errorf("the token inside is refused by xmlsec1: %s\n%s", said, wire)
					}
				}
				bad := strings.Replace(wire, user, "admin@vsphere.local", 1)
				if name == "encrypted assertion" {
					bad = strings.Replace(wire, "<xenc:CipherData/>", "<xenc:CipherDatum/>", 1)
				}
				if ok, _ := xmlsec(t, bad, l.pair.Leaf, ofTheMessage); ok || bad == wire {
					t.Error("verified although the token was tampered with")
				}
			})
		}
	}
}
