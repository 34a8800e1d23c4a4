package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms below
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rpcAlgorithm is a signatureAlgorithm of JSON-RPC. Each name means one hash and, as RFC 7518 has it, one kind of key: RSA or a curve.
type rpcAlgorithm struct {
	hash  crypto.Hash
	curve elliptic.Curve // nil: RSA
}

// rpcAlgorithms are those that VMware's runtimes name. The ECDSA signatures are ASN.1, as Java makes them, and not r||s, as RFC 7518 has them.
var rpcAlgorithms = map[string]rpcAlgorithm{
	"RS256": {crypto.SHA256, nil},
	"RS384": {crypto.SHA384, nil},
	"RS512": {crypto.SHA512, nil},
	"ES256": {crypto.SHA256, elliptic.P256()},
	"ES384": {crypto.SHA384, elliptic.P384()},
	"ES512": {crypto.SHA512, elliptic.P521()},
}

// checkSignature verifies the signature over all of the request but securityCtx.signature, which it removes from the tree.
func (q *rpcRequest) checkSignature(l *AutomationLogin, value string, accepted []string) error {
	name, _ := q.security["signatureAlgorithm"].(string)
	if !slices.Contains(accepted, name) {
		return fmt.Errorf("signatureAlgorithm %.40q is not accepted", q.security["signatureAlgorithm"])
	}
	alg := rpcAlgorithms[name]
	sig, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || strings.ContainsAny(value, "\r\n") { // which DecodeString leaves out
		return errors.New("signature is not base64")
	}
	delete(q.security, "signature")
	signed, err := canonicalJSON(q.tree)
	if err != nil {
		return err
	}
	digest := alg.hash.New()
	digest.Write(signed)
	ok := false
	switch key := l.Holder.PublicKey.(type) {
	case *rsa.PublicKey:
		if alg.curve != nil {
			return errors.New("the holder's key is not an ECDSA key")
		}
		ok = rsa.VerifyPKCS1v15(key, alg.hash, digest.Sum(nil), sig) == nil
	case *ecdsa.PublicKey:
		switch {
		case alg.curve == nil:
			return errors.New("the holder's key is not an RSA key")
		case key.Curve != alg.curve:
			return fmt.Errorf("the holder's key is not on the curve of %s", name)
		}
		ok = ecdsa.VerifyASN1(key, digest.Sum(nil), sig)
	default:
		return errors.New("the holder's key is neither an RSA nor an ECDSA key")
	}
	if !ok {
		return fmt.Errorf("signature is not by the holder over %.2000s", signed)
	}
	return nil
}
