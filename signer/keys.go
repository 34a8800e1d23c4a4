package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/vmsso/vmsso"
)

// A key signs with one algorithm.
type key struct {
	signer crypto.Signer
	public crypto.PublicKey // that of the signer when it was new
	alg    algorithm
	size   int  // bytes of r and of s in an ECDSA signature
	own    bool // the private key is in this process: tried once, then trusted
}

func newKey(s crypto.Signer, hash crypto.Hash) (*key, error) {
	k := &key{}
	own, missing := false, false
	switch private := s.(type) {
	case *rsa.PrivateKey:
		if own, missing = true, private == nil; !missing {
			s = prepared(private)
		}
	case *ecdsa.PrivateKey:
		own, missing = true, private == nil
	}
	if missing {
		return nil, fmt.Errorf("%w: the key is a nil %T", vmsso.ErrUnsupportedKey, s)
	}
	k.signer, k.public = s, s.Public()
	var err error
	if k.alg, k.size, err = algorithmFor(k.public, hash); err != nil {
		return nil, err
	}
	if _, err := k.sign([]byte("vmsso")); err != nil {
		return nil, fmt.Errorf("%w: a trial signature failed: %w", vmsso.ErrUnsupportedKey, err)
	}
	k.own = own
	return k, nil
}

// prepared returns a copy of an RSA key with the values in it by which it signs
// several times as fast. Keys that were put together by hand lack them, and the
// caller may be using his at this moment.
func prepared(private *rsa.PrivateKey) *rsa.PrivateKey {
	k := *private
	k.Precompute()
	return &k
}

// sign returns the signature of a message: of PKCS #1 v1.5, or ECDSA's in ASN.1.
// One that the public key does not confirm is an error: nothing is sent with it.
func (k *key) sign(message []byte) ([]byte, error) {
	digest := appendSum(make([]byte, 0, k.alg.hash.Size()), k.alg.hash, message)
	sig, err := k.signer.Sign(rand.Reader, digest, k.alg.hash)
	if err != nil {
		return nil, fmt.Errorf("signer: the key does not sign: %w", err)
	}
	if !k.own {
		// The signer may have kept the digest, and changed it.
		if digest = appendSum(digest[:0:0], k.alg.hash, message); !k.confirms(digest, sig) {
			return nil, errors.New("signer: the key's signature does not fit its public key")
		}
	}
	return sig, nil
}

func (k *key) confirms(digest, sig []byte) bool {
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, k.alg.hash, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, digest, sig)
	}
	return false
}

// appendFixedWidth turns the ASN.1 of a crypto.Signer into r||s, which XML
// signatures want (RFC 9231, section 2.3.6), each of size bytes.
func appendFixedWidth(b, sig []byte, size int) ([]byte, error) {
	numbers, rest, ok := element(sig, 0x30)
	r, numbers, okR := element(numbers, 0x02)
	s, end, okS := element(numbers, 0x02)
	if !ok || !okR || !okS || len(rest)+len(end) > 0 {
		return nil, errNotECDSA
	}
	for _, n := range [][]byte{r, s} {
		short := len(n) > 1 && n[0] == 0 && n[1] < 0x80 // longer than it has to be
		digits := bytes.TrimLeft(n, "\x00")
		if short || len(digits) == 0 || len(digits) > size || n[0] >= 0x80 {
			return nil, errNotECDSA
		}
		b = append(append(b, zeros[:size-len(digits)]...), digits...)
	}
	return b, nil
}

var (
	errNotECDSA = errors.New("signer: the key's signature is not of the form that ECDSA has")
	zeros       [66]byte
)

// element cuts a DER element with this tag off b. Lengths over 255 do not occur.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	if n == 0x81 && len(b) > 0 && b[0] >= 0x80 {
		n, b = int(b[0]), b[1:]
	} else if n >= 0x80 {
		return nil, nil, false
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
