package signer_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A judge is a server of vmssotest, which verifies what a login sends and shares
// no code with the signer.
type judge interface {
	http.Handler
	Logins() int
	Refused() int
	Reasons() []string
	Calls(op string) int
}

// A protocol is one way to log in with a token.
type protocol struct {
	name  string
	login string // the operation that carries the token
	judge func() judge
	auth  func(signer.Options) vmsso.Authenticator
}

func trusted() []*x509.Certificate { return []*x509.Certificate{issuer().Certificate()} }

func newAutomation() judge {
	return vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trusted(), Algorithms: []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}})
}

var protocols = []protocol{
	{"SOAP", "LoginByToken",
		func() judge { return vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trusted()}) },
		func(o signer.Options) vmsso.Authenticator { return &soap.Authenticator{Signing: o} }},
	{"REST", "POST /api/session", newAutomation,
		func(o signer.Options) vmsso.Authenticator { return &automation.Authenticator{Signing: o} }},
	{"JSON-RPC", "com.vmware.cis.session create", newAutomation,
		func(o signer.Options) vmsso.Authenticator {
			return &automation.Authenticator{Protocol: automation.JSONRPC, Signing: o}
		}},
	{"Director", "POST /cloudapi/1.0.0/sessions",
		func() judge { return vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: trusted()}) },
		func(o signer.Options) vmsso.Authenticator {
			return &vcloud.Authenticator{Org: "Finance", MaxHeader: -1, Signing: o}
		}},
}

// A lab is a judge behind a transport that has a token for key.
type lab struct {
	judge
	transport *vmsso.Transport
	requests  atomic.Int32
}

func newLab(t *testing.T, p protocol, o signer.Options, key crypto.Signer, j judge) *lab {
	t.Helper()
	if j == nil {
		j = p.judge()
	}
	l := &lab{judge: j}
	net := vmssotest.NewNetwork()
	net.Serve("server.example.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.requests.Add(1)
		j.ServeHTTP(w, r)
	}))
	base := net.Transport()
	holder := vmssotest.NewKeyPair("holder", certifiable(key))
	tok := &vmsso.Token{Assertion: issuer().Issue(vmssotest.Claims{Subject: "alice@vsphere.local", Holder: holder.Leaf}), Key: key}
	var err error
	l.transport, err = vmsso.New(vmsso.Config{Endpoint: "https://server.example.test", Source: source{tok}, Auth: p.auth(o), Base: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.transport.Close()
		base.CloseIdleConnections()
		net.Close()
	})
	return l
}

// A source has one token, and does not look at it.
type source struct{ tok *vmsso.Token }

func (s source) Token(context.Context) (*vmsso.Token, error) { return s.tok, nil }

// certifiable is the key itself, for its certificate.
func certifiable(key crypto.Signer) crypto.Signer {
	switch k := key.(type) {
	case *hsm:
		return k.key
	case *changeling:
		return k.first
	case counted:
		return certifiable(k.Signer)
	}
	return key
}

// login returns the error of a login, if it is one.
func (l *lab) login(t *testing.T) error {
	t.Helper()
	_, err := l.transport.Session(t.Context())
	return err
}

