package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"
)

// Verify reads an assertion and checks that one of these certificates signed it,
// and that it is valid now. Nobody needs that to log in: the server verifies the
// assertion, and it alone knows whom it trusts.
//
// The certificates are those that sign, such as the STS's, not those that issued
// them: no chain is built, and what the assertion holds of certificates is not
// looked at. One that is not valid now verifies nothing, even if the assertion
// is older. No clock difference is tolerated; give a now that allows for it.
//
// The signature must be an enveloped one, right behind the Issuer, over the whole
// assertion and nothing else (exclusive canonicalization; RSA or ECDSA with
// SHA-256, SHA-384 or SHA-512, never SHA-1). What is returned was read from the
// bytes that were signed. Comments, which some readers take for the end of a
// text, are refused. An EncryptedAssertion cannot be verified. Every error wraps
// [vmsso.ErrUnsupportedToken].
func Verify(assertion string, trust []*x509.Certificate, now time.Time) (*Assertion, error) {
	r, err := readAssertion(assertion)
	switch {
	case err != nil:
		return nil, err
	case r.a.Encrypted:
		return nil, unsupported("an EncryptedAssertion can be verified by nobody but the server")
	case r.comments:
		return nil, unsupported("it has a comment, which not all readers take for nothing")
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(assertion); err != nil {
		return nil, unsupported("not well-formed XML")
	}
	verified, err := verify(doc.Root(), r.a.ID, trust, now)
	if err != nil {
		return nil, err
	}
	signed, err := readSigned(verified)
	if err != nil || !reflect.DeepEqual(signed, r.a) {
		return nil, unsupported("what is signed is not what it says")
	}
	return signed, signed.checkTime(now)
}

// readSigned reads what a signature was found to cover.
func readSigned(e *etree.Element) (*Assertion, error) {
	text, err := write(e)
	if err != nil {
		return nil, err
	}
	return ParseAssertion(string(text))
}

func (a *Assertion) checkTime(now time.Time) error {
	switch {
	case now.Before(a.NotBefore):
		return unsupported("it is not valid before %s", a.NotBefore.Format(time.RFC3339))
	case !a.Expires.IsZero() && !now.Before(a.Expires):
		return unsupported("it has expired at %s", a.Expires.Format(time.RFC3339))
	case !a.ConfirmBy.IsZero() && !now.Before(a.ConfirmBy):
		return unsupported("its subject confirmation has expired at %s", a.ConfirmBy.Format(time.RFC3339))
	}
	return nil
}

// verify returns the element that the signature in e covers: e, less that.
//
// goxmldsig searches for a signature that refers to e, wherever it is, and for
// the certificate in it. With what is checked here it can find no other.
func verify(e *etree.Element, id string, trust []*x509.Certificate, now time.Time) (*etree.Element, error) {
	sig, err := signatureOf(e, id)
	if err != nil {
		return nil, unsupported("its signature is not accepted: %w", err)
	}
	reason := errors.New("nobody is trusted")
	for _, cert := range trust {
		if err := sig.prepare(cert); err != nil {
			reason = err
			continue
		}
		ctx := xmldsig.NewDefaultValidationContext(&xmldsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		ctx.Clock = xmldsig.NewFakeClockAt(now)
		verified, err := ctx.Validate(e)
		if err == nil {
			return verified, nil
		}
		reason = fmt.Errorf("it is not by %q, or changed since: %w", cert.Subject, err)
	}
	return nil, unsupported("it cannot be verified: %w", reason)
}

// A signature is one in an assertion, of the one shape that is accepted.
type signature struct {
	value *etree.Element
	raw   []byte
	ecdsa bool
}

// signatureOf finds the signature by its place and checks its structure.
func signatureOf(e *etree.Element, id string) (*signature, error) {
	list := e.ChildElements()
	if slices.ContainsFunc(e.Attr, foreign) {
		return nil, errors.New("it is of an element with attributes of other namespaces")
	}
	if len(list) < 2 || !is(list[0], saml2, "Issuer") || !is(list[1], dsig, "Signature") ||
		slices.ContainsFunc(list[2:], func(c *etree.Element) bool { return is(c, dsig, "Signature") }) {
		return nil, errors.New("there is not one, right behind the Issuer")
	}
	parts := list[1].ChildElements()
	odd := false
	each(list[1], func(e *etree.Element) { odd = odd || slices.ContainsFunc(e.Attr, foreign) })
	if odd {
		return nil, errors.New("it has attributes of other namespaces")
	}
	if len(parts) == 3 && is(parts[2], dsig, "KeyInfo") {
		list[1].RemoveChild(parts[2]) // whom to believe is not for the assertion to say
		parts = parts[:2]
	}
	if len(parts) != 2 || !is(parts[0], dsig, "SignedInfo") || !is(parts[1], dsig, "SignatureValue") {
		return nil, errors.New("it has not the parts SignedInfo, SignatureValue and KeyInfo")
	}
	s := &signature{value: parts[1]}
	var err error
	if s.raw, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(parts[1].Text()), "")); err != nil || len(parts[1].ChildElements()) > 0 {
		return nil, errors.New("its value is not base64")
	}
	return s, s.checkInfo(parts[0], id)
}

