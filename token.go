package vmsso

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Token is a SAML 2.0 assertion together with the key that proves its
// possession. It is not modified once a [TokenSource] has returned it.
//
// A Token never shows its assertion: not by any fmt verb, not in log/slog.
// Encoding one as JSON is an error.
type Token struct {
	// Assertion is the assertion exactly as its issuer signed it, from its
	// first '<' to its last '>'. It is carried verbatim, never serialised anew.
	Assertion string

	// Expires is when the token stops being accepted; zero if unknown.
	Expires time.Time

	// Key proves the possession of a holder-of-key token. It is nil for a
	// bearer token. Any crypto.Signer will do, also one in an HSM.
	Key crypto.Signer
}

// A TokenSource yields tokens.
type TokenSource interface {
	// Token returns a token that is valid now. It is safe for concurrent use.
	// The caller must not modify the token.
	Token(ctx context.Context) (*Token, error)
}

// A Refuser is a [TokenSource] that wants to know that a system refused its
// token, so that it does not return that token again. [Transport] tells it
// before it asks for another one.
type Refuser interface {
	Refused(tok *Token, err error)
}

// Format writes a description without the assertion, whatever the verb.
func (t Token) Format(f fmt.State, verb rune) { fmt.Fprint(f, t.describe()) }

// LogValue describes the token without the assertion.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.describe()) }

// MarshalJSON is an error: a token in JSON would be a leaked secret, and one
// without its assertion a loss that nobody notices.
func (t Token) MarshalJSON() ([]byte, error) {
	return nil, errors.New("vmsso: a Token is a secret and is not encoded as JSON")
}

func (t Token) describe() string {
	kind := "bearer"
	if t.Key != nil {
		kind = "holder-of-key"
	}
	if t.Expires.IsZero() {
		return fmt.Sprintf("Token(%s, %d bytes)", kind, len(t.Assertion))
	}
	return fmt.Sprintf("Token(%s, %d bytes, expires %s)", kind, len(t.Assertion), t.Expires.UTC().Format(time.RFC3339))
}
