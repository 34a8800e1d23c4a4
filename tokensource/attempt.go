package tokensource

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// An attempt is what one token is asked for with.
type attempt struct {
	credentials signer.Credentials
	actAs       *vmsso.Token // nil: the client asks for itself
	id          fingerprint  // of the credentials
	whole       fingerprint  // of all of it
}

// attempt asks who asks, and for whom.
func (s *STS) attempt(ctx context.Context) (*attempt, error) {
	a := &attempt{}
	var err error
	a.credentials, err = s.cfg.Credentials(ctx)
	if tok := a.credentials.Token; tok != nil {
		err = usable(tok, err)
	}
	if err != nil {
		return nil, fmt.Errorf("tokensource: the credentials: %w", err)
	}
	if s.cfg.ActAs != nil {
		a.actAs, err = s.cfg.ActAs.Token(ctx)
		if err := usable(a.actAs, err); err != nil {
			return nil, fmt.Errorf("tokensource: the token to act for: %w", err)
		}
	}
	a.id, a.whole = fingerprintOf(a.credentials, nil), fingerprintOf(a.credentials, a.actAs)
	return a, nil
}

// usable judges what a source returned. An expired token is not sent: it could
// only count as a failure.
func usable(tok *vmsso.Token, err error) error {
	switch {
	case err != nil:
		return err
	case tok == nil || tok.Assertion == "":
		return fmt.Errorf("%w: the source returned none", vmsso.ErrUnsupportedToken)
	case !tok.Expires.IsZero() && !time.Now().Round(0).Before(tok.Expires): // by the wall clock, which goes on while a machine sleeps
		return fmt.Errorf("%w at %s", vmsso.ErrTokenExpired, tok.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// key is what signs the message, and what the token is for; nil for a password.
func (a *attempt) key() crypto.Signer {
	switch c := a.credentials; {
	case c.Token != nil:
		return c.Token.Key
	case c.Certificate != nil:
		key, _ := c.Certificate.PrivateKey.(crypto.Signer)
		return key
	}
	return nil
}

// secrets are what a fault must not show.
func (a *attempt) secrets() []string {
	list := []string{a.credentials.Password}
	for _, tok := range []*vmsso.Token{a.credentials.Token, a.actAs} {
		if tok != nil {
			list = append(list, tok.Assertion)
		}
	}
	return list
}

// suspect is what may be wrong with the credentials.
func (a *attempt) suspect() string {
	switch c := a.credentials; {
	case c.Token != nil:
		return "that the token is of this domain and lives"
	case c.Username != "":
		return "the user name (name@domain) and the password"
	}
	return "that the certificate is registered for a solution user, and that this is its key"
}
