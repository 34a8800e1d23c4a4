package tokensource_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// A Secret of Kubernetes that is mounted at /var/run/vcenter, and that another
// program renews.
func ExampleNewFile_kubernetes() {
	source, err := tokensource.NewFile(tokensource.FileConfig{
		Token:       "/var/run/vcenter/token.xml",
		Certificate: "/var/run/vcenter/tls.crt",
		Key:         "/var/run/vcenter/tls.key",
		Poll:        time.Minute,
		Logger:      slog.Default(), // tells when what is mounted cannot be used
	})
	if err != nil {
		log.Fatal(err)
	}
	client, transport, err := vmsso.Wrap(http.DefaultClient, vmsso.Config{
		Endpoint: "https://vcenter.example.com/sdk",
		Source:   source,
		Auth:     &soap.Authenticator{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close()
	_ = client
}

// The key as Windows exports it.
func ExampleNewFile_pkcs12() {
	source, err := tokensource.NewFile(tokensource.FileConfig{
		Token:    "testdata/hok.xml",
		PKCS12:   "testdata/legacy.p12",
		Password: "s3cr3t", // better: PasswordFile
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok)
	// Output: Token(holder-of-key, 5215 bytes, expires 2049-12-31T00:00:00Z)
}

// A solution user logs in with its certificate and key in a PKCS#12 file.
func ExampleLoadPKCS12() {
	certificate, err := tokensource.LoadPKCS12("testdata/legacy.p12", "s3cr3t")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(certificate.Leaf.Subject)

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: "https://vcenter.example.com", Certificate: certificate})
	if err != nil {
		log.Fatal(err)
	}
	_ = source
	// Output: CN=test-solution,O=vmsso vectors
}

// A program of the company's own that gets tokens, perhaps slowly: Reuse asks it
// only when a token is about to expire.
func ExampleNewExec() {
	source, err := tokensource.NewExec(tokensource.ExecConfig{
		Command: "/usr/local/bin/get-token", // prints <saml2:Assertion …>, or {"assertion": "<saml2:Assertion …>", …}
		Args:    []string{"--for", "vcenter.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokensource.Reuse(source, 0).Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok)
}

// What govc needs, and nothing else, configures the program.
func ExampleFromEnv() {
	env, err := tokensource.FromEnv(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	source, err := tokensource.NewSTS(env.STS)
	if err != nil {
		log.Fatal(err)
	}
	transport, err := vmsso.New(vmsso.Config{Endpoint: env.Endpoint, Base: env.Base, Source: source, Auth: &soap.Authenticator{}})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close()
}

// A variable is read for each token.
func ExampleFunc() {
	source := tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) {
		return tokensource.Static(&vmsso.Token{Assertion: os.Getenv("SAML_TOKEN")}).Token(ctx)
	})
	_, err := source.Token(context.Background())
	fmt.Println(err)
	// Output: tokensource: not a usable SAML 2.0 token: it is empty
}
