// Govcd shows the recipe of docs/go-vcloud-director.md with a client that sends
// what go-vcloud-director sends.
package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	authority := vmssotest.NewAuthority() // instead of an identity provider
	director := vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	server := vmssotest.Listen(director)
	defer server.Close()
	source := tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "bob@example.com"})})

	client := newClient(server.URL, server.Transport())
	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   source,
		Auth:     &vcloud.Authenticator{Org: "Finance"},
		Base:     client.http.Transport, // with the TLS settings and the proxy of the client
	})
	if err != nil {
		return err
	}
	defer transport.Close() // logs out
	client.http.Transport = transport
	if err := client.setToken("Finance", authorizationHeader, "vmsso"); err != nil { // a placeholder
		return err
	}
	fmt.Printf("SetToken: %d login\n", director.Logins())

	director.Kill()
	text, err := client.do(client.xmlRequest(http.MethodPost, server.URL+"/api/echo", "application/xml", []byte("<VApp/>")))
	if err != nil {
		return err
	}
	fmt.Printf("POST in a session that is gone: %s arrived, %d logins\n", text, director.Logins())
	err = client.authenticate("bob", "secret", "Finance")
	fmt.Printf("Authenticate fails with ErrOwnLogin: %t\n", errors.Is(err, vmsso.ErrOwnLogin))
	err = transport.Close()
	fmt.Printf("Close: %d sessions left\n", director.Sessions())
	return err
}
