package signer

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/vmsso/vmsso"
)

// Options of a [Signer]. The zero value is what servers take.
type Options struct {
	// Hash of signatures: SHA-256, SHA-384 or SHA-512. 0 means SHA-256 for RSA,
	// and for ECDSA the one of the curve's strength. With ECDSA each of the three
	// can be had, but JSON-RPC takes that of the curve alone.
	//
	// SHA-1 is for [Signer.VCloudHeader] with an RSA key, and for nothing else:
	// cells of vCloud Director 5.x may know no other. Everybody deprecates it.
	Hash crypto.Hash

	// Digest is the hash of the signed parts of a SOAP message: SHA-256 or
	// SHA-512. 0 means SHA-256.
	Digest crypto.Hash

	// Validity of a message; 0 means 10 minutes.
	Validity time.Duration

	// Backdate is how long before now the validity begins, for servers whose
	// clock is behind; 0 means 5 seconds, negative not at all.
	Backdate time.Duration
}

// New returns a [Signer] with these options. It checks the credentials, for it is
// better to learn here than from a server that a key does not fit: an error
// wraps [vmsso.ErrUnsupportedToken] or [vmsso.ErrUnsupportedKey] where that is
// the reason. The times in an assertion are not looked at; those of a
// certificate are.
//
// The key makes one signature here, on trial. Of a key that is not of crypto/rsa
// or crypto/ecdsa, and may be elsewhere, all later ones are checked too, with the
// public key that it has now.
func (o Options) New(c Credentials) (*Signer, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Signer{options: o, opening: []byte(opening), signatureID: newID().String(), nonces: &nonces{}, vcloud: &madeHeader{}}
	if err := s.use(c); err != nil {
		return nil, err
	}
	return s, nil
}

// The validity of a message. Servers tolerate 10 minutes of clock difference by
// default; that the message begins a little in the past helps a fast clock.
const (
	defaultValidity = 10 * time.Minute
	defaultBackdate = 5 * time.Second
)

// withDefaults checks the options, less what depends on a key, and fills in all
// but the Hash.
func (o Options) withDefaults() (Options, error) {
	o.Digest = cmp.Or(o.Digest, crypto.SHA256)
	o.Validity = cmp.Or(o.Validity, defaultValidity)
	o.Backdate = max(cmp.Or(o.Backdate, defaultBackdate), 0)
	switch o.Hash {
	case 0, crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return o, fmt.Errorf("%w: Options.Hash is %s: use SHA-256, SHA-384 or SHA-512", vmsso.ErrUnsupportedKey, o.Hash)
	}
	if o.Digest != crypto.SHA256 && o.Digest != crypto.SHA512 {
		return o, fmt.Errorf("signer: Options.Digest is %s: use SHA-256 or SHA-512", o.Digest)
	}
	if o.Validity-o.Backdate < time.Second {
		return o, errors.New("signer: with this Options.Validity and Backdate a message ends within a second, or before it is made")
	}
	return o, nil
}

// period is when a message that is made now is valid.
func (o *Options) period(now time.Time) (created, expires time.Time) {
	created = now.UTC().Add(-o.Backdate)
	return created, created.Add(o.Validity)
}
