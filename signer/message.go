package signer

import (
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
)

// The pieces of a message (OASIS WS-Security 1.1, SAML token profile 1.1, X.509
// token profile 1.0). What is signed, Timestamp, Body and SignedInfo, is written
// in exclusive canonical form, each with the namespaces that it uses: the bytes
// that are hashed are those that are sent (see foreignBody for the exception).
// The assertion and what follows it are
// not signed; servers find the assertion only if it stands before the Signature.
const (
	nsSoap   = envelope.Soap11
	nsWsse   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWsu    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsWsse11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
	samlTP   = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#"
	x509v3   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
	base64b  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
	excC14N  = "http://www.w3.org/2001/10/xml-exc-c14n#"

	opening = `<soap:Envelope xmlns:soap="` + nsSoap + `"><soap:Header><wsse:Security xmlns:wsse="` + nsWsse + `" xmlns:wsu="` + nsWsu + `">`
	closing = `</wsse:Security></soap:Header>`
	ending  = `</soap:Envelope>`

	binaryToken   = `<wsse:BinarySecurityToken EncodingType="` + base64b + `" ValueType="` + x509v3 + `" wsu:Id="%s">%s</wsse:BinarySecurityToken>`
	usernameToken = `<wsse:UsernameToken><wsse:Username>%s</wsse:Username><wsse:Password>%s</wsse:Password></wsse:UsernameToken>`

	keyInfoToken = `<ds:KeyInfo><wsse:SecurityTokenReference xmlns:wsse11="` + nsWsse11 + `" wsse11:TokenType="` + samlTP + `SAMLV2.0">` +
		`<wsse:KeyIdentifier ValueType="` + samlTP + `SAMLID">%s</wsse:KeyIdentifier></wsse:SecurityTokenReference></ds:KeyInfo>`
	keyInfoCertificate = `<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#%s" ValueType="` + x509v3 + `"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>`
)

const wireTime = "2006-01-02T15:04:05.000Z" // of an instant in UTC

// Message returns a SOAP 1.1 message with this content of its Body. The content
// is one element in the exclusive canonical form (W3C xml-exc-c14n) that it has
// inside a Body which declares the prefixes soap and wsu; [Signer.Envelope]
// takes any element.
func (s *Signer) Message(content []byte, now time.Time) ([]byte, error) {
	id := newID()
	body := make([]byte, 0, len(content)+256)
	body = append(body, `<soap:Body xmlns:soap="`+nsSoap+`" xmlns:wsu="`+nsWsu+`" wsu:Id="`...)
	body = append(body, id[:]...)
	body = append(body, `">`...)
	body = append(body, content...)
	body = append(body, `</soap:Body>`...)
	return s.message(body, reference{id[:], body}, now)
}

// RawMessage is [Signer.Message] for content in any form: it is sent as it is, byte
// for byte, and canonicalized for the signature alone. It is for content that
// holds an assertion, which must reach the server as its issuer wrote it. The
// prefixes soap and wsu are declared around it.
func (s *Signer) RawMessage(content []byte, now time.Time) ([]byte, error) {
	id := newID()
	opening := `<soap:Body xmlns:soap="` + nsSoap + `" xmlns:wsu="` + nsWsu + `" wsu:Id="` + id.String() + `">`
	sent := slices.Concat([]byte(opening), content, []byte(`</soap:Body>`))
	if s.key == nil {
		return s.message(sent, reference{}, now)
	}
	canonical, err := canonicalBody(sent)
	if err != nil {
		return nil, fmt.Errorf("signer: the body cannot be canonicalized: %w", err)
	}
	return s.message(sent, reference{id[:], canonical}, now)
}

// Envelope returns a SOAP 1.1 message with a copy of body inside its Body. The
// element may use namespaces that its ancestors declare; comments are left out.
func (s *Signer) Envelope(body *etree.Element, now time.Time) ([]byte, error) {
	id := newID()
	sent, canonical, err := foreignBody(body, id.String())
	if err != nil {
		return nil, fmt.Errorf("signer: the body cannot be canonicalized: %w", err)
	}
	return s.message(sent, reference{id[:], canonical}, now)
}

