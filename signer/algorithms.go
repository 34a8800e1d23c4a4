package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"github.com/vmsso/vmsso"
)

// An algorithm signs with one kind of key. Every protocol has a name of its own
// for it; where it has none, the algorithm cannot be used.
type algorithm struct {
	kind string // of the key
	hash crypto.Hash

	xml      string // XML Signature (RFC 9231); an ECDSA signature is r||s
	director string // Cloud Director: Java Cryptography Architecture; ASN.1, as with the two below
	rest     string // vSphere Automation, REST
	rpc      string // vSphere Automation, JSON-RPC: RFC 7518, which ties the hash to the curve
}

const moreAlgorithms = "http://www.w3.org/2001/04/xmldsig-more#"

// algorithms are all that there are, the default of a kind of key first.
var algorithms = []algorithm{
	{"RSA", crypto.SHA256, moreAlgorithms + "rsa-sha256", "SHA256withRSA", "RSA-SHA256", "RS256"},
	{"RSA", crypto.SHA384, moreAlgorithms + "rsa-sha384", "SHA384withRSA", "RSA-SHA384", "RS384"},
	{"RSA", crypto.SHA512, moreAlgorithms + "rsa-sha512", "SHA512withRSA", "RSA-SHA512", "RS512"},
	{"RSA", crypto.SHA1, "", "SHA1withRSA", "", ""}, // cells of 5.x
	{"ECDSA", crypto.SHA256, moreAlgorithms + "ecdsa-sha256", "SHA256withECDSA", "", "ES256"},
	{"ECDSA", crypto.SHA384, moreAlgorithms + "ecdsa-sha384", "SHA384withECDSA", "", "ES384"},
	{"ECDSA", crypto.SHA512, moreAlgorithms + "ecdsa-sha512", "", "", "ES512"},
}

// A curve is one that servers know.
type curve struct {
	elliptic.Curve
	hash crypto.Hash // of the same strength
	size int         // bytes of r, and of s
}

var curves = []curve{
	{elliptic.P256(), crypto.SHA256, 32},
	{elliptic.P384(), crypto.SHA384, 48},
	{elliptic.P521(), crypto.SHA512, 66},
}

// The bounds of RSA keys, in bits.
const (
	minRSA = 2048
	maxRSA = 8192 // more takes seconds, and servers do not take it
)

// algorithmFor returns the algorithm of a public key with a hash, 0 meaning the
// default, and for an elliptic curve the bytes of r and of s. Keys that servers
// do not accept are refused.
func algorithmFor(pub crypto.PublicKey, hash crypto.Hash) (a algorithm, size int, err error) {
	kind, own := "RSA", crypto.SHA256
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(k); err != nil {
			return a, 0, err
		}
	case *ecdsa.PublicKey:
		c, err := curveOf(k)
		if err != nil {
			return a, 0, err
		}
		kind, own, size = "ECDSA", c.hash, c.size
	case ed25519.PublicKey:
		return a, 0, fmt.Errorf("%w: Ed25519: vSphere takes RSA (2048 bits or more) and ECDSA keys", vmsso.ErrUnsupportedKey)
	default:
		return a, 0, fmt.Errorf("%w: %T: use RSA (2048 bits or more) or ECDSA", vmsso.ErrUnsupportedKey, pub)
	}
	if hash == 0 {
		hash = own
	}
	for _, a := range algorithms {
		if a.kind == kind && a.hash == hash {
			if hash != own && kind == "ECDSA" {
				a.rpc = ""
			}
			return a, size, nil
		}
	}
	return a, 0, fmt.Errorf("%w: Options.Hash: there are no %s signatures with %s: use SHA-256, SHA-384 or SHA-512", vmsso.ErrUnsupportedKey, kind, hash)
}

func checkRSA(k *rsa.PublicKey) error {
	bits := 0
	if k != nil && k.N != nil {
		bits = k.N.BitLen()
	}
	switch {
	case bits < minRSA:
		return fmt.Errorf("%w: RSA with %d bits: make one with %d or more", vmsso.ErrUnsupportedKey, bits, minRSA)
	case bits > maxRSA:
		return fmt.Errorf("%w: RSA with %d bits: make one with %d or less", vmsso.ErrUnsupportedKey, bits, maxRSA)
	}
	return nil
}

func curveOf(k *ecdsa.PublicKey) (curve, error) {
	for _, c := range curves {
		if k != nil && k.Curve == c.Curve {
			return c, nil
		}
	}
	return curve{}, fmt.Errorf("%w: this elliptic curve: use P-256, P-384 or P-521", vmsso.ErrUnsupportedKey)
}

// refusedBy is the error of a protocol that has no name for the algorithm.
func (a algorithm) refusedBy(protocol, takes string) error {
	return fmt.Errorf("%w: %s has no %s signatures with %s: it takes %s", vmsso.ErrUnsupportedKey, protocol, a.kind, a.hash, takes)
}

// digestURI names the hash of a signed part.
func digestURI(h crypto.Hash) string {
	if h == crypto.SHA512 {
		return "http://www.w3.org/2001/04/xmlenc#sha512"
	}
	return "http://www.w3.org/2001/04/xmlenc#sha256"
}

// appendSum appends the digest of a message. Unlike a hash.Hash it needs no
// memory.
func appendSum(b []byte, h crypto.Hash, message []byte) []byte {
	switch h {
	case crypto.SHA1:
		sum := sha1.Sum(message)
		return append(b, sum[:]...)
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		return append(b, sum[:]...)
	case crypto.SHA512:
		sum := sha512.Sum512(message)
		return append(b, sum[:]...)
	}
	sum := sha256.Sum256(message)
	return append(b, sum[:]...)
}
