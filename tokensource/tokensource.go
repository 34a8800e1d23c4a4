// Package tokensource has the places that SAML tokens come from. Each is a
// [vmsso.TokenSource].
//
//	a user name and password, or a solution user's certificate    NewSTS
//	the same, in govc's environment variables                     FromEnv, then NewSTS
//	the same, with a PKCS#12 or PFX file                          LoadPKCS12, then NewSTS
//	files that an agent or a Kubernetes Secret brings             NewFile
//	a program that prints a token                                 NewExec
//	a token in the program's hands                                Static
//	a function that gets one                                      Func
//	any of them, for several transports or slow to ask            Reuse above it
//
// A bearer token is as good as a password for as long as it lives. A holder-of-key
// token is worth nothing without its key: it is for programs that run by themselves.
// The documentation of package vmsso has what else is for whom.
package tokensource

import (
	"context"
	"fmt"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// Static returns a source that yields always the same token. If tok.Expires is
// zero, the source takes the expiry from the assertion; set it to decide
// otherwise. What cannot be used, such as a key that is not the token's, is an
// error of the source's Token method, before anything is sent. The token is not
// to be modified any more.
func Static(tok *vmsso.Token) vmsso.TokenSource {
	tok, err := check(tok)
	return static(func() (*vmsso.Token, error) { return tok, err })
}

// A static source is a closure because fmt prints what is in a struct, for some
// verbs through pointers and past a Format method, and nothing of a closure.
type static func() (*vmsso.Token, error)

func (s static) Token(context.Context) (*vmsso.Token, error) { return s() }

// check returns the token with its expiry, or what is wrong with it.
func check(tok *vmsso.Token) (*vmsso.Token, error) {
	if tok == nil {
		return nil, fmt.Errorf("tokensource: %w: there is none", vmsso.ErrUnsupportedToken)
	}
	if _, err := signer.New(signer.Credentials{Token: tok}); err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	return withExpiry(tok)
}

// withExpiry returns the token with the expiry that its assertion names, unless
// it has one already.
func withExpiry(tok *vmsso.Token) (*vmsso.Token, error) {
	a, err := signer.ParseAssertion(tok.Assertion)
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	if !tok.Expires.IsZero() || a.Expires.IsZero() {
		return tok, nil
	}
	with := *tok
	with.Expires = a.Expires
	return &with, nil
}
