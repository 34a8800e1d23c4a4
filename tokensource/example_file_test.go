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

// The same, where the file is in a vault or a Secret.
func ExamplePKCS12() {
	data, err := os.ReadFile("testdata/modern.p12") // elsewhere from the vault
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := tokensource.PKCS12(data, "pässwörd €")
	if err != nil {
		log.Fatal(err)
	}
	config := tokensource.STSConfig{URL: "https://vcenter.example.com", Certificate: certificate}
	if _, err := tokensource.NewSTS(config); err != nil { // checks that the key can sign
		log.Fatal(err)
	}
	fmt.Println(certificate.Leaf.Subject)
	// Output: CN=test-solution,O=vmsso vectors
}
