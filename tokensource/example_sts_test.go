package tokensource_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"

	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A new token for each login, by user name and password.
func ExampleNewSTS() {
	sts := vmssotest.NewSTS(vmssotest.STSConfig{
		Authority: vmssotest.NewAuthority(),
		Users:     map[string]string{"jo@vsphere.local": "pa55word"},
	})
	server := vmssotest.Listen(sts) // instead of a vCenter
	defer server.Close()

	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      server.URL,
		Username: "jo@vsphere.local",
		Password: "pa55word", // or Credentials, a function that is called for each token
		Base:     server.Transport(),
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("bearer:", tok.Key == nil, "issued:", sts.Issued())
	// Output: bearer: true issued: 1
}

// The transports of one SSO domain share a token, which is kept until shortly
// before it expires.
func ExampleReuse() {
	sts := vmssotest.NewSTS(vmssotest.STSConfig{
		Authority: vmssotest.NewAuthority(),
		Users:     map[string]string{"jo@vsphere.local": "pa55word"},
	})
	server := vmssotest.Listen(sts) // instead of a vCenter
	defer server.Close()
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: server.URL, Base: server.Transport(),
		Username: "jo@vsphere.local", Password: "pa55word",
	})
	if err != nil {
		log.Fatal(err)
	}
	shared := tokensource.Reuse(source, 0) // the Source of each vmsso.Config
	for range 3 {
		if _, err := shared.Token(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("issued:", sts.Issued())
	// Output: issued: 1
}

// A service with a certificate of its own (a solution user) acts for a person who
// has sent it a token, at a Cloud Director, which wants to be named in the token.
// Here all of the servers are in memory.
func ExampleSTSConfig_actAs() {
	solution := vmssotest.NewKeyPair("backup", nil) // elsewhere tls.LoadX509KeyPair, or a key in an HSM
	servers := vmssotest.NewNetwork()
	defer servers.Close()
	servers.Serve("vcenter.example.com", vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     vmssotest.NewAuthority(),
		Users:         map[string]string{"jo@vsphere.local": "pa55word"},
		SolutionUsers: map[string]*x509.Certificate{"backup@vsphere.local": solution.Leaf},
	}))
	base := servers.Transport()
	defer base.CloseIdleConnections()

	// The person's token. A service gets it with the person's request.
	person, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: "https://vcenter.example.com", Base: base,
		Username: "jo@vsphere.local", Password: "pa55word",
	})
	if err != nil {
		log.Fatal(err)
	}

	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: "https://vcenter.example.com", Base: base,
		Certificate: &solution,
		ActAs:       person,
		Audience:    []string{"https://vcd.example.com/cloud/org/Finance/saml/metadata/alias/vcd"},
	})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	a, err := signer.ParseAssertion(tok.Assertion)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("for", a.Subject)
	fmt.Println("held by", a.Holder.Subject.CommonName)
	fmt.Println("to be shown to", a.Audiences)
	// Output:
	// for jo@vsphere.local
	// held by backup
	// to be shown to [https://vcd.example.com/cloud/org/Finance/saml/metadata/alias/vcd]
}
