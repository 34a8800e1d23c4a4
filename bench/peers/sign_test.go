package peers_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/sts"
	"github.com/vmware/govmomi/vim25/methods"
	vim "github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/vmssotest"
)

// loginMessages are the ways to make a LoginByToken message with a token. govmomi
// has RSA keys only.
func loginMessages(tb testing.TB, tok *vmsso.Token) map[string]func() ([]byte, error) {
	s, err := signer.New(signer.Credentials{Token: tok})
	if err != nil {
		tb.Fatal(err)
	}
	ways := map[string]func() ([]byte, error){
		"vmsso":           func() ([]byte, error) { return s.Message([]byte(rig.LoginByToken), time.Now()) },
		"etree+goxmldsig": func() ([]byte, error) { return treeMessage(tok, time.Now()) },
	}
	if _, ok := tok.Key.(*rsa.PrivateKey); ok {
		peer := govmomiSigner(tok)
		ways["govmomi"] = func() ([]byte, error) {
			body := &methods.LoginByTokenBody{Req: &types.LoginByToken{This: types.ManagedObjectReference{Type: "SessionManager", Value: "SessionManager"}}}
			return peer.Sign(vim.Envelope{Header: &vim.Header{}, Body: body})
		}
	}
	return ways
}

// govmomiSigner is what govmomi makes of a holder-of-key or bearer token.
func govmomiSigner(tok *vmsso.Token) *sts.Signer {
	s := &sts.Signer{Token: tok.Assertion}
	if tok.Key != nil {
		s.Certificate = &tls.Certificate{PrivateKey: tok.Key}
	}
	return s
}

// holderToken is a holder-of-key token for a new key.
func holderToken(k rig.KeyType, size int) *vmsso.Token {
	key := k.Make()
	return &vmsso.Token{Assertion: rig.Assertion(size, vmssotest.NewKeyPair("alice", key).Leaf), Key: key}
}

// BenchmarkLoginMessage is a LoginByToken message. Limit: the raw operation of the
// key, which over-ns/op is more than.
func BenchmarkLoginMessage(b *testing.B) {
	for _, k := range rig.KeyTypes() {
		b.Run(k.Name, func(b *testing.B) {
			tok := holderToken(k, rig.TokenSize)
			rig.Each(b, "limit:raw", k.Raw(tok.Key))
			ways := loginMessages(b, tok)
			for _, name := range []string{"vmsso", "govmomi", "etree+goxmldsig"} {
				if k.Name == "P-384" && name != "vmsso" {
					continue // the peer hashes with SHA-256
				}
				if way := ways[name]; way != nil {
					rig.Against(b, name, k.Raw(tok.Key), func() error { _, err := way(); return err })
				}
			}
		})
	}
}

// signHeaders are the ways to put the SIGN header on a request.
func signHeaders(tb testing.TB, tok *vmsso.Token) map[string]func(*http.Request) error {
	s, err := signer.New(signer.Credentials{Token: tok})
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]func(*http.Request) error{
		"vmsso": func(req *http.Request) error {
			v, err := s.AutomationHeader(req, nil)
			req.Header.Set("Authorization", v)
			return err
		},
		"govmomi": govmomiSigner(tok).SignRequest,
	}
}

// BenchmarkSignHeader is the header of a login to vSphere Automation. Limits: that
// the header is there already; the raw operation of the key.
func BenchmarkSignHeader(b *testing.B) {
	for _, size := range []struct {
		name string
		size int
	}{{"5.6KB", rig.TokenSize}, {"20KB", 20_000}} {
		req := rig.NewRequest(0)
		bearer := signHeaders(b, &vmsso.Token{Assertion: rig.Assertion(size.size, nil)})
		kept := []string{"SIGN"}
		limit := func() error { req.Header["Authorization"] = kept; return nil }
		rig.Each(b, "bearer/"+size.name+"/limit:kept", limit)
		for _, name := range []string{"vmsso", "govmomi"} {
			rig.Against(b, "bearer/"+size.name+"/"+name, limit, func() error { return bearer[name](req) })
		}
		k := rig.KeyTypes()[0]
		tok := holderToken(k, size.size)
		holder := signHeaders(b, tok)
		rig.Each(b, "holder-of-key/"+size.name+"/limit:raw", k.Raw(tok.Key))
		for _, name := range []string{"vmsso", "govmomi"} {
			rig.Against(b, "holder-of-key/"+size.name+"/"+name, k.Raw(tok.Key), func() error { return holder[name](req) })
		}
	}
}

