package tokensource

import (
	"context"

	"github.com/vmsso/vmsso"
)

// A Func is a function that is a source. It must be safe for concurrent use and
// return a token that is valid now, or an error; see [vmsso.TokenSource].
type Func func(context.Context) (*vmsso.Token, error)

// Token implements [vmsso.TokenSource].
func (f Func) Token(ctx context.Context) (*vmsso.Token, error) { return f(ctx) }

var _ vmsso.TokenSource = Func(nil)
