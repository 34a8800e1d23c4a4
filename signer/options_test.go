package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	tests := []struct {
		name, kind string // no kind: a password
		o          signer.Options
		say        string // "": accepted
	}{
		{"none", "RSA-2048", signer.Options{}, ""},
		{"all", "RSA-2048", signer.Options{Hash: crypto.SHA512, Digest: crypto.SHA512, Validity: time.Minute, Backdate: -1}, ""},
		{"SHA-1 and RSA", "RSA-2048", signer.Options{Hash: crypto.SHA1}, ""},
		{"SHA-1 and ECDSA", "P-256", signer.Options{Hash: crypto.SHA1}, "no ECDSA signatures with SHA-1"},
		{"SHA-1 and nothing to sign", "", signer.Options{Hash: crypto.SHA1}, ""},
		{"the longest hash for the smallest curve", "P-256", signer.Options{Hash: crypto.SHA512}, ""},
		{"the shortest hash for the largest curve", "P-521", signer.Options{Hash: crypto.SHA256}, ""},
		{"MD5", "RSA-2048", signer.Options{Hash: crypto.MD5}, "Options.Hash is MD5"},
		{"SHA-224", "RSA-2048", signer.Options{Hash: crypto.SHA224}, "Options.Hash is SHA-224"},
		{"SHA3-256", "P-256", signer.Options{Hash: crypto.SHA3_256}, "Options.Hash is SHA3-256"},
		{"a hash that there is not", "RSA-2048", signer.Options{Hash: 99}, "Options.Hash is unknown"},
		{"a hash that there is not, and a password", "", signer.Options{Hash: 99}, "Options.Hash is unknown"},
		{"digest SHA-1", "RSA-2048", signer.Options{Digest: crypto.SHA1}, "Options.Digest is SHA-1"},
		{"digest SHA-384", "RSA-2048", signer.Options{Digest: crypto.SHA384}, "Options.Digest is SHA-384"},
		{"negative validity", "RSA-2048", signer.Options{Validity: -time.Minute}, "Validity and Backdate"},
		{"ends before it is made", "", signer.Options{Validity: 5 * time.Second}, "Validity and Backdate"},
		{"one second", "", signer.Options{Validity: 6 * time.Second}, ""},
		{"one second, not back-dated", "", signer.Options{Validity: time.Second, Backdate: -1}, ""},
		{"a nanosecond", "", signer.Options{Validity: 1, Backdate: -1}, "Validity and Backdate"},
		{"back-dated by hours", "", signer.Options{Backdate: time.Hour}, "Validity and Backdate"},
	}
	for _, tt := range tests {
		c := signer.Credentials{Username: "jo", Password: "secret"}
		if tt.kind != "" {
			c = signer.Credentials{Certificate: validPair(t, testKeys[tt.kind]())}
		}
		s, err := tt.o.New(c)
		if (s != nil) != (tt.say == "") || (err == nil) != (tt.say == "") || err != nil && !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: got %v, %v, want %q", tt.name, s, err, tt.say)
		}
		if bad := tt.o.Hash != 0; err != nil && errors.Is(err, vmsso.ErrUnsupportedKey) != bad {
			t.Errorf("%s: %q is ErrUnsupportedKey: %t, want %t", tt.name, err, !bad, bad)
		}
	}
}

func TestOptionsSayWhenAMessageIsValid(t *testing.T) {
	tests := []struct {
		o                signer.Options
		created, expires string
	}{
		{signer.Options{}, "2026-03-01T11:59:55.000Z", "2026-03-01T12:09:55.000Z"},
		{signer.Options{Validity: time.Hour}, "2026-03-01T11:59:55.000Z", "2026-03-01T12:59:55.000Z"},
		{signer.Options{Validity: time.Minute, Backdate: -time.Hour}, "2026-03-01T12:00:00.000Z", "2026-03-01T12:01:00.000Z"},
		{signer.Options{Backdate: 90 * time.Second}, "2026-03-01T11:58:30.000Z", "2026-03-01T12:08:30.000Z"},
		{signer.Options{Backdate: 1500 * time.Microsecond}, "2026-03-01T11:59:59.998Z", "2026-03-01T12:09:59.998Z"},
	}
	for _, tt := range tests {
		s, err := tt.o.New(signer.Credentials{Token: vectorToken(t)})
		if err != nil {
			t.Fatal(err)
		}
		want := "<wsu:Created>" + tt.created + "</wsu:Created><wsu:Expires>" + tt.expires + "</wsu:Expires>"
		if m := message(t, s, loginByToken); !strings.Contains(string(m), want) {
			t.Errorf("%+v: a message without %s: %.600s", tt.o, want, m)
		}
		want = `"timestamp":{"created":"` + tt.created + `","expires":"` + tt.expires + `"}`
		rpc, err := s.JSONRPC([]byte(createSession), noon)
		if err != nil || !strings.Contains(string(rpc), want) {
			t.Errorf("%+v: a request without %s: %v, %.600s", tt.o, want, err, rpc)
		}
	}
}

