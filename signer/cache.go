package signer

import (
	"sync/atomic"

	"github.com/vmsso/vmsso"
)

// A Cache keeps the Signer of the token that was used last, so that what is
// constant in its messages is made once per token. The zero Cache works, and is
// safe for concurrent use.
type Cache struct{ last atomic.Pointer[cached] }

type cached struct {
	tok    *vmsso.Token
	signer *Signer
}

// Signer returns the Signer of a token, and the errors of [New]. Tokens are
// told apart by their pointers. The nonces of all Signers of a Cache are one
// sequence: servers compare them by key, which outlives a token.
func (c *Cache) Signer(tok *vmsso.Token) (*Signer, error) {
	last := c.last.Load()
	if last != nil && last.tok == tok {
		return last.signer, nil
	}
	s, err := New(Credentials{Token: tok})
	if err != nil {
		return nil, err
	}
	if last != nil {
		s.nonces = last.signer.nonces
	}
	c.last.Store(&cached{tok, s})
	return s, nil
}
