package vmssotest

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// envelope is a SOAP 1.1 message with one WS-Security header. The elements are found by their place, never by their name alone.
type envelope struct {
	*document
	body *etree.Element

	// children of wsse:Security; nil if missing
	timestamp, assertion, binaryToken, usernameToken, signature *etree.Element

	created, expires time.Time
}

// openEnvelope parses a message and checks its frame, the timestamp's form included.
func openEnvelope(raw []byte) (*envelope, error) {
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, refuse(invalidRequest, "%v", err)
	}
	e := &envelope{document: doc}
	security, err := e.frame()
	if err != nil {
		return nil, refuse(invalidRequest, "%v", err)
	}
	if err := e.readSecurity(security); err != nil {
		return nil, refuse(invalidSecurity, "%v", err)
	}
	if err := e.noStrays(e.root); err != nil {
		return nil, refuse(invalidSecurity, "%v", err)
	}
	if err := e.readTimestamp(); err != nil {
		return nil, refuse(invalidSecurity, "%v", err)
	}
	return e, nil
}

// frame finds Envelope > Header > Security and Envelope > Body.
func (e *envelope) frame() (security *etree.Element, err error) {
	if !is(e.root, nsSOAP, "Envelope") {
		return nil, fmt.Errorf("%s is not a SOAP 1.1 envelope", e.root.Tag)
	}
	parts, err := shape(e.root, nsSOAP, "Header", "Body")
	if err != nil {
		return nil, err
	}
	e.body = parts[1]
	if err := errors.Join(allowAttrs(e.root), allowAttrs(parts[0]), allowAttrs(e.body, "{"+nsWSU+"}Id")); err != nil {
		return nil, err
	}
	headers, err := elements(parts[0])
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		if is(h, nsWSSE, "Security") {
			if security != nil {
				return nil, errors.New("more than one Security header")
			}
			security = h
		} else if must, _ := attr(h, nsSOAP, "mustUnderstand"); must == "1" || must == "true" {
			return nil, fmt.Errorf("header %s is not understood", h.Tag)
		}
	}
	if security == nil {
		return nil, errors.New("no Security header")
	}
	return security, nil
}

// readSecurity sorts the children of wsse:Security. WSS4J, which vCenter uses, finds the token of a SAMLID reference only if it stands before the
// signature; the same goes for the certificate.
func (e *envelope) readSecurity(security *etree.Element) error {
	if err := allowAttrs(security, "{"+nsSOAP+"}mustUnderstand"); err != nil { // an actor would address another node
		return err
	}
	list, err := elements(security)
	if err != nil {
		return err
	}
	for _, el := range list {
		var place **etree.Element
		switch {
		case is(el, nsWSU, "Timestamp"):
			place = &e.timestamp
		case is(el, nsSAML, "Assertion"):
			place = &e.assertion
		case is(el, nsWSSE, "BinarySecurityToken"):
			place = &e.binaryToken
		case is(el, nsWSSE, "UsernameToken"):
			place = &e.usernameToken
		case is(el, nsDS, "Signature"):
			place = &e.signature
		default:
			return fmt.Errorf("unexpected %s in the Security header", el.Tag)
		}
		if *place != nil {
			return fmt.Errorf("two %s in the Security header", el.Tag)
		}
		if e.signature != nil && (place == &e.assertion || place == &e.binaryToken) {
			return fmt.Errorf("%s after the signature", el.Tag)
		}
		*place = el
	}
	return nil
}

// noStrays refuses second copies of what the frame holds once, wherever they hide: that is how a signed part is moved aside (signature wrapping).
func (e *envelope) noStrays(el *etree.Element) error {
	for _, c := range el.ChildElements() {
		switch {
		case is(c, nsSOAP, "Envelope"), is(c, nsSOAP, "Header") && el != e.root, is(c, nsSOAP, "Body") && c != e.body:
			return fmt.Errorf("stray %s in the message", c.Tag)
		case is(c, nsWSU, "Timestamp") && c != e.timestamp:
			return errors.New("stray Timestamp in the message")
		case is(c, nsWSSE, "Security") && (el.Parent() != e.root || el == e.body):
			return errors.New("stray Security header in the message")
		}
		if err := e.noStrays(c); err != nil {
			return err
		}
	}
	return nil
}

func (e *envelope) readTimestamp() error {
	if e.timestamp == nil {
		return errors.New("no Timestamp")
	}
	parts, err := shape(e.timestamp, nsWSU, "Created", "Expires")
	if err != nil {
		return err
	}
	if err := errors.Join(allowAttrs(e.timestamp, "{"+nsWSU+"}Id"), allowAttrs(parts[0]), allowAttrs(parts[1])); err != nil {
		return err
	}
	e.created, e.expires, err = readPeriod(parts[0], parts[1])
	return err
}

// readPeriod reads two elements of the form of wsu:Created and wsu:Expires.
func readPeriod(from, to *etree.Element) (created, expires time.Time, err error) {
	read := func(el *etree.Element) time.Time {
		s, textErr := text(el)
		t, timeErr := instant(s)
		err = errors.Join(err, textErr, timeErr)
		return t
	}
	created, expires = read(from), read(to)
	return created, expires, err
}

// checkTime applies the clock. The tolerance counts on both sides, as the server's clock tolerance does.
func (e *envelope) checkTime(now time.Time, tolerance time.Duration) error {
	if !e.created.Before(e.expires) || e.created.After(now.Add(tolerance)) || !now.Before(e.expires.Add(tolerance)) {
		return &refusal{
			code:   invalidTimeRange,
			reason: fmt.Sprintf("Timestamp %s to %s at %s", e.created.Format(timeLayout), e.expires.Format(timeLayout), now.UTC().Format(timeLayout)),
			tell: fmt.Sprintf("The time now %s does not fall in the request lifetime interval extended with clock tolerance of %d ms: [ %s; %s).",
				now.UTC().Format(time.UnixDate), tolerance.Milliseconds(), e.created.Format(time.UnixDate), e.expires.Format(time.UnixDate)),
		}
	}
	return nil
}

// checkSignature demands that the message signature was made with key and covers the very Timestamp and Body that are used, and nothing else.
func (e *envelope) checkSignature(s *signature, key crypto.PublicKey) error {
	if len(s.references) != 2 {
		return fmt.Errorf("signature has %d references, want Timestamp and Body", len(s.references))
	}
	for _, part := range []*etree.Element{e.timestamp, e.body} {
		id, _ := attr(part, nsWSU, "Id")
		var found *reference
		for i := range s.references {
			if id != "" && s.references[i].id == id {
				found = &s.references[i]
			}
		}
		// The document has each id once, so the element of that name is this one.
		if found == nil || e.ids[id] != part {
			return fmt.Errorf("%s is not signed", part.Tag)
		}
		if err := found.covers(part); err != nil {
			return err
		}
	}
	return s.verify(key)
}
