package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	_ "crypto/sha256" // registers the hashes of the algorithms below
	_ "crypto/sha512"

	"github.com/vmsso/vmsso"
)

// An algorithm is an XML signature algorithm (RFC 9231) for one kind of key.
type algorithm struct {
	uri  string
	hash crypto.Hash
	size int // bytes of r and of s in an ECDSA signature
}

const moreAlgorithms = "http://www.w3.org/2001/04/xmldsig-more#"

// algorithmFor chooses the algorithm by the public key, and refuses keys that
// servers do not accept.
func algorithmFor(pub crypto.PublicKey) (algorithm, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return algorithm{}, fmt.Errorf("%w: RSA with %d bits: make one with 2048 or more", vmsso.ErrUnsupportedKey, k.N.BitLen())
		}
		return algorithm{moreAlgorithms + "rsa-sha256", crypto.SHA256, 0}, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return algorithm{moreAlgorithms + "ecdsa-sha256", crypto.SHA256, 32}, nil
		case elliptic.P384():
			return algorithm{moreAlgorithms + "ecdsa-sha384", crypto.SHA384, 48}, nil
		case elliptic.P521():
			return algorithm{moreAlgorithms + "ecdsa-sha512", crypto.SHA512, 66}, nil
		}
		return algorithm{}, fmt.Errorf("%w: this elliptic curve: use P-256, P-384 or P-521", vmsso.ErrUnsupportedKey)
	case ed25519.PublicKey:
		return algorithm{}, fmt.Errorf("%w: Ed25519: vSphere takes RSA (2048 bits or more) and ECDSA keys", vmsso.ErrUnsupportedKey)
	}
	return algorithm{}, fmt.Errorf("%w: %T: use RSA (2048 bits or more) or ECDSA", vmsso.ErrUnsupportedKey, pub)
}

// A key signs as XML signatures want it.
type key struct {
	signer crypto.Signer
	alg    algorithm
	own    bool // the private key is in this process: tried once, then trusted
}

func newKey(s crypto.Signer) (*key, error) {
	var own, missing bool
	switch k := s.(type) {
	case *rsa.PrivateKey:
		own, missing = true, k == nil
	case *ecdsa.PrivateKey:
		own, missing = true, k == nil
	}
	if missing {
		return nil, fmt.Errorf("%w: the key is a nil %T", vmsso.ErrUnsupportedKey, s)
	}
	alg, err := algorithmFor(s.Public())
	if err != nil {
		return nil, err
	}
	k := &key{signer: s, alg: alg}
	if _, err := k.sign([]byte("vmsso")); err != nil {
		return nil, fmt.Errorf("%w: a trial signature failed: %w", vmsso.ErrUnsupportedKey, err)
	}
	k.own = own
	return k, nil
}

// sign returns the signature of message. A signature that the public key does
// not confirm is an error: nothing is sent with it.
func (k *key) sign(message []byte) ([]byte, error) {
	h := k.alg.hash.New()
	h.Write(message)
	digest := h.Sum(nil)
	sig, err := k.signer.Sign(rand.Reader, digest, k.alg.hash)
	if err != nil {
		return nil, fmt.Errorf("signer: the key does not sign: %w", err)
	}
	if !k.own && !k.confirms(digest, sig) {
		return nil, errors.New("signer: the key's signature does not fit its public key")
	}
	if k.alg.size > 0 {
		return fixedWidth(sig, k.alg.size)
	}
	return sig, nil
}

func (k *key) confirms(digest, sig []byte) bool {
	switch pub := k.signer.Public().(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, k.alg.hash, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, digest, sig)
	}
	return false
}

// fixedWidth turns the ASN.1 of a crypto.Signer into r||s, which XML signatures
// want (RFC 9231, section 2.3.6).
func fixedWidth(sig []byte, size int) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &rs); err != nil || len(rest) > 0 ||
		rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 8*size || rs.S.BitLen() > 8*size {
		return nil, errors.New("signer: the key's signature is not of the form that ECDSA has")
	}
	out := make([]byte, 2*size)
	rs.R.FillBytes(out[:size])
	rs.S.FillBytes(out[size:])
	return out, nil
}
