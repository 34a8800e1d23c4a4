package vcloud_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

func ExampleAuthenticator() {
	idp := vmssotest.NewAuthority() // instead of an identity provider and a Cloud Director
	server := vmssotest.Listen(vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: []*x509.Certificate{idp.Certificate()}}))
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: idp.Issue(vmssotest.Claims{Subject: "bob"})}),
		Auth:     &vcloud.Authenticator{Org: "Finance"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	resp, err := client.Get(server.URL + "/api/query?type=vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

func ExampleReadSession() {
	idp := vmssotest.NewAuthority()
	server := vmssotest.Listen(vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: []*x509.Certificate{idp.Certificate()}}))
	defer server.Close()
	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: idp.Issue(vmssotest.Claims{Subject: "bob"})}),
		Auth:     &vcloud.Authenticator{Org: "Finance"},
		Base:     server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	s, err := transport.Session(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := vcloud.ReadSession(s)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(session.User, session.Org, session.Roles)
	fmt.Println(session.QueryListURL == server.URL+"/api/query")
	// Output:
	// bob Finance [Organization Administrator]
	// true
}
