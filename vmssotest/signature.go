package vmssotest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms below
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/beevik/etree"
)

// signature is a ds:Signature of exactly the expected shape (https://www.w3.org/TR/xmldsig-core1/): what is not understood is refused.
type signature struct {
	id         string // ds:Signature/@Id, often empty
	hash       crypto.Hash
	ecdsa      bool
	signedInfo *etree.Element
	prefixes   []string // PrefixList of the CanonicalizationMethod
	references []reference
	value      []byte
	keyInfo    *etree.Element // nil if there is none
}

// reference is one ds:Reference: what was signed.
type reference struct {
	id         string // without "#"
	transforms []string
	prefixes   []string // PrefixList of the exclusive C14N transform
	hash       crypto.Hash
	digest     []byte
}

// signatureMethod knows the algorithms that are accepted: no SHA-1, no HMAC, nothing without a key.
func signatureMethod(uri string) (hash crypto.Hash, isECDSA bool, err error) {
	switch uri {
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":
		return crypto.SHA256, false, nil
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":
		return crypto.SHA384, false, nil
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":
		return crypto.SHA512, false, nil
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256":
		return crypto.SHA256, true, nil
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384":
		return crypto.SHA384, true, nil
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512":
		return crypto.SHA512, true, nil
	}
	return 0, false, fmt.Errorf("signature algorithm %q is not accepted", uri)
}

