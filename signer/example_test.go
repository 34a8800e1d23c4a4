package signer_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/vmssotest"
)

// A holder-of-key token and its key become a signed login.
func Example() {
	assertion, err := os.ReadFile("testdata/hok.xml")
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		log.Fatal(err)
	}
	s, err := signer.New(signer.Credentials{Token: &vmsso.Token{
		Assertion: string(assertion),
		Key:       pair.PrivateKey.(crypto.Signer), // it can be in an HSM as well
	}})
	if err != nil {
		log.Fatal(err)
	}
	content := `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>`
	message, err := s.Message([]byte(content), time.Now())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed:", s.HolderOfKey())
	fmt.Println("token verbatim:", bytes.Contains(message, assertion))
	fmt.Println("signatures:", bytes.Count(message, []byte("<ds:SignatureValue>"))) // the issuer's and ours
	// Output:
	// signed: true
	// token verbatim: true
	// signatures: 2
}

// A password needs no key.
func ExampleNew() {
	s, err := signer.New(signer.Credentials{Username: "jo@vsphere.local", Password: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signs:", s.HolderOfKey())

	_, err = signer.New(signer.Credentials{Username: "jo@vsphere.local"})
	fmt.Println(err)
	// Output:
	// signs: false
	// signer: Credentials have only one of user name and password: give both
}

// A cell of vCloud Director 5.x knows SHA-1 alone, which nothing else is signed
// with.
func ExampleOptions() {
	key, assertion := exampleToken()
	s, err := signer.Options{Hash: crypto.SHA1}.New(signer.Credentials{Token: &vmsso.Token{Assertion: assertion, Key: key}})
	if err != nil {
		log.Fatal(err)
	}
	header, err := s.VCloudHeader("Finance")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasSuffix(header, `signature_alg="SHA1withRSA"`))

	_, err = s.Message([]byte(`<LoginByToken xmlns="urn:vim25"></LoginByToken>`), time.Now())
	fmt.Println(err)
	// Output:
	// true
	// not a usable key: a SOAP message has no RSA signatures with SHA-1: it takes SHA-256, SHA-384 and SHA-512
}

// Whose token it is, and for whom. Nothing of that is verified: Verify does.
func ExampleParseAssertion() {
	_, assertion := exampleToken()
	a, err := signer.ParseAssertion(assertion)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.Subject, "until", a.Expires.Format(time.RFC3339))
	fmt.Println("held by", a.Holder.Subject)
	// Output:
	// test-solution@vsphere.local until 2049-12-31T00:00:00Z
	// held by CN=test-solution,O=vmsso vectors
}

// A program that passes tokens on may want to know whose they are.
func ExampleVerify() {
	issuer, stranger := vmssotest.NewAuthority(), vmssotest.NewAuthority() // elsewhere the STS's certificate is in a file
	trust := []*x509.Certificate{issuer.Certificate()}
	for _, assertion := range []string{
		issuer.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"}),
		stranger.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"}),
	} {
		a, err := signer.Verify(assertion, trust, time.Now())
		if err != nil {
			fmt.Println("unusable:", errors.Is(err, vmsso.ErrUnsupportedToken))
			continue
		}
		fmt.Println(a.Subject)
	}
	// Output:
	// alice@vsphere.local
	// unusable: true
}

func exampleToken() (key crypto.Signer, assertion string) {
	text, err := os.ReadFile("testdata/hok.xml")
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		log.Fatal(err)
	}
	return pair.PrivateKey.(crypto.Signer), string(text)
}
