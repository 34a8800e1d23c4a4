// Tenant logs in to an organization of a Cloud Director, for programs that get
// bearer tokens from the organization's own identity provider. The login tells who
// one is, and the URLs to start from. The calls are in calls.go.
package main

import (
	"context"
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
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	const entityID = "https://vcd.example.com/cloud/org/Finance/saml/metadata/alias/vcd"
	idp := vmssotest.NewAuthority()                                            // instead of an identity provider, such as AD FS
	server := vmssotest.Listen(vmssotest.NewDirector(vmssotest.DirectorConfig{ // instead of a Cloud Director
		Trust: []*x509.Certificate{idp.Certificate()}, Orgs: map[string]string{"Finance": entityID},
	}))
	defer server.Close()

	source := tokensource.Func(func(context.Context) (*vmsso.Token, error) { // is called for each login
		return &vmsso.Token{Assertion: idp.Issue(vmssotest.Claims{Subject: "bob@example.com", Audiences: []string{entityID}})}, nil
	})
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()},
		vmsso.Config{Endpoint: server.URL, Source: source, Auth: &vcloud.Authenticator{Org: "Finance"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	login, err := transport.Session(ctx)
	if err != nil {
		return err
	}
	session, err := vcloud.ReadSession(login)
	if err != nil {
		return err
	}
	fmt.Printf("%s of %s, %v\n", session.User, session.Org, session.Roles)
	names, err := listVMs(ctx, client, session.QueryListURL)
	if err != nil {
		return err
	}
	fmt.Println(names)
	return nil
}
