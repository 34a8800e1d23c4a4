// Vcenter serves all of a vCenter through one http.Client, for programs that use
// more than one of its APIs: one session for each, and one token for both. The
// client is made in client.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	if err := run(context.Background(), vcenter); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("tokens: %d; logins over SOAP: %d, over REST: %d; sessions left: %d\n",
		vcenter.STS.Issued(), vcenter.VSphere.Logins(), vcenter.Automation.Logins(), vcenter.Sessions())
}

func run(ctx context.Context, vcenter *vmssotest.VCenter) (err error) {
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()

	client, routes, err := newClient(ctx, server.URL, tokensource.STSConfig{
		Username: "alice@vsphere.local", Password: "secret", Base: server.Transport(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, routes.Close()) }() // logs out everywhere

	for _, c := range calls() {
		if err := c.do(ctx, client, server.URL); err != nil {
			return err
		}
		fmt.Printf("%s; logins so far: %d\n", c.name, vcenter.Logins())
	}
	return nil
}
