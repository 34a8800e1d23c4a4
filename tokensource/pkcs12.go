package tokensource

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/vmsso/vmsso"
)

// PKCS12 reads a certificate and its private key from PKCS#12, also called PFX:
// the files that Windows exports and openssl pkcs12 makes, with the older
// ciphers (RC2, 3DES) or with AES. It is for [STSConfig], among others. The
// certificate that belongs to the key comes first, the others follow.
//
// Data may have 1 MiB and must be DER, without another layer such as PEM or
// base64 around it. Errors wrap [vmsso.ErrUnsupportedKey]; none holds the password. For
// PEM there is [tls.X509KeyPair].
func PKCS12(data []byte, password string) (*tls.Certificate, error) {
	if err := bounded(data); err != nil {
		return nil, err
	}
	key, first, others, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return nil, pkcs12Error(err)
	}
	private, ok := key.(crypto.Signer)
	if !ok {
		return nil, unusable("its key is a %T, which cannot sign", key)
	}
	public, ok := private.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, unusable("its key is a %T, which is not known", key)
	}
	pair := &tls.Certificate{PrivateKey: private}
	var chain [][]byte
	for _, c := range append([]*x509.Certificate{first}, others...) { // in any order: some tools write the issuers first
		if pair.Leaf == nil && public.Equal(c.PublicKey) {
			pair.Leaf = c
		} else {
			chain = append(chain, c.Raw)
		}
	}
	if pair.Leaf == nil {
		return nil, unusable("none of its certificates is that of its private key")
	}
	pair.Certificate = append([][]byte{pair.Leaf.Raw}, chain...)
	return pair, nil
}

// LoadPKCS12 reads a certificate and its private key from a file: see [PKCS12].
func LoadPKCS12(file, password string) (*tls.Certificate, error) {
	c := readFile(file, file)
	if c.err != nil {
		return nil, c.err
	}
	pair, err := PKCS12(c.data, password)
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, file)
	}
	return pair, nil
}

// unusable is an error of PKCS12.
func unusable(format string, args ...any) error {
	return fmt.Errorf("tokensource: %w: PKCS#12: "+format, append([]any{vmsso.ErrUnsupportedKey}, args...)...)
}

// pkcs12Error says what to do about an error of the library.
func pkcs12Error(err error) error {
	switch text := strings.TrimPrefix(err.Error(), "pkcs12: "); {
	case text == "no MAC in data":
		return unusable("it has no MAC, and so no password: give none, or make another with openssl pkcs12 -export")
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return unusable("the password is not the file's")
	case errors.Is(err, pkcs12.ErrDecryption):
		return unusable("it cannot be decrypted: the password is not the file's, or the file is damaged")
	case text == "private key missing":
		return unusable("it has no private key: export the certificate together with its key")
	case text == "certificate missing":
		return unusable("it has no certificate: export the key together with its certificate")
	case text == "expected exactly one key bag":
		return unusable("it has several private keys: make one with a single key")
	default:
		return unusable("it cannot be read (%s): make another with openssl pkcs12 -export", text)
	}
}

// mostIterations of the function that makes a key of a password: with so many it
// takes seconds. A file with more would keep the program busy for hours.
const mostIterations = 2_000_000

// bounded refuses what is no PKCS#12 or would take too long to read.
func bounded(data []byte) error {
	switch {
	case len(data) > maxFile:
		return unusable("it is longer than %d bytes", maxFile)
	case bytes.HasPrefix(data, []byte("-----BEGIN ")):
		return unusable("it is PEM: give it as certificate and key")
	case len(data) < 2 || data[0] != 0x30:
		return unusable("it is not in that format")
	case data[1] == 0x80:
		return unusable("it is in BER with indefinite lengths, which is not read: make another with openssl pkcs12 -export")
	case overworked(data, 0):
		return unusable("it asks for more than %d iterations, or for none, to make a key of the password", mostIterations)
	}
	return nil
}

// overworked tells whether there are too many iterations in what can be read
// without the password. They are the number behind a salt, which is an octet
// string, wherever PKCS#12 and PKCS#5 have them. More DER is in the octet strings
// that come first in what they are in; those behind something else are encrypted.
func overworked(der []byte, depth int) bool {
	const mostDepth = 32
	first, salted := true, false
	for len(der) > 0 && depth < mostDepth {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return false // the library refuses it too, or it is no DER
		}
		octets := v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString
		if n := int64(0); salted {
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err == nil && (n < 1 || n > mostIterations) {
				return true
			}
		}
		if (v.IsCompound || octets && first) && overworked(v.Bytes, depth+1) {
			return true
		}
		der, first, salted = rest, false, octets
	}
	return false
}