// CheckMessage tells, without a signature, why this Signer cannot make SOAP
// messages: nil if it can.
func (s *Signer) CheckMessage() error {
	switch {
	case s.key == nil:
		return nil
	case s.keyInfo == nil:
		return fmt.Errorf("%w: a SOAP message with an EncryptedAssertion cannot be signed, because its ID is not known", vmsso.ErrUnsupportedToken)
	case s.key.alg.xml == "":
		return s.key.alg.refusedBy("a SOAP message", "SHA-256, SHA-384 and SHA-512")
	}
	return nil
}

// message puts the header before a Body, which is signed in its canonical form.
func (s *Signer) message(body []byte, signed reference, now time.Time) ([]byte, error) {
	if err := s.CheckMessage(); err != nil {
		return nil, err
	}
	size := len(s.opening) + len(s.proof) + len(body) + 512
	if s.key != nil {
		size += len(s.keyInfo) + 4096
	}
	id := newID()
	created, expires := s.options.period(now)
	m := append(make([]byte, 0, size), s.opening...)
	start := len(m)
	m = append(m, `<wsu:Timestamp xmlns:wsu="`+nsWsu+`" wsu:Id="`...)
	m = append(m, id[:]...)
	m = append(m, `"><wsu:Created>`...)
	m = created.AppendFormat(m, wireTime)
	m = append(m, `</wsu:Created><wsu:Expires>`...)
	m = expires.AppendFormat(m, wireTime)
	m = append(m, `</wsu:Expires></wsu:Timestamp>`...)
	timestamp := m[start:]
	m = append(m, s.proof...)
	if s.key != nil {
		var err error
		if m, err = s.appendSignature(m, reference{id[:], timestamp}, signed); err != nil {
			return nil, err
		}
	}
	m = append(m, closing...)
	m = append(m, body...)
	return append(m, ending...), nil
}

// A reference is one signed part in canonical form.
type reference struct {
	id        []byte
	canonical []byte
}

// appendSignature appends the Signature of the parts.
func (s *Signer) appendSignature(m []byte, parts ...reference) ([]byte, error) {
	m = append(m, `<ds:Signature xmlns:ds="`+dsig+`" Id="`...)
	m = append(m, s.signatureID...)
	m = append(m, `">`...)
	start := len(m)
	m = append(m, `<ds:SignedInfo xmlns:ds="`+dsig+`"><ds:CanonicalizationMethod Algorithm="`+excC14N+`"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="`...)
	m = append(m, s.key.alg.xml...)
	m = append(m, `"></ds:SignatureMethod>`...)
	for _, p := range parts {
		m = append(m, `<ds:Reference URI="#`...)
		m = append(m, p.id...)
		m = append(m, `"><ds:Transforms><ds:Transform Algorithm="`+excC14N+`"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="`...)
		m = append(m, digestURI(s.options.Digest)...)
		m = append(m, `"></ds:DigestMethod><ds:DigestValue>`...)
		var digest [64]byte
		m = base64.StdEncoding.AppendEncode(m, appendSum(digest[:0], s.options.Digest, p.canonical))
		m = append(m, `</ds:DigestValue></ds:Reference>`...)
	}
	m = append(m, `</ds:SignedInfo>`...)
	signature, err := s.key.sign(m[start:])
	if err != nil {
		return nil, err
	}
	if s.key.size > 0 {
		var rs [2 * len(zeros)]byte
		if signature, err = appendFixedWidth(rs[:0], signature, s.key.size); err != nil {
			return nil, err
		}
	}
	m = append(m, `<ds:SignatureValue>`...)
	m = base64.StdEncoding.AppendEncode(m, signature)
	m = append(m, `</ds:SignatureValue>`...)
	m = append(m, s.keyInfo...)
	return append(m, `</ds:Signature>`...), nil
}