// checkInfo checks the algorithms and that the one reference is to the assertion.
func (s *signature) checkInfo(info *etree.Element, id string) error {
	parts := info.ChildElements()
	if len(parts) != 3 || !is(parts[0], dsig, "CanonicalizationMethod") || !is(parts[1], dsig, "SignatureMethod") || !is(parts[2], dsig, "Reference") {
		return errors.New("it has not one reference")
	}
	if parts[0].SelectAttrValue("Algorithm", "") != excC14N {
		return errors.New("its canonicalization is not the exclusive one")
	}
	uri := parts[1].SelectAttrValue("Algorithm", "")
	at := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.xml == uri && uri != "" })
	if at < 0 {
		return errors.New("its algorithm is not RSA or ECDSA with SHA-256, SHA-384 or SHA-512")
	}
	s.ecdsa = algorithms[at].kind == "ECDSA"
	if parts[2].SelectAttrValue("URI", "") != "#"+id {
		return errors.New("it refers to something else")
	}
	return checkReference(parts[2].ChildElements())
}

func checkReference(parts []*etree.Element) error {
	if len(parts) != 3 || !is(parts[0], dsig, "Transforms") || !is(parts[1], dsig, "DigestMethod") || !is(parts[2], dsig, "DigestValue") {
		return errors.New("its reference has not the parts Transforms, DigestMethod and DigestValue")
	}
	var transforms []string
	for _, t := range parts[0].ChildElements() {
		transforms = append(transforms, t.SelectAttrValue("Algorithm", ""))
	}
	if !slices.Equal(transforms, []string{dsig + "enveloped-signature", excC14N}) {
		return errors.New("its transforms are not the enveloped signature and the exclusive canonicalization")
	}
	switch parts[1].SelectAttrValue("Algorithm", "") {
	case digestURI(crypto.SHA256), digestURI(crypto.SHA512), moreAlgorithms + "sha384":
		return nil
	}
	return errors.New("its digest is not SHA-256, SHA-384 or SHA-512")
}

// prepare writes the value as goxmldsig reads it: base64 on one line and, for
// ECDSA, ASN.1 in place of r||s. The value is not signed.
func (s *signature) prepare(cert *x509.Certificate) error {
	raw := s.raw
	pub, isECDSA := cert.PublicKey.(*ecdsa.PublicKey)
	if isECDSA != s.ecdsa {
		return fmt.Errorf("the key of %q is of another kind", cert.Subject)
	}
	if s.ecdsa {
		c, err := curveOf(pub)
		if err != nil || len(raw) != 2*c.size {
			return fmt.Errorf("its value has not the length of a signature by %q", cert.Subject)
		}
		if raw, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:c.size]), new(big.Int).SetBytes(raw[c.size:])}); err != nil {
			return err
		}
	}
	s.value.SetText(base64.StdEncoding.EncodeToString(raw))
	return nil
}

// foreign tells of an attribute that goxmldsig would take for another one, for it
// does not look at their prefixes.
func foreign(a etree.Attr) bool { return a.Space != "" && !declares(a) }

func is(e *etree.Element, space, local string) bool {
	return e.Tag == local && namespace(e, e.Space) == space
}
