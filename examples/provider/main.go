// Provider logs in to a Cloud Director as its provider, for services: where the
// provider's identity provider is a vCenter, a solution user's certificate gets a
// holder-of-key token for it there.
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
	const entityID = "https://vcd.example.com/cloud/org/System/saml/metadata/alias/vcd"
	certificate := vmssotest.NewKeyPair("backup", nil) // instead of tls.LoadX509KeyPair("backup.crt", "backup.key")
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{SolutionUsers: map[string]*x509.Certificate{"backup": certificate.Leaf}})
	idp := vmssotest.Listen(vcenter) // instead of a vCenter
	defer idp.Close()
	cloud := vmssotest.Listen(vmssotest.NewDirector(vmssotest.DirectorConfig{ // instead of a Cloud Director
		Trust: []*x509.Certificate{vcenter.Authority.Certificate()}, Orgs: map[string]string{"System": entityID},
		OnLogin: func(l vmssotest.DirectorLogin) {
			fmt.Printf("%s logs in to %s, holder-of-key: %t\n", l.Subject, l.Org, l.HolderOfKey)
		},
	}))
	defer cloud.Close()

	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: idp.URL, Base: idp.Transport(), Certificate: &certificate, Audience: []string{entityID},
	})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: cloud.Transport()},
		vmsso.Config{Endpoint: cloud.URL, Source: source, Auth: &vcloud.Authenticator{}}) // no Org: the provider
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	name, err := siteName(ctx, client, cloud.URL)
	if err != nil {
		return err
	}
	fmt.Println("site:", name)
	return nil
}