const createSession = `{"jsonrpc":"2.0","method":"invoke","id":"0","params":{"serviceId":"com.vmware.cis.session","operationId":"create",` +
	`"input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}}}`

// What cannot be signed is refused before the key is asked for anything but the
// trial signature.
func TestWhatAProtocolDoesNotTakeIsNotSigned(t *testing.T) {
	for _, tt := range []struct {
		kind string
		hash crypto.Hash
		make map[string]func(*signer.Signer) error
	}{
		{"RSA-2048", crypto.SHA1, makers("Message", "RawMessage", "Envelope", "CheckMessage", "AutomationHeader", "JSONRPC")},
		{"P-256", 0, makers("AutomationHeader")},
		{"P-256", crypto.SHA384, makers("AutomationHeader", "JSONRPC")},
		{"P-521", 0, makers("AutomationHeader", "VCloudHeader")},
	} {
		k := &countingKey{Signer: testKeys[tt.kind]()}
		s, err := signer.Options{Hash: tt.hash}.New(signer.Credentials{Token: bound(t, validPair(t, k))})
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range tt.make {
			if err := f(s); !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), "it takes") {
				t.Errorf("%s, %v, %s: got %v, want ErrUnsupportedKey that says what is taken", tt.kind, tt.hash, name, err)
			}
		}
		if n := k.count(); n != 1 {
			t.Errorf("%s, %v: the key made %d signatures, want the trial alone", tt.kind, tt.hash, n)
		}
	}
}

// A key of this process is tried once; one that is elsewhere signs once per
// message, and each signature is checked.
func TestNewMakesOneTrialSignature(t *testing.T) {
	k := &countingKey{Signer: testKeys["P-256"]()}
	s := newSigner(t, signer.Credentials{Token: bound(t, validPair(t, k))})
	if k.count() != 1 {
		t.Errorf("New made %d signatures, want 1", k.count())
	}
	for range 3 {
		message(t, s, loginByToken)
	}
	if k.count() != 4 {
		t.Errorf("New and three messages made %d signatures, want 4", k.count())
	}
}

func TestRSAKeysFrom2048To8192BitsAreTaken(t *testing.T) {
	block, _ := pem.Decode([]byte(read(t, "rsa-8192.pem")))
	largest, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public := func(bits int) crypto.Signer { // of the right size and nothing else
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return &hsm{key: publicKey{&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}}}
	}
	tests := []struct {
		name string
		key  crypto.Signer
		say  string
	}{
		{"8192 bits", largest.(crypto.Signer), ""},
		{"2047 bits", public(2047), "RSA with 2047 bits: make one with 2048 or more"},
		{"8193 bits", public(8193), "RSA with 8193 bits: make one with 8192 or less"},
		{"a million bits", public(1_000_000), "8192 or less"},
		{"no modulus", &hsm{key: publicKey{&rsa.PublicKey{}}}, "RSA with 0 bits"},
		{"a nil RSA public key", &hsm{key: publicKey{(*rsa.PublicKey)(nil)}}, "RSA with 0 bits"},
		{"a nil ECDSA public key", &hsm{key: publicKey{(*ecdsa.PublicKey)(nil)}}, "elliptic curve"},
		{"no public key", &hsm{key: publicKey{nil}}, "use RSA"},
		{"an empty RSA key", &rsa.PrivateKey{}, "RSA with 0 bits"},
		{"an RSA key without its private part", &rsa.PrivateKey{PublicKey: *testKeys["RSA-2048"]().Public().(*rsa.PublicKey)}, "trial"},
		{"an empty ECDSA key", &ecdsa.PrivateKey{}, "elliptic curve"},
		{"the private part of another key", &rsa.PrivateKey{PublicKey: *testKeys["RSA-2048"]().Public().(*rsa.PublicKey), D: testKeys["RSA-3072"]().(*rsa.PrivateKey).D}, "trial"},
	}
	certificate := validPair(t, testKeys["RSA-2048"]()).Certificate
	for _, tt := range tests {
		c := &tls.Certificate{Certificate: certificate, PrivateKey: tt.key}
		if tt.say == "" {
			c = validPair(t, tt.key)
		}
		s, err := signer.New(signer.Credentials{Certificate: c})
		if (s != nil) != (tt.say == "") || err != nil && (!errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), tt.say)) {
			t.Errorf("%s: got %v, %v, want %q", tt.name, s, err, tt.say)
		}
	}
}

