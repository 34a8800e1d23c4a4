package signer_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/signer"
)

var keyKinds = []string{"RSA-2048", "RSA-3072", "RSA-4096", "P-256", "P-384", "P-521"}

var hashNames = map[crypto.Hash]string{crypto.SHA1: "sha1", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}

// madeBy makes the messages of a login and of each request to an STS with the
// key of a certificate.
var madeBy = map[string]func(t *testing.T, o signer.Options, c *tls.Certificate) []byte{
	"LoginByToken": func(t *testing.T, o signer.Options, c *tls.Certificate) []byte {
		return made(t, o, signer.Credentials{Token: bound(t, c)}, (*signer.Signer).Message, loginByToken)
	},
	"Issue by certificate": func(t *testing.T, o signer.Options, c *tls.Certificate) []byte {
		return made(t, o, signer.Credentials{Certificate: c}, (*signer.Signer).Message, issue)
	},
	"Renew": func(t *testing.T, o signer.Options, c *tls.Certificate) []byte {
		return made(t, o, signer.Credentials{Certificate: c}, (*signer.Signer).RawMessage, renewTarget(vectorToken(t).Assertion))
	},
	"ActAs": func(t *testing.T, o signer.Options, c *tls.Certificate) []byte {
		actAs := `<wst14:ActAs xmlns:wst14="http://docs.oasis-open.org/ws-sx/ws-trust/200802">` + bearerToken(t).Assertion + `</wst14:ActAs>`
		return made(t, o, signer.Credentials{Token: bound(t, c)}, (*signer.Signer).RawMessage, strings.Replace(issue, "<wst:KeyType>", actAs+"<wst:KeyType>", 1))
	},
}

func withOptions(t *testing.T, o signer.Options, c signer.Credentials) *signer.Signer {
	t.Helper()
	s, err := o.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func made(t *testing.T, o signer.Options, c signer.Credentials, f messageFunc, content string) []byte {
	t.Helper()
	m, err := f(withOptions(t, o, c), []byte(content), noon)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestXmlsecVerifiesEveryAlgorithmOfEveryKey(t *testing.T) {
	for _, kind := range keyKinds {
		c := validPair(t, testKeys[kind]())
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			for _, digest := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
				for name, f := range madeBy {
					t.Run(fmt.Sprint(kind, " ", hash, " ", digest, " ", name), func(t *testing.T) {
						m := f(t, signer.Options{Hash: hash, Digest: digest}, c)
						family := map[bool]string{true: "rsa-", false: "ecdsa-"}[strings.HasPrefix(kind, "RSA")]
						if info := partsOf(t, m).info; !strings.Contains(info, `xmldsig-more#`+family+hashNames[hash]+`"`) || strings.Count(info, `xmlenc#`+hashNames[digest]+`"`) != 2 {
							t.Errorf("other algorithms: %s", info)
						}
						if ok, said := xmlsec(t, m, c); !ok {
							t.Errorf("refused by xmlsec1: %s\n%s", said, m)
						}
						tampered := bytes.Replace(m, []byte("</soap:Body>"), []byte(" </soap:Body>"), 1)
						if ok, said := xmlsec(t, tampered, c); ok || bytes.Equal(tampered, m) {
							t.Errorf("taken by xmlsec1 although tampered with: %s", said)
						}
					})
				}
			}
		}
	}
}

// An openssl tells whether openssl confirms a signature.
type openssl struct{ program, dir string }

func newOpenssl(t *testing.T, c *tls.Certificate) openssl {
	t.Helper()
	o := openssl{tool(t, "openssl"), t.TempDir()}
	cert, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	o.write(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: cert.RawSubjectPublicKeyInfo}))
	return o
}

func (o openssl) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (o openssl) verifies(t *testing.T, hash crypto.Hash, signature string, signed []byte) bool {
	t.Helper()
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	o.write(t, "signature", raw)
	o.write(t, "signed", signed)
	cmd := exec.Command(o.program, "dgst", "-"+hashNames[hash], "-verify", "public.pem", "-signature", "signature", "signed")
	cmd.Dir = o.dir
	return cmd.Run() == nil
}

// judge demands that openssl takes the signature, and not for another text.
func (o openssl) judge(t *testing.T, hash crypto.Hash, signature string, signed []byte) {
	t.Helper()
	if !o.verifies(t, hash, signature, signed) {
		t.Errorf("openssl refuses the signature of %.200q", signed)
	}
	if o.verifies(t, hash, signature, append(signed, ' ')) {
		t.Errorf("openssl takes the signature for that of another text")
	}
}