// All that is compared must be messages that a server takes, with the same token.
func TestLoginMessagesAreAccepted(t *testing.T) {
	for _, k := range []rig.KeyType{rig.KeyTypes()[0], rig.KeyTypes()[3]} {
		tok := holderToken(k, rig.TokenSize)
		var logins []vmssotest.Login
		server := vmssotest.NewVSphere(vmssotest.VSphereConfig{
			Trust:   []*x509.Certificate{rig.Authority().Certificate()},
			Backend: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
			OnLogin: func(l vmssotest.Login) { logins = append(logins, l) },
		})
		for name, make := range loginMessages(t, tok) {
			logins = nil
			message, err := make()
			if err != nil {
				t.Fatalf("%s, %s: %v", k.Name, name, err)
			}
			req := httptest.NewRequest(http.MethodPost, "https://vc.example.test/sdk", bytes.NewReader(message))
			req.Header.Set("Content-Type", "text/xml")
			req.Header.Set("Soapaction", `"urn:vim25/8.0.3.0"`)
			server.ServeHTTP(httptest.NewRecorder(), req)
			if len(logins) != 1 {
				t.Fatalf("%s, %s: refused: %v", k.Name, name, server.Reasons())
			}
			if l := logins[0]; !l.HolderOfKey || l.Subject != "alice@vsphere.local" || len(l.Assertion) != len(tok.Assertion) {
				t.Errorf("%s, %s: a login of %s, holder-of-key %t, with an assertion of %d bytes instead of %d", k.Name, name, l.Subject, l.HolderOfKey, len(l.Assertion), len(tok.Assertion))
			}
		}
	}
}

// Both headers must carry the same token and be taken by a server.
func TestSignHeadersAreAccepted(t *testing.T) {
	for kind, tok := range map[string]*vmsso.Token{"bearer": rig.Token(), "holder-of-key": holderToken(rig.KeyTypes()[0], rig.TokenSize)} {
		var logins []vmssotest.AutomationLogin
		server := vmssotest.NewAutomation(vmssotest.AutomationConfig{
			Trust:   []*x509.Certificate{rig.Authority().Certificate()},
			OnLogin: func(l vmssotest.AutomationLogin) { logins = append(logins, l) },
		})
		for name, sign := range signHeaders(t, tok) {
			logins = nil
			req := httptest.NewRequest(http.MethodPost, "https://vc.example.test/api/session", nil)
			if err := sign(req); err != nil {
				t.Fatalf("%s, %s: %v", kind, name, err)
			}
			if got := unpacked(t, req.Header.Get("Authorization")); got != tok.Assertion {
				t.Errorf("%s, %s: the header holds another token", kind, name)
			}
			server.ServeHTTP(httptest.NewRecorder(), req)
			if len(logins) != 1 || logins[0].Assertion != tok.Assertion || logins[0].HolderOfKey != (tok.Key != nil) {
				t.Errorf("%s, %s: %d logins, refused: %v", kind, name, len(logins), server.Reasons())
			}
		}
	}
}

// unpacked is the token in a SIGN header.
func unpacked(t *testing.T, header string) string {
	_, rest, _ := strings.Cut(header, `token="`)
	value, _, _ := strings.Cut(rest, `"`)
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(value)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
