package signer

import (
	"crypto"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
)

// Limits of an assertion.
const (
	maxAssertion = 1 << 20 // bytes
	maxDepth     = 64
	maxAttrs     = 256 // on one element, namespace declarations included
)

const (
	saml2  = "urn:oasis:names:tc:SAML:2.0:assertion"
	saml2p = "urn:oasis:names:tc:SAML:2.0:protocol"
	saml1  = "urn:oasis:names:tc:SAML:1.0:assertion"
	dsig   = "http://www.w3.org/2000/09/xmldsig#"
	dsig11 = "http://www.w3.org/2009/xmldsig11#"
	xsi    = "http://www.w3.org/2001/XMLSchema-instance"

	delegation = "urn:oasis:names:tc:SAML:2.0:conditions:delegation" // saml2-delegation
	cmBearer   = "urn:oasis:names:tc:SAML:2.0:cm:bearer"             // saml-profiles-2.0
	cmHolder   = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"      //
)

// An Assertion is what a client has to know of a SAML 2.0 assertion (OASIS
// saml-core-2.0). Nothing in it is verified: that is the server's part, which
// knows the issuer. Who wants it verified all the same uses [Verify].
type Assertion struct {
	ID          string
	Issuer      string
	Subject     string            // the NameID
	HolderOfKey bool              // by its subject confirmation; otherwise bearer
	Holder      *x509.Certificate // of a holder-of-key token; nil if it names the key in another way
	NotBefore   time.Time         // zero if unlimited
	Expires     time.Time         // NotOnOrAfter; zero if unlimited
	Audiences   []string
	Encrypted   bool // an EncryptedAssertion: nothing else is known

	// Confirmations are the methods of its subject confirmations, in order.
	Confirmations []string

	// HolderKey is the public key of a holder-of-key token: that of Holder, or
	// an RSA or elliptic key that it gives as a KeyValue. It is nil if the token
	// names the key in another way, or a kind of key that is not known here.
	HolderKey crypto.PublicKey

	// ConfirmBy is the NotOnOrAfter of its subject confirmation, the latest if
	// there are several: after that nobody may present it as its subject. Some
	// issuers, such as AD FS, give less time here than in Expires. Zero if
	// unlimited.
	ConfirmBy time.Time

	// Delegates are those to whom it was passed on, the first one first.
	Delegates []string

	// Delegations and Renewals are how often it may still be passed on and
	// renewed, where it says so; nil if it does not.
	Delegations, Renewals *int
}

// ParseAssertion reads an assertion in one strict pass. The text must be that
// of one well-formed element and nothing else: it will be put into a message as
// it is. A document type declaration, a processing instruction, the XML
// declaration, an attribute or ID that is there twice and anything over the
// limits (1 MiB, 64 levels, 256 attributes) are refused. Every error wraps
// [vmsso.ErrUnsupportedToken] and tells the byte where it can, never the content.
func ParseAssertion(text string) (*Assertion, error) {
	r, err := readAssertion(text)
	if err != nil {
		return nil, err
	}
	return r.a, nil
}

// readAssertion also returns what the reader noticed beside the assertion.
func readAssertion(text string) (*reader, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	r := &reader{d: xml.NewDecoder(strings.NewReader(text)), a: &Assertion{}}
	for {
		at := r.d.InputOffset()
		t, err := r.d.Token()
		if err == io.EOF {
			return r, r.check()
		}
		if err != nil {
			return nil, unsupported("not well-formed XML at byte %d", r.d.InputOffset())
		}
		if err := r.token(t); err != nil {
			return nil, fmt.Errorf("%w (at byte %d)", err, at)
		}
	}
}

// checkText finds what is no text of an element before any of it is parsed.
func checkText(text string) error {
	switch {
	case text == "":
		return unsupported("it is empty")
	case len(text) > maxAssertion:
		return unsupported("it is longer than %d bytes", maxAssertion)
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"), strings.HasPrefix(text, "<\x00"), strings.HasPrefix(text, "\x00<"):
		return unsupported("it is UTF-16 (at byte 0): give it as UTF-8, byte for byte as the issuer wrote it")
	case strings.HasPrefix(text, "\ufeff"):
		return unsupported("it has a byte order mark (at byte 0): leave that out")
	case text[0] != '<':
		return unsupported("it does not begin with '<' (at byte 0): give the Assertion element as the issuer wrote it, without what stands around it")
	case text[len(text)-1] != '>':
		return unsupported("it does not end with '>' (at byte %d): give the Assertion element as the issuer wrote it, without what stands around it", len(text)-1)
	}
	// The decoder looks at characters nowhere but in text and attributes.
	if err := envelope.Valid(text); err != nil {
		return unsupported("it has %w", err)
	}
	return nil
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{vmsso.ErrUnsupportedToken}, args...)...)
}

// Fits tells whether pub is the holder's key, as far as the assertion says.
func (a *Assertion) Fits(pub crypto.PublicKey) bool {
	if a.Holder == nil && a.HolderKey == nil {
		return true
	}
	k, ok := a.HolderKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(pub)
}

// holderName is for errors.
func (a *Assertion) holderName() string {
	if a.Holder == nil {
		return ""
	}
	return fmt.Sprintf(" (certificate %q)", a.Holder.Subject)
}
