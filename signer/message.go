package signer

import (
	"crypto/sha256"
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
	sha256ns = "http://www.w3.org/2001/04/xmlenc#sha256"

	opening = `<soap:Envelope xmlns:soap="` + nsSoap + `"><soap:Header><wsse:Security xmlns:wsse="` + nsWsse + `" xmlns:wsu="` + nsWsu + `">`
	closing = `</wsse:Security></soap:Header>`
	ending  = `</soap:Envelope>`

	binaryToken   = `<wsse:BinarySecurityToken EncodingType="` + base64b + `" ValueType="` + x509v3 + `" wsu:Id="%s">%s</wsse:BinarySecurityToken>`
	usernameToken = `<wsse:UsernameToken><wsse:Username>%s</wsse:Username><wsse:Password>%s</wsse:Password></wsse:UsernameToken>`

	keyInfoToken = `<ds:KeyInfo><wsse:SecurityTokenReference xmlns:wsse11="` + nsWsse11 + `" wsse11:TokenType="` + samlTP + `SAMLV2.0">` +
		`<wsse:KeyIdentifier ValueType="` + samlTP + `SAMLID">%s</wsse:KeyIdentifier></wsse:SecurityTokenReference></ds:KeyInfo>`
	keyInfoCertificate = `<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#%s" ValueType="` + x509v3 + `"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>`
)

// The validity of a message. Servers tolerate 10 minutes of clock difference by
// default; that the message begins a little in the past helps a fast clock.
const (
	validity  = 10 * time.Minute
	backdated = 5 * time.Second
	wireTime  = "2006-01-02T15:04:05.000Z"
)

// Message returns a SOAP 1.1 message with this content of its Body. The content
// is one element in the exclusive canonical form (W3C xml-exc-c14n) that it has
// inside a Body which declares the prefixes soap and wsu; [Signer.Envelope]
// takes any element.
func (s *Signer) Message(content []byte, now time.Time) ([]byte, error) {
	id := newID()
	body := make([]byte, 0, len(content)+256)
	body = append(body, `<soap:Body xmlns:soap="`+nsSoap+`" xmlns:wsu="`+nsWsu+`" wsu:Id="`...)
	body = append(body, id...)
	body = append(body, `">`...)
	body = append(body, content...)
	body = append(body, `</soap:Body>`...)
	return s.message(body, reference{id, body}, now)
}

// RawMessage is [Signer.Message] for content in any form: it is sent as it is, byte
// for byte, and canonicalized for the signature alone. It is for content that
// holds an assertion, which must reach the server as its issuer wrote it. The
// prefixes soap and wsu are declared around it.
func (s *Signer) RawMessage(content []byte, now time.Time) ([]byte, error) {
	id := newID()
	opening := `<soap:Body xmlns:soap="` + nsSoap + `" xmlns:wsu="` + nsWsu + `" wsu:Id="` + id + `">`
	sent := slices.Concat([]byte(opening), content, []byte(`</soap:Body>`))
	if s.key == nil {
		return s.message(sent, reference{}, now)
	}
	canonical, err := canonicalBody(sent)
	if err != nil {
		return nil, fmt.Errorf("signer: the body cannot be canonicalized: %w", err)
	}
	return s.message(sent, reference{id, canonical}, now)
}

// Envelope returns a SOAP 1.1 message with a copy of body inside its Body. The
// element may use namespaces that its ancestors declare; comments are left out.
func (s *Signer) Envelope(body *etree.Element, now time.Time) ([]byte, error) {
	id := newID()
	sent, canonical, err := foreignBody(body, id)
	if err != nil {
		return nil, fmt.Errorf("signer: the body cannot be canonicalized: %w", err)
	}
	return s.message(sent, reference{id, canonical}, now)
}

// message puts the header before a Body, which is signed in its canonical form.
func (s *Signer) message(body []byte, signed reference, now time.Time) ([]byte, error) {
	if s.key != nil && s.keyInfo == nil {
		return nil, fmt.Errorf("%w: a SOAP message with an EncryptedAssertion cannot be signed, because its ID is not known", vmsso.ErrUnsupportedToken)
	}
	id, created := newID(), now.UTC().Add(-backdated)
	m := make([]byte, 0, len(s.opening)+len(s.proof)+len(s.keyInfo)+len(body)+4096)
	m = append(m, s.opening...)
	start := len(m)
	m = append(m, `<wsu:Timestamp xmlns:wsu="`+nsWsu+`" wsu:Id="`...)
	m = append(m, id...)
	m = append(m, `"><wsu:Created>`...)
	m = created.AppendFormat(m, wireTime)
	m = append(m, `</wsu:Created><wsu:Expires>`...)
	m = created.Add(validity).AppendFormat(m, wireTime)
	m = append(m, `</wsu:Expires></wsu:Timestamp>`...)
	timestamp := m[start:]
	m = append(m, s.proof...)
	if s.key != nil {
		var err error
		if m, err = s.appendSignature(m, reference{id, timestamp}, signed); err != nil {
			return nil, err
		}
	}
	m = append(m, closing...)
	m = append(m, body...)
	return append(m, ending...), nil
}

// A reference is one signed part in canonical form.
type reference struct {
	id        string
	canonical []byte
}

// appendSignature appends the Signature of the parts.
func (s *Signer) appendSignature(m []byte, parts ...reference) ([]byte, error) {
	info := make([]byte, 0, 1536)
	info = append(info, `<ds:SignedInfo xmlns:ds="`+dsig+`"><ds:CanonicalizationMethod Algorithm="`+excC14N+`"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="`...)
	info = append(info, s.key.alg.uri...)
	info = append(info, `"></ds:SignatureMethod>`...)
	for _, p := range parts {
		digest := sha256.Sum256(p.canonical)
		info = append(info, `<ds:Reference URI="#`...)
		info = append(info, p.id...)
		info = append(info, `"><ds:Transforms><ds:Transform Algorithm="`+excC14N+`"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="`+sha256ns+`"></ds:DigestMethod><ds:DigestValue>`...)
		info = base64.StdEncoding.AppendEncode(info, digest[:])
		info = append(info, `</ds:DigestValue></ds:Reference>`...)
	}
	info = append(info, `</ds:SignedInfo>`...)
	signature, err := s.key.sign(info)
	if err != nil {
		return nil, err
	}
	m = append(m, `<ds:Signature xmlns:ds="`+dsig+`" Id="`...)
	m = append(m, s.signatureID...)
	m = append(m, `">`...)
	m = append(m, info...)
	m = append(m, `<ds:SignatureValue>`...)
	m = base64.StdEncoding.AppendEncode(m, signature)
	m = append(m, `</ds:SignatureValue>`...)
	m = append(m, s.keyInfo...)
	return append(m, `</ds:Signature>`...), nil
}
