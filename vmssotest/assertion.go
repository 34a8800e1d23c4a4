package vmssotest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// token is what a verified assertion says. All of it is read from the canonical bytes that the signature was found to cover.
type token struct {
	id           string
	subject      string
	holder       *x509.Certificate // nil: bearer
	notBefore    time.Time
	notOnOrAfter time.Time
	audiences    [][]string // of each AudienceRestriction
	verified     *etree.Element
	grants       // only a token service reads them
}

// verifyAssertion checks a SAML 2.0 assertion where it stands in its document: its shape, its enveloped signature by a certificate of trust, its
// period. now is the server's clock.
func verifyAssertion(el *etree.Element, trust []*x509.Certificate, now time.Time, tolerance time.Duration) (*token, error) {
	t, err := verifySigned(el, trust, now)
	if err != nil {
		return nil, err
	}
	if err := t.checkPeriod(now, tolerance); err != nil {
		return nil, err
	}
	return t, nil
}

// verifySigned does without the period.
func verifySigned(el *etree.Element, trust []*x509.Certificate, now time.Time) (*token, error) {
	id, err := checkAssertionSignature(el)
	if err != nil {
		return nil, err
	}
	verified, err := validate(el, trust, now)
	if err != nil {
		return nil, err
	}
	if got, _ := attr(verified, "", "ID"); got != id || !is(verified, nsSAML, "Assertion") {
		return nil, errors.New("assertion: the signature covers another element")
	}
	return readAssertion(verified)
}

func (t *token) checkPeriod(now time.Time, tolerance time.Duration) error {
	if now.Add(tolerance).Before(t.notBefore) {
		return fmt.Errorf("assertion is not valid before %s", t.notBefore.Format(timeLayout))
	}
	if t.expired(now, tolerance) {
		return fmt.Errorf("assertion has expired at %s", t.notOnOrAfter.Format(timeLayout))
	}
	return nil
}

func (t *token) expired(now time.Time, tolerance time.Duration) bool {
	return !now.Before(t.notOnOrAfter.Add(tolerance))
}

// checkAssertionSignature checks by structure, before any cryptography, that the one signature of the assertion is enveloped by it, stands right
// after Issuer and refers to this assertion only. goxmldsig searches for a fitting signature: after this check it can only find this one.
func checkAssertionSignature(el *etree.Element) (id string, err error) {
	if version, _ := attr(el, "", "Version"); version != "2.0" {
		return "", fmt.Errorf("assertion has version %q", version)
	}
	if id, _ = attr(el, "", "ID"); !isName(id) {
		return "", errors.New("assertion has no proper ID")
	}
	list, err := elements(el)
	if err != nil {
		return "", err
	}
	if len(list) < 2 || !is(list[0], nsSAML, "Issuer") || len(list[0].ChildElements()) > 0 || !is(list[1], nsDS, "Signature") {
		return "", errors.New("assertion is not signed right after Issuer")
	}
	for _, c := range list[2:] {
		if is(c, nsDS, "Signature") {
			return "", errors.New("assertion has two signatures")
		}
	}
	s, err := parseSignature(list[1])
	if err != nil {
		return "", fmt.Errorf("assertion: %w", err)
	}
	if s.ecdsa { // goxmldsig reads DER there, which is not what XML signatures hold; no SSO domain signs with ECDSA
		return "", errors.New("assertion is signed with ECDSA")
	}
	if len(s.references) != 1 || s.references[0].id != id {
		return "", errors.New("assertion: the signature refers to something else")
	}
	if t := s.references[0].transforms; !slices.Equal(t, []string{enveloped, excC14N}) {
		return "", fmt.Errorf("assertion: transforms %q are not accepted", t)
	}
	return id, nil
}

// validate lets goxmldsig verify the assertion with one of the trusted certificates and returns the element that the signature covers. The
// certificate inside KeyInfo only chooses among the trusted ones.
func validate(el *etree.Element, trust []*x509.Certificate, now time.Time) (*etree.Element, error) {
	err := errors.New("nobody is trusted")
	for _, cert := range trust {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		ctx.Clock = dsig.NewFakeClockAt(now)
		var verified *etree.Element
		if verified, err = ctx.Validate(detach(el)); err == nil {
			return verified, nil
		}
	}
	return nil, fmt.Errorf("assertion: %w", err)
}

