package signer

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vmsso/vmsso"
)

// VCloudHeader returns the value of the Authorization header with which vCloud
// Director takes a SAML token: the token, the organization ("" means system),
// and for a holder-of-key token the signature of the token, by the name that
// the Java Cryptography Architecture has for its algorithm, such as
// SHA256withRSA. An EncryptedAssertion is as good as another assertion.
//
// VMware shows RSA keys only; SHA256withECDSA and SHA384withECDSA are among the
// names that its documents point to. SHA1withRSA is for cells of 5.x.
//
// The value is bound neither to a request nor to a time: until the token
// expires it is as much of a secret as the token and its key. It is made once
// per organization and token.
func (s *Signer) VCloudHeader(org string) (string, error) {
	if s.packed == nil {
		return "", fmt.Errorf("%w: only a token can log in to vCloud Director", vmsso.ErrUnsupportedToken)
	}
	org = cmp.Or(org, "system")
	if last := s.vcloud.last.Load(); last != nil && last.org == org {
		return last.value, nil
	}
	if strings.ContainsFunc(org, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "", errors.New("signer: the name of the organization has a quote, a backslash, or a character that is not printable ASCII, which the Authorization header cannot carry")
	}
	s.vcloud.Lock()
	defer s.vcloud.Unlock()
	if last := s.vcloud.last.Load(); last != nil && last.org == org {
		return last.value, nil
	}
	header := s.packed() + `,org="` + org + `"`
	if s.key != nil {
		name := s.key.alg.director
		if name == "" {
			return "", s.key.alg.refusedBy("vCloud Director", "SHA-256 and SHA-384 with ECDSA, and SHA-512 also with RSA")
		}
		signature, err := s.key.sign(s.proof)
		if err != nil {
			return "", err
		}
		header += `,signature="` + base64.StdEncoding.EncodeToString(signature) + `",signature_alg="` + name + `"`
	}
	s.vcloud.last.Store(&vcloudHeader{org, header})
	return header, nil
}

// A madeHeader is the last header that was made.
type madeHeader struct {
	sync.Mutex // held while one is made, so that a key signs once
	last       atomic.Pointer[vcloudHeader]
}

type vcloudHeader struct{ org, value string }
