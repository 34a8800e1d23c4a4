package tokensource_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// A token that the program has already.
func ExampleStatic() {
	assertion, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		log.Fatal(err)
	}
	source := tokensource.Static(&vmsso.Token{Assertion: string(assertion)})

	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok) // never shows the assertion
	// Output: Token(bearer, 3913 bytes, expires 2049-12-31T00:00:00Z)
}

// A holder-of-key token and its key, which another program renews.
func ExampleNewFile() {
	source, err := tokensource.NewFile(tokensource.FileConfig{
		Token:       "testdata/hok.xml",
		Certificate: "testdata/client-cert.pem",
		Key:         "testdata/client-key-pkcs8.pem",
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := source.Token(context.Background()) // reads the files anew
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok)
	// Output: Token(holder-of-key, 5215 bytes, expires 2049-12-31T00:00:00Z)
}

// A function that gets a token in a way of its own. Static checks what it got.
func ExampleFunc() {
	source := tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) {
		assertion, err := os.ReadFile("testdata/bearer.xml") // or a call of your own service
		if err != nil {
			return nil, err
		}
		return tokensource.Static(&vmsso.Token{Assertion: string(assertion)}).Token(ctx)
	})
	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok)
	// Output: Token(bearer, 3913 bytes, expires 2049-12-31T00:00:00Z)
}
