// Package signer makes messages that prove an identity, signed where there is a
// key: SOAP envelopes with a WS-Security header that carries a SAML token, a
// certificate or a password, and what vSphere Automation and vCloud Director
// take a SAML token in.
//
// Most programs do not use it directly: packages soap, automation, vcloud and
// tokensource do.
//
//	a SOAP message                                  New, then Signer.Envelope, Message or RawMessage
//	a login to vSphere Automation                   New, then Signer.AutomationHeader (REST) or JSONRPC
//	a login to vCloud Director                      New, then Signer.VCloudHeader
//	any of them, over and over, with other tokens   Cache
//	another hash, other times                       Options.New
//	what an assertion says                          ParseAssertion
//	whether that is true                            Verify
package signer

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
)

// Credentials are what a client proves its identity with. What is set decides:
//
//	Token                    bearer, or holder-of-key if Token.Key is set
//	Certificate              a certificate and its private key
//	Username and Password
//	all but Token            a person, bound to a certificate
//
// They are a secret: no fmt verb and no log/slog shows them, and encoding them
// as JSON is an error.
type Credentials struct {
	Token              *vmsso.Token
	Certificate        *tls.Certificate // its PrivateKey is a crypto.Signer; only the leaf is sent
	Username, Password string
}

// A Signer makes messages with one set of credentials. What is the same in all
// of them is made once, in [New]. It is safe for concurrent use.
type Signer struct {
	options     Options
	opening     []byte // up to the Timestamp
	proof       []byte // behind it: assertion, certificate, password
	keyInfo     []byte // nil: an EncryptedAssertion, whose ID is not known
	key         *key   // nil: nothing is signed
	signatureID string

	packed func() string // a header with the token, made when it is needed; nil: there is no token
	nonces *nonces
	vcloud *madeHeader
}

// New returns a [Signer] as servers want it: it is [Options.New] without options.
func New(c Credentials) (*Signer, error) { return Options{}.New(c) }

func (s *Signer) use(c Credentials) error {
	switch {
	case c.Token != nil && (c.Certificate != nil || c.Username != "" || c.Password != ""):
		return errors.New("signer: Credentials have a token and something else: give one")
	case c.Token != nil:
		return s.useToken(c.Token)
	case c.Certificate == nil && c.Username == "" && c.Password == "":
		return errors.New("signer: Credentials are empty: give a token, a certificate, or a user name and password")
	case (c.Username == "") != (c.Password == ""):
		return errors.New("signer: Credentials have only one of user name and password: give both")
	}
	if c.Certificate != nil {
		if err := s.useCertificate(c.Certificate); err != nil {
			return err
		}
	}
	if c.Username != "" {
		return s.usePassword(c.Username, c.Password)
	}
	return nil
}

func (s *Signer) useToken(tok *vmsso.Token) error {
	a, err := ParseAssertion(tok.Assertion)
	switch {
	case err != nil:
		return err
	case tok.Key == nil && a.HolderOfKey:
		return fmt.Errorf("%w: it is a holder-of-key token: give its private key as Token.Key", vmsso.ErrUnsupportedKey)
	case tok.Key != nil && !a.HolderOfKey && !a.Encrypted:
		return fmt.Errorf("%w: it is a bearer token, which has no key: leave Token.Key nil", vmsso.ErrUnsupportedKey)
	}
	s.proof = []byte(tok.Assertion)
	s.packed = sync.OnceValue(func() string { return pack(tok.Assertion) })
	if tok.Key == nil {
		return nil
	}
	if s.key, err = newKey(tok.Key, s.options.Hash); err != nil {
		return err
	}
	if a.Encrypted {
		return nil // whose key it is issued for is for the server to see
	}
	if !a.Fits(s.key.public) {
		return fmt.Errorf("%w: Token.Key is not the key that the token was issued for%s", vmsso.ErrUnsupportedKey, a.holderName())
	}
	s.keyInfo = fmt.Appendf(nil, keyInfoToken, envelope.Text(a.ID))
	return nil
}

func (s *Signer) useCertificate(c *tls.Certificate) error {
	private, ok := c.PrivateKey.(crypto.Signer)
	if !ok || len(c.Certificate) == 0 {
		return fmt.Errorf("%w: the certificate comes without a private key that can sign", vmsso.ErrUnsupportedKey)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return fmt.Errorf("%w: the certificate cannot be read: %w", vmsso.ErrUnsupportedKey, err)
	}
	if s.key, err = newKey(private, s.options.Hash); err != nil {
		return err
	}
	if k, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(s.key.public) {
		return fmt.Errorf("%w: the private key is not that of the certificate %q", vmsso.ErrUnsupportedKey, leaf.Subject)
	}
	if now := time.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return fmt.Errorf("%w: the certificate %q is valid from %s to %s only", vmsso.ErrUnsupportedKey, leaf.Subject,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	id := newID().String()
	s.proof = fmt.Appendf(s.proof, binaryToken, id, base64.StdEncoding.EncodeToString(leaf.Raw))
	s.keyInfo = fmt.Appendf(nil, keyInfoCertificate, id)
	return nil
}

func (s *Signer) usePassword(user, password string) error {
	for name, v := range map[string]string{"user name": user, "password": password} {
		if err := envelope.Valid(v); err != nil {
			return fmt.Errorf("signer: the %s has %w, which XML cannot carry", name, err)
		}
	}
	s.proof = fmt.Appendf(s.proof, usernameToken, envelope.Text(user), envelope.Text(password))
	return nil
}

// HolderOfKey tells whether the messages are signed.
func (s *Signer) HolderOfKey() bool { return s.key != nil }

// SignatureID is the Id of the Signature element in every message of this
// Signer, to which a WS-Trust UseKey refers.
func (s *Signer) SignatureID() string { return s.signatureID }

// An id is an xml:id that is not used twice.
type id [33]byte

func newID() (name id) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	name[0] = '_'
	hex.Encode(name[1:], b[:])
	return name
}

func (name id) String() string { return string(name[:]) }

// Format writes which credentials are there, whatever the verb.
func (c Credentials) Format(f fmt.State, verb rune) { fmt.Fprint(f, c.describe()) }

// LogValue tells which credentials are there.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.describe()) }

// MarshalJSON is an error: credentials are a secret.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return nil, errors.New("signer: Credentials are a secret and are not encoded as JSON")
}

func (c Credentials) describe() string {
	return fmt.Sprintf("Credentials(token: %t, certificate: %t, password: %t)", c.Token != nil, c.Certificate != nil, c.Password != "")
}

// Format writes the kind of signer, whatever the verb.
func (s Signer) Format(f fmt.State, verb rune) { fmt.Fprintf(f, "Signer(signs: %t)", s.key != nil) }
