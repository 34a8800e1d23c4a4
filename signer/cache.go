package signer

import (
	"sync/atomic"

	"github.com/vmsso/vmsso"
)

// A Cache keeps the Signer of the token and options that were used last, so that
// what is constant in its messages is made once per token. The zero Cache works,
// and is safe for concurrent use.
type Cache struct{ last atomic.Pointer[cached] }

type cached struct {
	options Options
	tok     *vmsso.Token
	signer  *Signer
}

// Signer returns the Signer of a token with these options, and the errors of
// [Options.New]. Tokens are told apart by their pointers. The nonces of all
// Signers of a Cache are one sequence: servers compare them by key, which
// outlives a token.
func (c *Cache) Signer(o Options, tok *vmsso.Token) (*Signer, error) {
	last := c.last.Load()
	if last != nil && last.tok == tok && last.options == o {
		return last.signer, nil
	}
	s, err := o.New(Credentials{Token: tok})
	if err != nil {
		return nil, err
	}
	if last != nil {
		s.nonces = last.signer.nonces
	}
	c.last.Store(&cached{o, tok, s})
	return s, nil
}
