// Soap calls the vSphere Web Services API with a plain http.Client, for programs
// that have a user name and a password. The calls are in calls.go, and know
// nothing of tokens and sessions.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	if err := run(context.Background(), vcenter); err != nil {
		log.Fatal(err)
	}
	fmt.Println("sessions left:", vcenter.Sessions())
}

func run(ctx context.Context, vcenter *vmssotest.VCenter) (err error) {
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	url, base := server.URL, server.Transport()

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: url, Base: base, Username: "alice@vsphere.local", Password: "secret"})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: url + "/sdk",
		Source:   source,
		Auth:     &soap.Authenticator{},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	for range 2 {
		vcenter.Kill() // ends the session of the call before, as an administrator can
		now, err := currentTime(ctx, client, url)
		if err != nil {
			return err
		}
		fmt.Printf("the clocks agree: %t; logins so far: %d\n", time.Since(now).Abs() < 5*time.Minute, vcenter.Logins())
	}
	return nil
}
