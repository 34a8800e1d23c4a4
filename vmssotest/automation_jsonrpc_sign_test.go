package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
)

var allRPCAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}

func curveKey(curve elliptic.Curve) func() *ecdsa.PrivateKey {
	return sync.OnceValue(func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
}

var p256, p384, p521 = curveKey(elliptic.P256()), curveKey(elliptic.P384()), curveKey(elliptic.P521())

// rpcBy is a login that this key signs by this algorithm.
func rpcBy(key crypto.Signer, alg string, hash crypto.Hash) *rpcLogin {
	l := newRPCLogin()
	l.token = withClaims(authority(), Claims{Holder: NewKeyPair("alice", key).Leaf}).token
	l.key, l.alg, l.hash = key, alg, hash
	return l
}

func TestRPCAlgorithms(t *testing.T) {
	raw := func(key *ecdsa.PrivateKey, hash crypto.Hash, alg string) *rpcLogin { // r||s, as RFC 7518 has it
		l := rpcBy(key, alg, hash)
		var text string
		l.text = func(s string) string { text = s; return s }
		l.value = func(string) string { return base64.StdEncoding.EncodeToString(sign(t, key, hash, text)) }
		return l
	}
	value := func(l *rpcLogin, edit func([]byte) []byte) *rpcLogin {
		l.value = func(s string) string {
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(edit(b))
		}
		return l
	}
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	longer := func(b []byte) []byte { return append(b, 0) }
	for _, test := range []struct {
		name, reason string // no reason: accepted
		login        *rpcLogin
	}{
		{"RS256", "", rpcBy(clientKey(), "RS256", crypto.SHA256)},
		{"RS384", "", rpcBy(clientKey(), "RS384", crypto.SHA384)},
		{"RS512", "", rpcBy(clientKey(), "RS512", crypto.SHA512)},
		{"ES256", "", rpcBy(p256(), "ES256", crypto.SHA256)},
		{"ES384", "", rpcBy(p384(), "ES384", crypto.SHA384)},
		{"ES512", "", rpcBy(p521(), "ES512", crypto.SHA512)},
		{"RS1", "is not accepted", rpcBy(clientKey(), "RS1", crypto.SHA1)},
		{"PS256", "is not accepted", rpcBy(clientKey(), "PS256", crypto.SHA256)},
		{"none", "is not accepted", rpcBy(clientKey(), "none", crypto.SHA256)},
		{"a name of RSA for a curve", "not an RSA key", rpcBy(p256(), "RS256", crypto.SHA256)},
		{"a name of a curve for RSA", "not an ECDSA key", rpcBy(clientKey(), "ES256", crypto.SHA256)},
		{"a name of another curve", "not on the curve", rpcBy(p384(), "ES256", crypto.SHA256)},
		{"another hash than the name's", "not by the holder", rpcBy(clientKey(), "RS384", crypto.SHA256)},
		{"another hash than the curve's name", "not by the holder", rpcBy(p256(), "ES256", crypto.SHA512)},
		{"r||s", "not by the holder", raw(p256(), crypto.SHA256, "ES256")},
		{"r||s of P-521", "not by the holder", raw(p521(), crypto.SHA512, "ES512")},
		{"RSA cut", "not by the holder", value(rpcBy(clientKey(), "RS512", crypto.SHA512), cut)},
		{"ECDSA cut", "not by the holder", value(rpcBy(p384(), "ES384", crypto.SHA384), cut)},
		{"ECDSA with a byte behind it", "not by the holder", value(rpcBy(p384(), "ES384", crypto.SHA384), longer)},
		{"ECDSA of another key", "not by the holder", func() *rpcLogin {
			l := rpcBy(p256(), "ES256", crypto.SHA256)
			l.key = curveKey(elliptic.P256())()
			return l
		}()},
	} {
		v := newTestAutomation(func(c *AutomationConfig) { c.Algorithms = allRPCAlgorithms })
		serve(v, test.login.build(t))
		reasons := strings.Join(v.Reasons(), "; ")
		if accepted := v.Logins() == 1; accepted != (test.reason == "") || !strings.Contains(reasons, test.reason) {
			t.Errorf("%s: logins %d, reasons %q, want %q", test.name, v.Logins(), reasons, test.reason)
		}
		if test.reason != "" || test.login.alg == "RS256" {
			continue
		}
		v = newTestAutomation(nil) // an older runtime
		if serve(v, test.login.build(t)); v.Logins() != 0 || !strings.Contains(strings.Join(v.Reasons(), ""), "is not accepted") {
			t.Errorf("%s: an older runtime takes it: %q", test.name, v.Reasons())
		}
	}
}

func TestUnknownRPCAlgorithmPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	newTestAutomation(func(c *AutomationConfig) { c.Algorithms = []string{"RS1"} })
}