// detach copies el together with the namespaces that its ancestors declare: goxmldsig changes what it canonicalises and does not look above it.
// (etreeutils.NSDetatch does the same but stops at a thousand elements; a token with many groups has more.)
func detach(el *etree.Element) *etree.Element {
	c := el.Copy()
	for p := el.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if isDeclaration(a) && !slices.ContainsFunc(c.Attr, func(have etree.Attr) bool { return have.Space == a.Space && have.Key == a.Key }) {
				c.Attr = append(c.Attr, etree.Attr{Space: a.Space, Key: a.Key, Value: a.Value})
			}
		}
	}
	// goxmldsig decodes base64 with line breaks but not with blanks; the signature value is not itself signed.
	for _, s := range c.ChildElements() {
		if is(s, nsDS, "Signature") {
			for _, v := range s.ChildElements() {
				if value, err := base64Text(v); err == nil && v.Tag == "SignatureValue" {
					v.SetText(encode(value))
				}
			}
		}
	}
	return c
}

// isFor reports whether the assertion is for this audience and says so: each restriction must name it (SAML core 2.5.1.4).
func (t *token) isFor(audience string) bool {
	for _, list := range t.audiences {
		if !slices.Contains(list, audience) {
			return false
		}
	}
	return len(t.audiences) > 0
}

// readAssertion reads the claims. Audiences are for the server to look at: a vSphere endpoint serves them all.
func readAssertion(el *etree.Element) (*token, error) {
	t := &token{verified: el}
	t.id, _ = attr(el, "", "ID")
	subject, err := one(el, nsSAML, "Subject")
	if err != nil {
		return nil, err
	}
	name, err := one(subject, nsSAML, "NameID")
	if err != nil {
		return nil, err
	}
	if t.subject, err = text(name); err != nil || t.subject == "" {
		return nil, errors.New("assertion has no subject")
	}
	conditions, err := one(el, nsSAML, "Conditions")
	if err != nil {
		return nil, err
	}
	from, _ := attr(conditions, "", "NotBefore")
	to, _ := attr(conditions, "", "NotOnOrAfter")
	if t.notBefore, err = instant(from); err != nil {
		return nil, err
	}
	if t.notOnOrAfter, err = instant(to); err != nil {
		return nil, err
	}
	if err := t.readAudiences(conditions); err != nil {
		return nil, err
	}
	confirmation, err := one(subject, nsSAML, "SubjectConfirmation")
	if err != nil {
		return nil, err
	}
	return t, t.readConfirmation(confirmation)
}

func (t *token) readAudiences(conditions *etree.Element) error {
	for _, restriction := range conditions.ChildElements() {
		if !is(restriction, nsSAML, "AudienceRestriction") {
			continue
		}
		var list []string
		for _, el := range restriction.ChildElements() {
			if !is(el, nsSAML, "Audience") {
				continue
			}
			audience, err := text(el)
			if err != nil {
				return err
			}
			list = append(list, audience)
		}
		t.audiences = append(t.audiences, list)
	}
	return nil
}

func (t *token) readConfirmation(confirmation *etree.Element) error {
	data, err := one(confirmation, nsSAML, "SubjectConfirmationData")
	switch method, _ := attr(confirmation, "", "Method"); {
	case method == bearerMethod:
		if err != nil { // SubjectConfirmationData is optional
			return nil
		}
		if s, ok := attr(data, "", "NotOnOrAfter"); ok {
			until, err := instant(s)
			if err != nil {
				return err
			}
			if until.Before(t.notOnOrAfter) {
				t.notOnOrAfter = until
			}
		}
		return nil
	case method != holderOfKeyMethod:
		return fmt.Errorf("subject confirmation %q is not accepted", method)
	case err != nil:
		return err
	}
	at := data
	for _, tag := range []string{"KeyInfo", "X509Data", "X509Certificate"} {
		if at, err = one(at, nsDS, tag); err != nil {
			return err
		}
	}
	der, err := base64Text(at)
	if err != nil {
		return err
	}
	if t.holder, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("holder-of-key certificate: %w", err)
	}
	return nil
}

// one returns the only child of el of this name.
func one(el *etree.Element, ns, local string) (*etree.Element, error) {
	var found *etree.Element
	for _, c := range el.ChildElements() {
		if is(c, ns, local) {
			if found != nil {
				return nil, fmt.Errorf("%s holds two %s", el.Tag, local)
			}
			found = c
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s holds no %s", el.Tag, local)
	}
	return found, nil
}
