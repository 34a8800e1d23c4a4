package vmsso_test

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A holder-of-key token has the key of the certificate that its assertion names.
func ExampleToken() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	pair := vmssotest.NewKeyPair("backup", nil) // elsewhere tls.LoadX509KeyPair, or a key in an HSM
	assertion := vcenter.Authority.Issue(vmssotest.Claims{Subject: "backup@vsphere.local", Holder: pair.Leaf})

	tok := &vmsso.Token{Assertion: assertion, Key: pair.PrivateKey.(crypto.Signer)}
	fmt.Println("a log has the assertion:", strings.Contains(fmt.Sprintf("%+v", tok), assertion))

	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(tok), // finds out when it expires
		Auth:     &soap.Authenticator{},
		Base:     server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()
	_, err = transport.Session(context.Background()) // logs in
	fmt.Println("error:", err)
	// Output:
	// a log has the assertion: false
	// error: <nil>
}

// The functions of a Trace feed the metrics of a program, or its journal.
func ExampleTrace() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Trace: &vmsso.Trace{
			LoginDone: func(took time.Duration, session string, err error) { fmt.Println("login, error:", err) },
			Expired:   func(session string) { fmt.Println("the session is gone") },
			Replay:    func(method, path string) { fmt.Println("sent again:", method, path) },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	for range 2 {
		resp, err := client.Get(server.URL + "/api/vcenter/vm")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		vcenter.Kill() // an administrator ends the session
	}
	// Output:
	// login, error: <nil>
	// the session is gone
	// login, error: <nil>
	// sent again: GET /api/vcenter/vm
}
