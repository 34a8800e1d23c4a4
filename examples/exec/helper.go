package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/vmsso/vmsso/tokensource"
)

// An answer is what a helper prints. Printing the assertion alone, as XML, would do
// for a bearer token.
type answer struct {
	Assertion   string `json:"assertion"`             // <saml2:Assertion …
	Expires     string `json:"expires,omitempty"`     // RFC 3339, where the assertion does not say it
	Certificate string `json:"certificate,omitempty"` // of a holder-of-key token: the path of a PEM file
	Key         string `json:"key,omitempty"`         // of that certificate, likewise
}

// printToken is the helper. It gets a token from wherever; this one knows a password.
func printToken(ctx context.Context) error {
	sts, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: os.Args[2], Username: "alice@vsphere.local", Password: "secret", // a real one keeps it in a vault
	})
	if err != nil {
		return err
	}
	token, err := sts.Token(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer{Assertion: token.Assertion, Expires: token.Expires.Format(time.RFC3339)})
}
