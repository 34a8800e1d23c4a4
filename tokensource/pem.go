package tokensource

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/vmsso/vmsso"
)

// pemPair reads a PEM certificate and its private key, and checks that it is that.
func pemPair(certificate, key content) (*tls.Certificate, error) {
	switch {
	case certificate.err != nil:
		return nil, certificate.err
	case key.err != nil:
		return nil, key.err
	case bytes.Contains(key.data, []byte("ENCRYPTED")):
		return nil, fmt.Errorf("tokensource: %w: the key in %s is encrypted: decrypt it, for instance with openssl pkey", vmsso.ErrUnsupportedKey, key.path)
	}
	pair, err := tls.X509KeyPair(certificate.data, key.data)
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w: certificate %s with key %s: %s", vmsso.ErrUnsupportedKey, certificate.path, key.path, strings.TrimPrefix(err.Error(), "tls: "))
	}
	if _, ok := pair.PrivateKey.(crypto.Signer); !ok {
		return nil, fmt.Errorf("tokensource: %w: the key in %s cannot sign", vmsso.ErrUnsupportedKey, key.path)
	}
	return &pair, nil
}

// trimXML removes what an editor or a tool puts around an assertion: a byte
// order mark, an XML declaration, white space. The assertion stays as it is.
func trimXML(b []byte) string {
	s := strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff"))
	if strings.HasPrefix(s, "<?xml ") {
		if _, rest, ok := strings.Cut(s, "?>"); ok {
			s = strings.TrimSpace(rest)
		}
	}
	return s
}