// What a protocol has no name for is refused before anything is sent; all else is
// taken by a server that verifies it.
func TestServersTakeEveryAlgorithmOfTheirProtocol(t *testing.T) {
	all := []crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	takes := map[string]map[string][]crypto.Hash{ // by protocol and key
		"SOAP":     {"RSA-2048": all, "RSA-4096": all, "P-256": all, "P-384": all, "P-521": all},
		"REST":     {"RSA-2048": all, "RSA-4096": all},
		"JSON-RPC": {"RSA-2048": all, "RSA-4096": all, "P-256": {0, crypto.SHA256}, "P-384": {0, crypto.SHA384}, "P-521": {0, crypto.SHA512}},
		"Director": {"RSA-2048": all, "RSA-4096": all, "P-256": {0, crypto.SHA256, crypto.SHA384}, "P-384": {0, crypto.SHA256, crypto.SHA384}, "P-521": {crypto.SHA256, crypto.SHA384}},
	}
	for _, p := range protocols {
		for _, kind := range []string{"RSA-2048", "RSA-4096", "P-256", "P-384", "P-521"} {
			for _, hash := range all {
				digest := crypto.Hash(0)
				if hash == crypto.SHA384 {
					digest = crypto.SHA512
				}
				t.Run(fmt.Sprint(p.name, " ", kind, " ", uint(hash)), func(t *testing.T) {
					l := newLab(t, p, signer.Options{Hash: hash, Digest: digest}, testKeys[kind](), nil)
					err := l.login(t)
					taken := false
					for _, h := range takes[p.name][kind] {
						taken = taken || h == hash
					}
					if taken && (err != nil || l.Logins() != 1 || l.Refused() != 0) {
						t.Errorf("got %v, %d logins, reasons %q, want one login", err, l.Logins(), l.Reasons())
					}
					if !taken && (!errors.Is(err, vmsso.ErrUnsupportedKey) || l.requests.Load() != 0) {
						t.Errorf("got %v and %d requests, want ErrUnsupportedKey before the first", err, l.requests.Load())
					}
				})
			}
		}
	}
}

func TestSHA1IsForAnOldDirectorAlone(t *testing.T) {
	o := signer.Options{Hash: crypto.SHA1}
	for _, p := range protocols {
		l := newLab(t, p, o, testKeys["RSA-2048"](), nil)
		err := l.login(t)
		if p.name == "Director" {
			if !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(strings.Join(l.Reasons(), ""), `signature_alg "SHA1withRSA" is not accepted`) {
				t.Errorf("a Director of today: got %v, %q, want a refusal", err, l.Reasons())
			}
			old := newLab(t, p, o, testKeys["RSA-2048"](), vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: trusted(), AllowSHA1: true}))
			if err := old.login(t); err != nil || old.Logins() != 1 {
				t.Errorf("an old Director: got %v, %q, want a login", err, old.Reasons())
			}
			continue
		}
		if !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), "SHA-1") || l.requests.Load() != 0 {
			t.Errorf("%s: got %v and %d requests, want an error that names SHA-1, and none", p.name, err, l.requests.Load())
		}
	}
}

// Without the opt-in nothing is ever signed with SHA-1.
func TestNoDefaultIsSHA1(t *testing.T) {
	for _, kind := range []string{"RSA-2048", "P-256", "P-384", "P-521"} {
		k := &hsm{key: testKeys[kind]()}
		k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			if o.HashFunc() == crypto.SHA1 {
				t.Errorf("%s: signs with SHA-1", kind)
			}
			return k.key.Sign(nil, d, o)
		}
		for _, p := range protocols {
			_ = newLab(t, p, signer.Options{}, k, nil).login(t)
		}
	}
}

// faultyKeys are what a key can do wrong, beyond badSignatures.
func faultyKeys(kind string) map[string]func(good func() bool) crypto.Signer {
	keys := map[string]func(good func() bool) crypto.Signer{
		"another public key": func(good func() bool) crypto.Signer {
			return &changeling{first: testKeys[kind](), second: freshKey(kind), good: good}
		},
		"the digest changed": func(good func() bool) crypto.Signer {
			k := &hsm{key: testKeys[kind]()}
			k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) {
				if !good() {
					d[0]++
				}
				return k.key.Sign(nil, d, o)
			}
			return k
		},
	}
	for _, bad := range badSignatures {
		if bad.kind != kind {
			continue
		}
		keys[bad.name] = func(good func() bool) crypto.Signer {
			k := &hsm{key: testKeys[kind]()}
			k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) {
				if good() {
					return k.key.Sign(nil, d, o)
				}
				return bad.fake(k.key, d, o)
			}
			return k
		}
	}
	return keys
}

// A changeling becomes another key.
type changeling struct {
	first, second crypto.Signer
	good          func() bool
}

