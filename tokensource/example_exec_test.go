//go:build unix

package tokensource_test

import (
	"context"
	"fmt"
	"log"

	"github.com/vmsso/vmsso/tokensource"
)

// A program of the company's own that gets tokens, perhaps slowly: Reuse asks it
// only when a token is about to expire.
func ExampleNewExec() {
	source, err := tokensource.NewExec(tokensource.ExecConfig{
		Command: "cat", // elsewhere /usr/local/bin/get-token: prints <saml2:Assertion …>, or {"assertion": "<saml2:Assertion …>", …}
		Args:    []string{"testdata/bearer.xml"},
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokensource.Reuse(source, 0).Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok)
	// Output: Token(bearer, 3913 bytes, expires 2049-12-31T00:00:00Z)
}
