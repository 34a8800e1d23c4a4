package signer_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
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
