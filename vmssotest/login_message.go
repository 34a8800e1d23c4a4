package vmssotest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Login is one accepted LoginByToken.
type Login struct {
	Subject     string            // the NameID of the assertion
	Assertion   string            // the bytes of the assertion as they stood in the request
	AssertionID string            // the assertion's ID
	HolderOfKey bool              // false: bearer
	Holder      *x509.Certificate // whose key signed the message; nil for a bearer token
	Locale      string            // the locale that was asked for
	Cookie      string            // the value of the cookie of the session that began; with a Backend, the one that the backend set or else the request's
	Message     []byte            // the whole request body; not to be modified
}

// verifyLogin checks a LoginByToken message as vCenter does: the frame, the timestamp, the assertion, and for a holder-of-key token that the holder
// signed this timestamp and this body.
func verifyLogin(raw []byte, trust []*x509.Certificate, now time.Time, tolerance time.Duration) (*Login, error) {
	e, err := openEnvelope(raw)
	if err != nil {
		return nil, err
	}
	if err := e.checkTime(now, tolerance); err != nil {
		return nil, err
	}
	if e.assertion == nil {
		return nil, refuse(invalidSecurity, "no assertion")
	}
	if err := e.loneAssertion(e.root, e.assertion); err != nil {
		return nil, err
	}
	t, err := verifyAssertion(e.assertion, trust, now, tolerance)
	if err != nil {
		return nil, refuse(invalidSecurity, "%v", err)
	}
	if err := e.checkPossession(t); err != nil {
		return nil, refuse(invalidSecurity, "%v", err)
	}
	locale, err := readLoginByToken(e.body)
	if err != nil {
		return nil, refuse(invalidRequest, "%v", err)
	}
	return &Login{
		Subject: t.subject, Assertion: e.bytes(e.assertion), AssertionID: t.id,
		HolderOfKey: t.holder != nil, Holder: t.holder, Locale: locale, Message: raw,
	}, nil
}

// loneAssertion refuses assertions other than those that the message has a place for; inside these they are legal (saml2:Advice).
func (e *envelope) loneAssertion(el *etree.Element, known ...*etree.Element) error {
	for _, c := range el.ChildElements() {
		if slices.Contains(known, c) {
			continue
		}
		if c.Tag == "Assertion" || c.Tag == "EncryptedAssertion" {
			return refuse(invalidSecurity, "a second assertion in the message")
		}
		if err := e.loneAssertion(c, known...); err != nil {
			return err
		}
	}
	return nil
}

// checkPossession checks the message signature. With a bearer token there must be none: nobody could tell whose it is.
func (e *envelope) checkPossession(t *token) error {
	if t.holder == nil {
		if e.signature != nil {
			return errors.New("message with a bearer token is signed")
		}
		return nil
	}
	if e.signature == nil {
		return errors.New("message with a holder-of-key token is not signed")
	}
	s, err := parseSignature(e.signature)
	if err != nil {
		return err
	}
	if err := checkAssertionReference(s.keyInfo, t.id); err != nil {
		return err
	}
	return e.checkSignature(s, t.holder.PublicKey)
}

// checkAssertionReference demands KeyInfo > SecurityTokenReference > KeyIdentifier with the assertion's ID (WSS SAML Token Profile 1.1.1, 3.4).
func checkAssertionReference(keyInfo *etree.Element, id string) error {
	ref, err := tokenReference(keyInfo)
	if err != nil {
		return err
	}
	parts, err := shape(ref, nsWSSE, "KeyIdentifier")
	if err != nil {
		return err
	}
	if err := allowAttrs(parts[0], "ValueType"); err != nil {
		return err
	}
	if kind, _ := attr(parts[0], "", "ValueType"); kind != samlIDType {
		return fmt.Errorf("KeyIdentifier has ValueType %q", kind)
	}
	if kind, ok := attr(ref, nsWSSE11, "TokenType"); ok && kind != samlTokenType {
		return fmt.Errorf("SecurityTokenReference has TokenType %q", kind)
	}
	got, err := trimmedText(parts[0])
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("the signature's KeyInfo names %q, the assertion is %q", got, id)
	}
	return nil
}

// tokenReference returns the wsse:SecurityTokenReference that KeyInfo consists of.
func tokenReference(keyInfo *etree.Element) (*etree.Element, error) {
	if keyInfo == nil {
		return nil, errors.New("signature without KeyInfo")
	}
	if err := allowAttrs(keyInfo, "Id"); err != nil {
		return nil, err
	}
	parts, err := shape(keyInfo, nsWSSE, "SecurityTokenReference")
	if err != nil {
		return nil, err
	}
	return parts[0], allowAttrs(parts[0], "{"+nsWSSE11+"}TokenType", "{"+nsWSU+"}Id")
}

// readLoginByToken checks the body. govmomi sends the operation without a namespace in its signed form; vCenter takes it.
func readLoginByToken(body *etree.Element) (locale string, err error) {
	list, err := elements(body)
	if err != nil {
		return "", err
	}
	if len(list) != 1 || list[0].Tag != "LoginByToken" {
		return "", errors.New("body is not one LoginByToken")
	}
	ns, _ := namespace(list[0], list[0].Space)
	if ns != nsVim && ns != "" {
		return "", fmt.Errorf("LoginByToken has namespace %q", ns)
	}
	parts, err := shape(list[0], ns, "_this", "locale?")
	if err != nil {
		return "", err
	}
	if err := errors.Join(allowAttrs(list[0]), allowAttrs(parts[0], "type", "{"+nsXSI+"}type")); err != nil {
		return "", err
	}
	kind, _ := attr(parts[0], "", "type")
	if this, err := text(parts[0]); err != nil || kind != "SessionManager" || this != "SessionManager" {
		return "", errors.New("_this is not the SessionManager")
	}
	if parts[1] != nil {
		return trimmedText(parts[1])
	}
	return "", nil
}

// checkSOAPAction demands urn:vim25/<version>, in quotes or not.
func checkSOAPAction(action string) error {
	bare := action
	if len(bare) >= 2 && bare[0] == '"' && bare[len(bare)-1] == '"' {
		bare = bare[1 : len(bare)-1]
	}
	version, ok := strings.CutPrefix(bare, nsVim+"/")
	if !ok || version == "" || strings.Trim(version, "0123456789.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") != "" {
		return fmt.Errorf("SOAPAction %q is not of vSphere", action)
	}
	return nil
}
