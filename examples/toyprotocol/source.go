package toyprotocol

import (
	"context"
	"sync/atomic"

	"github.com/vmsso/vmsso"
)

// A Pair is a source of two tokens, for the time in which one replaces the other:
// the second is used once a system has refused the first. It is safe for
// concurrent use, and not to be copied.
type Pair struct {
	First, Second *vmsso.Token // required

	swapped atomic.Bool
}

var (
	_ vmsso.TokenSource = (*Pair)(nil)
	_ vmsso.Refuser     = (*Pair)(nil)
)

// Token implements [vmsso.TokenSource].
func (p *Pair) Token(context.Context) (*vmsso.Token, error) {
	if p.swapped.Load() {
		return p.Second, nil
	}
	return p.First, nil
}

// Refused implements [vmsso.Refuser]. The transport then asks for a token once
// more, within the same login.
func (p *Pair) Refused(tok *vmsso.Token, _ error) {
	if tok == p.First {
		p.swapped.Store(true)
	}
}