func (c *changeling) now() crypto.Signer {
	if c.good() {
		return c.first
	}
	return c.second
}
func (c *changeling) Public() crypto.PublicKey { return c.now().Public() }
func (c *changeling) Sign(_ io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	return c.now().Sign(nil, d, o)
}

// No server ever sees the login of a key that signs wrongly, from its first
// signature on or from a later one.
func TestNoLoginIsSentForAKeyThatSignsWrongly(t *testing.T) {
	for _, p := range protocols {
		for _, kind := range []string{"RSA-2048", "P-256"} {
			if p.name == "REST" && kind == "P-256" {
				continue // not taken
			}
			for name, fault := range faultyKeys(kind) {
				for _, from := range []int{1, 2} {
					t.Run(fmt.Sprint(p.name, " ", kind, " ", name, " from ", from), func(t *testing.T) {
						var signatures atomic.Int32
						key := fault(func() bool { return signatures.Load() < int32(from) })
						l := newLab(t, p, signer.Options{}, counted{key, &signatures}, nil)
						err := l.login(t)
						if err == nil || l.Logins()+l.Refused()+l.Calls(p.login) != 0 {
							t.Errorf("got %v, %d logins, %d refusals, %d tries, want an error before the login is sent", err, l.Logins(), l.Refused(), l.Calls(p.login))
						}
						if from == 1 && l.requests.Load() != 0 {
							t.Errorf("%d requests were sent", l.requests.Load())
						}
					})
				}
			}
		}
	}
}

// counted counts the signatures that a key begins.
type counted struct {
	crypto.Signer
	n *atomic.Int32
}

func (c counted) Sign(random io.Reader, d []byte, o crypto.SignerOpts) ([]byte, error) {
	c.n.Add(1)
	return c.Signer.Sign(random, d, o)
}

// A key that never answers holds nobody up for longer than LoginTimeout, and
// what it signs after that is not sent.
func TestKeyThatBlocksEndsWithTheLoginTimeout(t *testing.T) {
	issuer() // not within the time of a bubble
	key := testKeys["P-256"]()
	for _, p := range []protocol{protocols[0], protocols[2], protocols[3]} {
		for _, from := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				release, signatures := make(chan struct{}), 0
				var released sync.Once
				open := func() { released.Do(func() { close(release) }) }
				k := &hsm{key: key}
				k.fake = func(d []byte, o crypto.SignerOpts) ([]byte, error) {
					if signatures++; signatures >= from {
						<-release
					}
					return key.Sign(nil, d, o)
				}
				l := newLab(t, p, signer.Options{}, k, nil)
				defer open()
				began := time.Now()
				err := l.login(t)
				if took := time.Since(began); took != 30*time.Second || !strings.Contains(fmt.Sprint(err), "LoginTimeout") {
					t.Errorf("%s: got %v after %v, want LoginTimeout after 30s", p.name, err, took)
				}
				open()
				synctest.Wait()
				if l.Logins()+l.Refused()+l.Calls(p.login) != 0 || from == 1 && l.requests.Load() != 0 {
					t.Errorf("%s: %d requests, %d logins were sent", p.name, l.requests.Load(), l.Calls(p.login))
				}
			})
		}
	}
}

// A request waits no longer than its own context for a key that blocks.
func TestRequestLeavesAKeyThatBlocks(t *testing.T) {
	issuer()
	key := testKeys["P-256"]()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		k := &hsm{key: key, fake: func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			<-release
			return key.Sign(nil, d, o)
		}}
		l := newLab(t, protocols[0], signer.Options{}, k, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := (&http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: "server.example.test", Path: "/sdk"}, Header: http.Header{}}).WithContext(ctx)
		began := time.Now()
		if _, err := l.transport.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want the request's own deadline", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		close(release)
		synctest.Wait()
		if l.requests.Load() != 0 {
			t.Errorf("%d requests were sent", l.requests.Load())
		}
	})
}