func digestMethod(uri string) (crypto.Hash, error) {
	switch uri {
	case "http://www.w3.org/2001/04/xmlenc#sha256":
		return crypto.SHA256, nil
	case "http://www.w3.org/2001/04/xmldsig-more#sha384":
		return crypto.SHA384, nil
	case "http://www.w3.org/2001/04/xmlenc#sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("digest algorithm %q is not accepted", uri)
}

func parseSignature(el *etree.Element) (*signature, error) {
	if err := allowAttrs(el, "Id"); err != nil {
		return nil, err
	}
	parts, err := shape(el, nsDS, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return nil, err
	}
	s := &signature{signedInfo: parts[0], keyInfo: parts[2]}
	s.id, _ = attr(el, "", "Id")
	if s.id != "" && !isName(s.id) {
		return nil, errors.New("illegal Id of the signature")
	}
	if err := allowAttrs(parts[1], "Id"); err != nil {
		return nil, err
	}
	if s.value, err = base64Text(parts[1]); err != nil {
		return nil, err
	}
	return s, s.parseSignedInfo()
}

func (s *signature) parseSignedInfo() error {
	if err := allowAttrs(s.signedInfo, "Id"); err != nil {
		return err
	}
	list, err := elements(s.signedInfo)
	if err != nil {
		return err
	}
	if len(list) < 3 || !is(list[0], nsDS, "CanonicalizationMethod") || !is(list[1], nsDS, "SignatureMethod") {
		return errors.New("SignedInfo has an unexpected shape")
	}
	method, prefixes, err := c14nMethod(list[0])
	if err != nil {
		return err
	}
	if method != excC14N {
		return fmt.Errorf("canonicalization %q is not accepted", method)
	}
	s.prefixes = prefixes
	uri, err := algorithm(list[1])
	if err != nil {
		return err
	}
	if s.hash, s.ecdsa, err = signatureMethod(uri); err != nil {
		return err
	}
	for _, el := range list[2:] {
		r, err := parseReference(el)
		if err != nil {
			return err
		}
		s.references = append(s.references, r)
	}
	return nil
}

func parseReference(el *etree.Element) (r reference, err error) {
	if !is(el, nsDS, "Reference") {
		return r, fmt.Errorf("unexpected %s in SignedInfo", el.Tag)
	}
	if err := allowAttrs(el, "URI"); err != nil {
		return r, err
	}
	uri, _ := attr(el, "", "URI")
	id, ok := strings.CutPrefix(uri, "#")
	if !ok || !isName(id) {
		return r, fmt.Errorf("reference to %q is not accepted", uri)
	}
	r.id = id
	parts, err := shape(el, nsDS, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return r, err
	}
	if err := r.parseTransforms(parts[0]); err != nil {
		return r, err
	}
	method, err := algorithm(parts[1])
	if err != nil {
		return r, err
	}
	if r.hash, err = digestMethod(method); err != nil {
		return r, err
	}
	if err := allowAttrs(parts[2]); err != nil {
		return r, err
	}
	r.digest, err = base64Text(parts[2])
	return r, err
}

func (r *reference) parseTransforms(el *etree.Element) error {
	if err := allowAttrs(el); err != nil {
		return err
	}
	list, err := elements(el)
	if err != nil {
		return err
	}
	for _, t := range list {
		if !is(t, nsDS, "Transform") {
			return fmt.Errorf("unexpected %s in Transforms", t.Tag)
		}
		method, prefixes, err := c14nMethod(t)
		if err != nil {
			return err
		}
		r.transforms = append(r.transforms, method)
		r.prefixes = prefixes
	}
	return nil
}

// c14nMethod reads an Algorithm that may hold an InclusiveNamespaces PrefixList.
func c14nMethod(el *etree.Element) (uri string, prefixes []string, err error) {
	if err := allowAttrs(el, "Algorithm"); err != nil {
		return "", nil, err
	}
	uri, _ = attr(el, "", "Algorithm")
	list, err := elements(el)
	if err != nil || len(list) == 0 {
		return uri, nil, err
	}
	if uri != excC14N || len(list) != 1 || !is(list[0], nsExcC14, "InclusiveNamespaces") || len(list[0].Child) > 0 {
		return "", nil, fmt.Errorf("unexpected content of %s", el.Tag)
	}
	if err := allowAttrs(list[0], "PrefixList"); err != nil {
		return "", nil, err
	}
	names, _ := attr(list[0], "", "PrefixList")
	return uri, strings.Fields(names), nil
}

// algorithm reads an Algorithm without parameters.
func algorithm(el *etree.Element) (string, error) {
	if len(el.ChildElements()) > 0 {
		return "", fmt.Errorf("unexpected content of %s", el.Tag)
	}
	uri, _, err := c14nMethod(el)
	return uri, err
}

// shape returns the children of el, which must have these names in this order; a name with "?" may be missing and is nil then.
func shape(el *etree.Element, ns string, names ...string) ([]*etree.Element, error) {
	list, err := elements(el)
	if err != nil {
		return nil, err
	}
	found := make([]*etree.Element, len(names))
	for i, name := range names {
		local, optional := strings.CutSuffix(name, "?")
		if len(list) > 0 && is(list[0], ns, local) {
			found[i], list = list[0], list[1:]
		} else if !optional {
			return nil, fmt.Errorf("%s has no %s where it belongs", el.Tag, local)
		}
	}
	if len(list) > 0 {
		return nil, fmt.Errorf("unexpected %s in %s", list[0].Tag, el.Tag)
	}
	return found, nil
}

// verify checks the signature value with the key that must have made it.
func (s *signature) verify(key crypto.PublicKey) error {
	signed, err := canonicalize(s.signedInfo, s.prefixes)
	if err != nil {
		return err
	}
	h := s.hash.New()
	h.Write(signed)
	sum := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if !s.ecdsa && rsa.VerifyPKCS1v15(key, s.hash, sum, s.value) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if s.ecdsa && verifyECDSA(key, sum, s.value) {
			return nil
		}
	}
	return errors.New("signature value is wrong")
}

// verifyECDSA checks r||s, both as wide as the curve's order (RFC 4050, xmldsig-core1 6.4.3); DER is not accepted.
func verifyECDSA(key *ecdsa.PublicKey, sum, value []byte) bool {
	size := (key.Params().N.BitLen() + 7) / 8
	if len(value) != 2*size {
		return false
	}
	return ecdsa.Verify(key, sum, new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:]))
}

// covers checks the digest of el.
func (r *reference) covers(el *etree.Element) error {
	if len(r.transforms) != 1 || r.transforms[0] != excC14N {
		return fmt.Errorf("transforms %q of %s are not accepted", r.transforms, el.Tag)
	}
	data, err := canonicalize(el, r.prefixes)
	if err != nil {
		return err
	}
	h := r.hash.New()
	h.Write(data)
	if !bytes.Equal(h.Sum(nil), r.digest) {
		return fmt.Errorf("digest of %s is wrong", el.Tag)
	}
	return nil
}
