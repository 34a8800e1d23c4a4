package signer

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/vmsso/vmsso"
)

// VCloudHeader returns the value of the Authorization header with which vCloud
// Director takes a SAML token: the token, the organization ("" means system),
// and for a holder-of-key token the signature of the token, by the name that
// the Java Cryptography Architecture has for its algorithm (SHA256withRSA). An
// EncryptedAssertion is as good as another assertion.
//
// The value is bound neither to a request nor to a time: until the token
// expires it is as much of a secret as the token and its key. It is made once
// per organization and token.
func (s *Signer) VCloudHeader(org string) (string, error) {
	if s.packed == nil {
		return "", fmt.Errorf("%w: only a token can log in to vCloud Director", vmsso.ErrUnsupportedToken)
	}
	org = cmp.Or(org, "system")
	if strings.ContainsFunc(org, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "", errors.New("signer: the name of the organization has a quote, a backslash, or a character that is not printable ASCII, which the Authorization header cannot carry")
	}
	s.vcloud.Lock()
	defer s.vcloud.Unlock()
	if s.vcloud.value != "" && s.vcloud.org == org {
		return s.vcloud.value, nil
	}
	header := s.packed() + `,org="` + org + `"`
	if s.key != nil {
		if s.key.alg.size > 0 {
			return "", fmt.Errorf("%w: only RSA keys are known to work with vCloud Director", vmsso.ErrUnsupportedKey)
		}
		signature, err := s.key.sign(s.proof)
		if err != nil {
			return "", err
		}
		header += `,signature="` + base64.StdEncoding.EncodeToString(signature) + `",signature_alg="SHA256withRSA"`
	}
	s.vcloud.org, s.vcloud.value = org, header
	return header, nil
}

// A madeHeader is the last header that was made.
type madeHeader struct {
	sync.Mutex // guards the fields below
	org, value string
}