func TestInteropOpensslVerifiesEveryAlgorithmOfADirector(t *testing.T) {
	rsa := map[crypto.Hash]string{0: "SHA256withRSA", crypto.SHA1: "SHA1withRSA", crypto.SHA256: "SHA256withRSA", crypto.SHA384: "SHA384withRSA", crypto.SHA512: "SHA512withRSA"}
	ecdsa := map[crypto.Hash]string{crypto.SHA256: "SHA256withECDSA", crypto.SHA384: "SHA384withECDSA"}
	for _, kind := range keyKinds {
		names := rsa
		if kind[0] == 'P' {
			names = ecdsa
		}
		c := validPair(t, testKeys[kind]())
		for hash, name := range names {
			t.Run(kind+" "+name, func(t *testing.T) {
				tok := bound(t, c)
				header, err := withOptions(t, signer.Options{Hash: hash}, signer.Credentials{Token: tok}).VCloudHeader("Finance")
				if err != nil {
					t.Fatal(err)
				}
				m := regexp.MustCompile(`^SIGN token="[^"]+",org="Finance",signature="([^"]+)",signature_alg="(\w+)"$`).FindStringSubmatch(header)
				if m == nil || m[2] != name {
					t.Fatalf("the header has not the algorithm %s: %s", name, header)
				}
				newOpenssl(t, c).judge(t, max(hash, hashOf(name)), m[1], []byte(tok.Assertion))
			})
		}
	}
}

func hashOf(name string) crypto.Hash {
	for h, n := range hashNames {
		if strings.Contains(strings.ToLower(name), n) {
			return h
		}
	}
	return 0
}

func TestInteropOpensslVerifiesEveryAlgorithmOfREST(t *testing.T) {
	for _, kind := range keyKinds[:3] {
		c := validPair(t, testKeys[kind]())
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			t.Run(fmt.Sprint(kind, " ", hash), func(t *testing.T) {
				s := withOptions(t, signer.Options{Hash: hash}, signer.Credentials{Token: bound(t, c)})
				body := []byte("{\n}")
				header, err := s.AutomationHeader(&http.Request{Method: "post", URL: &url.URL{Host: "[FE80::1%25eth0]:8443", Path: "/api/a b", RawQuery: "c"}}, body)
				if err != nil {
					t.Fatal(err)
				}
				m := regexp.MustCompile(`^SIGN token="[^"]+", signature_alg="RSA-SHA(\d+)", signature="([^"]+)", nonce="(\d+:\d+)", bodyhash="([^"]+)"$`).FindStringSubmatch(header)
				if m == nil || "sha"+m[1] != hashNames[hash] {
					t.Fatalf("the header has not the algorithm RSA-%s: %s", hash, header)
				}
				h := hash.New()
				h.Write(body)
				if m[4] != base64.StdEncoding.EncodeToString(h.Sum(nil)) {
					t.Errorf("bodyhash %s is not that of the body", m[4])
				}
				newOpenssl(t, c).judge(t, hash, m[2], []byte(m[3]+"\nPOST\n/api/a b\n[fe80::1]\n8443\n"+string(h.Sum(nil))+"\n"))
			})
		}
	}
}

func TestInteropOpensslVerifiesEveryAlgorithmOfJSONRPC(t *testing.T) {
	for _, tt := range []struct {
		kind, name string
		hash       crypto.Hash
	}{
		{"RSA-2048", "RS256", 0}, {"RSA-2048", "RS256", crypto.SHA256}, {"RSA-2048", "RS384", crypto.SHA384}, {"RSA-2048", "RS512", crypto.SHA512},
		{"RSA-3072", "RS256", 0}, {"RSA-4096", "RS512", crypto.SHA512},
		{"P-256", "ES256", 0}, {"P-384", "ES384", 0}, {"P-521", "ES512", 0}, {"P-521", "ES512", crypto.SHA512},
	} {
		t.Run(fmt.Sprint(tt.kind, " ", tt.name), func(t *testing.T) {
			c := validPair(t, testKeys[tt.kind]())
			made, err := withOptions(t, signer.Options{Hash: tt.hash}, signer.Credentials{Token: bound(t, c)}).JSONRPC([]byte(createSession), noon)
			if err != nil {
				t.Fatal(err)
			}
			var request map[string]any
			if err := json.Unmarshal(made, &request); err != nil {
				t.Fatal(err)
			}
			security := request["params"].(map[string]any)["ctx"].(map[string]any)["securityCtx"].(map[string]any)
			signature := security["signature"].(map[string]any)["value"].(string)
			delete(security, "signature")
			if security["signatureAlgorithm"] != tt.name {
				t.Errorf("signatureAlgorithm %v, want %s", security["signatureAlgorithm"], tt.name)
			}
			canonical, err := json.Marshal(request) // of ASCII without doubles encoding/json writes the canonical form too
			if err != nil {
				t.Fatal(err)
			}
			newOpenssl(t, c).judge(t, max(tt.hash, map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[tt.name[2:]]), signature, canonical)
		})
	}
}