// A publicKey signs garbage.
type publicKey struct{ key crypto.PublicKey }

func (k publicKey) Public() crypto.PublicKey { return k.key }
func (k publicKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("garbage"), nil
}

// Keys that were put together by hand lack the values by which they are fast. They
// are computed in a copy: the caller may use his key at the same time, which the
// race detector sees.
func TestKeyOfTheCallerIsNotChanged(t *testing.T) {
	whole := testKeys["RSA-2048"]().(*rsa.PrivateKey)
	bare := &rsa.PrivateKey{PublicKey: whole.PublicKey, D: whole.D, Primes: whole.Primes}
	c := validPair(t, bare)
	tok := bound(t, c)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := signer.New(signer.Credentials{Token: tok})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Message([]byte(loginByToken), noon); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { _, _ = bare.Sign(nil, make([]byte, 32), crypto.SHA256) })
	}
	wg.Wait()
	if bare.Precomputed.Dp != nil {
		t.Error("the caller's key was changed")
	}
}

// The copy is prepared once, not for each signature: what is slow about a bare
// key shows in memory as well.
func TestBareKeyIsPreparedOnce(t *testing.T) {
	whole := testKeys["RSA-2048"]().(*rsa.PrivateKey)
	bare := &rsa.PrivateKey{PublicKey: whole.PublicKey, D: whole.D, Primes: whole.Primes}
	allocations := func(k *rsa.PrivateKey) float64 {
		s := newSigner(t, signer.Credentials{Token: bound(t, validPair(t, k))})
		return testing.AllocsPerRun(5, func() { message(t, s, loginByToken) })
	}
	if a, b := allocations(whole), allocations(bare); b > a+1 {
		t.Errorf("a message takes %v allocations with a bare key, %v with a prepared one", b, a)
	}
}

// A cache makes a new signer for other options.
func TestCacheKeepsOptionsApart(t *testing.T) {
	var c signer.Cache
	tok := vectorToken(t)
	first, err := c.Signer(signer.Options{}, tok)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.Signer(signer.Options{}, tok); again != first {
		t.Error("the same options make another signer")
	}
	other, err := c.Signer(signer.Options{Hash: crypto.SHA512}, tok)
	if err != nil || other == first {
		t.Fatalf("%v: other options have the same signer: %t", err, other == first)
	}
	if m := string(message(t, other, loginByToken)); !strings.Contains(m, "rsa-sha512") {
		t.Errorf("the options are not used: %.900s", m)
	}
	if s, err := c.Signer(signer.Options{Hash: crypto.MD5}, tok); err == nil {
		t.Errorf("got %v, want an error", fmt.Sprint(s))
	}
}

// makers are the methods that sign, by name.
func makers(names ...string) map[string]func(*signer.Signer) error {
	all := map[string]func(*signer.Signer) error{
		"Message":      func(s *signer.Signer) error { _, err := s.Message([]byte(loginByToken), noon); return err },
		"RawMessage":   func(s *signer.Signer) error { _, err := s.RawMessage([]byte(loginByToken), noon); return err },
		"CheckMessage": func(s *signer.Signer) error { return s.CheckMessage() },
		"Envelope": func(s *signer.Signer) error {
			_, err := s.Envelope(etree.NewElement("a"), noon)
			return err
		},
		"AutomationHeader": func(s *signer.Signer) error {
			_, err := s.AutomationHeader(&http.Request{Method: "POST", URL: &url.URL{Host: "vc.example.test", Path: "/api/session"}}, nil)
			return err
		},
		"JSONRPC":      func(s *signer.Signer) error { _, err := s.JSONRPC([]byte(createSession), noon); return err },
		"VCloudHeader": func(s *signer.Signer) error { _, err := s.VCloudHeader("Finance"); return err },
	}
	chosen := map[string]func(*signer.Signer) error{}
	for _, name := range names {
		chosen[name] = all[name]
	}
	return chosen
}
