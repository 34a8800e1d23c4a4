package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
)

// A keyValue is a public key as XML Signature writes it: ds:RSAKeyValue, or
// dsig11:ECKeyValue with a named curve. SAML allows both in the subject
// confirmation of a holder-of-key token (saml-profiles-2.0, section 3.1).
type keyValue struct {
	modulus, exponent []byte
	curve             string
	point             []byte
}

// key returns the key; nil if it is of another kind.
func (v keyValue) key() (crypto.PublicKey, error) {
	switch {
	case v.modulus != nil && v.exponent != nil:
		e := new(big.Int).SetBytes(v.exponent)
		if len(v.modulus) > maxRSA/8+1 || e.BitLen() > 31 {
			return nil, unsupported("the key of its subject confirmation cannot be read")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(v.modulus), E: int(e.Int64())}, nil
	case v.curve != "" && v.point != nil:
		var c elliptic.Curve
		switch v.curve {
		case "urn:oid:1.2.840.10045.3.1.7":
			c = elliptic.P256()
		case "urn:oid:1.3.132.0.34":
			c = elliptic.P384()
		case "urn:oid:1.3.132.0.35":
			c = elliptic.P521()
		default:
			return nil, nil
		}
		k, err := ecdsa.ParseUncompressedPublicKey(c, v.point)
		if err != nil {
			return nil, unsupported("the key of its subject confirmation cannot be read")
		}
		return k, nil
	}
	return nil, nil
}
