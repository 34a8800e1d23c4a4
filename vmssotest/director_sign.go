package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // for SHA1withRSA
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// directorKeys are the attributes of "Authorization: SIGN" here. The SIGN of vSphere Automation has others.
var directorKeys = []string{"token", "org", "signature", "signature_alg"}

// directorHeader holds the attributes of "Authorization: SIGN" by name.
type directorHeader map[string]string

// parseDirectorSIGN reads an Authorization header. It takes what cells are known to take: VMware's documents write "Sign" and a blank behind the
// comma, its PHP SDK a blank in front of the quote. It does not take what only the documents have, such as a missing comma.
func parseDirectorSIGN(line string) (directorHeader, error) {
	scheme, rest, _ := strings.Cut(line, " ")
	if !strings.EqualFold(scheme, "SIGN") {
		return nil, errors.New("the scheme of Authorization is not SIGN")
	}
	h := directorHeader{}
	for {
		key, after, ok := strings.Cut(strings.TrimLeft(rest, " "), "=")
		if !ok {
			return nil, errors.New(`SIGN is not a list of key="value"`)
		}
		if !slices.Contains(directorKeys, key) {
			return nil, fmt.Errorf("SIGN attribute %.40q is not known", key)
		}
		if _, dup := h[key]; dup {
			return nil, fmt.Errorf("SIGN attribute %s twice", key)
		}
		if after, ok = strings.CutPrefix(strings.TrimLeft(after, " "), `"`); !ok {
			return nil, fmt.Errorf("SIGN attribute %s is not quoted", key)
		}
		if h[key], after, ok = strings.Cut(after, `"`); !ok {
			return nil, fmt.Errorf("SIGN attribute %s does not end", key)
		}
		if h[key] == "" || strings.ContainsFunc(h[key], func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }) {
			return nil, fmt.Errorf("SIGN attribute %s is empty or has characters that none of its values can have", key)
		}
		if after == "" {
			break
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(after, " "), ","); !ok {
			return nil, fmt.Errorf("SIGN attribute %s is not followed by a comma", key)
		}
	}
	if h["token"] == "" {
		return nil, errors.New("SIGN without token")
	}
	return h, nil
}

// jcaAlgorithm is a signature algorithm that has a name in the Java Cryptography Architecture.
type jcaAlgorithm struct {
	hash  crypto.Hash
	ecdsa bool
}

// jcaAlgorithms are spelled as Java spells them, although Java does not look at their case.
var jcaAlgorithms = map[string]jcaAlgorithm{
	"SHA1withRSA":     {crypto.SHA1, false},
	"SHA256withRSA":   {crypto.SHA256, false},
	"SHA384withRSA":   {crypto.SHA384, false},
	"SHA512withRSA":   {crypto.SHA512, false},
	"SHA256withECDSA": {crypto.SHA256, true},
	"SHA384withECDSA": {crypto.SHA384, true},
}

// checkPossession checks that the holder's key signed the assertion, as it came out of gzip. There is no nonce in it, and no time.
func (h directorHeader) checkPossession(assertion string, holder *x509.Certificate, allowSHA1 bool) error {
	for _, key := range []string{"signature", "signature_alg"} {
		if _, ok := h[key]; !ok {
			return fmt.Errorf("SIGN without %s, but the token is a holder-of-key token", key)
		}
	}
	alg, ok := jcaAlgorithms[h["signature_alg"]]
	if !ok || alg.hash == crypto.SHA1 && !allowSHA1 {
		return fmt.Errorf("signature_alg %.40q is not accepted", h["signature_alg"])
	}
	value, err := base64.StdEncoding.Strict().DecodeString(h["signature"])
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	digest := alg.hash.New()
	digest.Write([]byte(assertion))
	sum := digest.Sum(nil)
	switch key := holder.PublicKey.(type) {
	case *rsa.PublicKey:
		if alg.ecdsa {
			return errors.New("the holder's key is not an ECDSA key")
		}
		ok = rsa.VerifyPKCS1v15(key, alg.hash, sum, value) == nil
	case *ecdsa.PublicKey:
		if !alg.ecdsa {
			return errors.New("the holder's key is not an RSA key")
		}
		ok = ecdsa.VerifyASN1(key, sum, value)
	default:
		return errors.New("the holder's key is neither an RSA nor an ECDSA key")
	}
	if !ok {
		return fmt.Errorf("signature is not by the holder over the %d bytes of the assertion", len(assertion))
	}
	return nil
}
