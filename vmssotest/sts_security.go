package vmssotest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// credentials are a user name and a password.
type credentials struct{ name, password string }

// proof is what a request brings to show who asks. A signature has been verified with the key of cert; the password has not been looked at.
type proof struct {
	user        *credentials      // nil: no UsernameToken
	cert        *x509.Certificate // nil: not signed
	token       *token            // the holder-of-key token that cert belongs to; nil: cert came by itself
	signatureID string
}

// prove reads the credentials. A holder-of-key token of this STS stands for itself: neither password nor certificate can come with it.
func (s *STS) prove(e *envelope, now time.Time) (p *proof, err error) {
	p = &proof{}
	if p.user, err = e.usernamePassword(); err != nil {
		return nil, err
	}
	if e.assertion != nil {
		return p, s.proveByToken(e, p, now)
	}
	if e.signature == nil && e.binaryToken == nil {
		return p, nil
	}
	if e.signature == nil || e.binaryToken == nil {
		return nil, errors.New("BinarySecurityToken and Signature belong together")
	}
	return p, e.proveByCertificate(p)
}

func (s *STS) proveByToken(e *envelope, p *proof, now time.Time) error {
	if p.user != nil || e.binaryToken != nil {
		return errors.New("a token and other credentials")
	}
	t, err := verifyAssertion(e.assertion, []*x509.Certificate{s.cfg.Authority.Certificate()}, now, s.cfg.Tolerance)
	if err != nil {
		return err
	}
	if t.holder == nil {
		return errors.New("a bearer token does not prove who asks")
	}
	if err := t.readGrants(); err != nil {
		return err
	}
	p.token, p.cert = t, t.holder
	if err := e.checkPossession(t); err != nil {
		return err
	}
	p.signatureID, _ = attr(e.signature, "", "Id")
	return nil
}

func (e *envelope) proveByCertificate(p *proof) error {
	der, id, err := e.readBinaryToken()
	if err != nil {
		return err
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("BinarySecurityToken: %w", err)
	}
	s, err := parseSignature(e.signature)
	if err != nil {
		return err
	}
	ref, err := tokenReference(s.keyInfo)
	if err != nil {
		return err
	}
	parts, err := shape(ref, nsWSSE, "Reference")
	if err != nil {
		return err
	}
	if err := allowAttrs(parts[0], "URI", "ValueType"); err != nil {
		return err
	}
	uri, _ := attr(parts[0], "", "URI")
	if kind, ok := attr(parts[0], "", "ValueType"); uri != "#"+id || ok && kind != x509v3Type {
		return errors.New("KeyInfo does not refer to the BinarySecurityToken")
	}
	p.signatureID = s.id
	return e.checkSignature(s, p.cert.PublicKey)
}

func (e *envelope) readBinaryToken() (der []byte, id string, err error) {
	el := e.binaryToken
	if err := allowAttrs(el, "EncodingType", "ValueType", "{"+nsWSU+"}Id"); err != nil {
		return nil, "", err
	}
	if kind, _ := attr(el, "", "ValueType"); kind != x509v3Type {
		return nil, "", fmt.Errorf("BinarySecurityToken has ValueType %q", kind)
	}
	if kind, ok := attr(el, "", "EncodingType"); ok && kind != base64Encoding { // Base64Binary is the default
		return nil, "", fmt.Errorf("BinarySecurityToken has EncodingType %q", kind)
	}
	if id, _ = attr(el, nsWSU, "Id"); !isName(id) {
		return nil, "", errors.New("BinarySecurityToken has no wsu:Id")
	}
	der, err = base64Text(el)
	return der, id, err
}

// usernamePassword returns the UsernameToken; nil if there is none. Passwords come in clear text: a digest of one is not accepted.
func (e *envelope) usernamePassword() (*credentials, error) {
	el := e.usernameToken
	if el == nil {
		return nil, nil
	}
	parts, err := shape(el, nsWSSE, "Username", "Password")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(allowAttrs(el, "{"+nsWSU+"}Id"), allowAttrs(parts[0]), allowAttrs(parts[1], "Type")); err != nil {
		return nil, err
	}
	if kind, ok := attr(parts[1], "", "Type"); ok && kind != passwordText {
		return nil, fmt.Errorf("password of type %q", kind)
	}
	c := &credentials{}
	if c.name, err = text(parts[0]); err != nil {
		return nil, err
	}
	c.password, err = text(parts[1])
	return c, err
}
