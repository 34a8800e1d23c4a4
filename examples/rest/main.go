// Rest calls vSphere Automation over REST, for services that have a certificate:
// a solution user logs in with a holder-of-key token. The calls are in calls.go,
// and know nothing of tokens and sessions.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	certificate := vmssotest.NewKeyPair("backup", nil) // instead of tls.LoadX509KeyPair("backup.crt", "backup.key")
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{SolutionUsers: map[string]*x509.Certificate{"backup": certificate.Leaf}})
	if err := run(context.Background(), vcenter, &certificate); err != nil {
		log.Fatal(err)
	}
	fmt.Println("sessions left:", vcenter.Sessions())
}

func run(ctx context.Context, vcenter *vmssotest.VCenter, certificate *tls.Certificate) (err error) {
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	url, base := server.URL, server.Transport()

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: url, Base: base, Certificate: certificate})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{Endpoint: url, Source: source, Auth: &automation.Authenticator{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	for range 2 {
		vcenter.Kill() // ends the session of the call before, as an administrator can
		names, err := listVMs(ctx, client, url)
		if err != nil {
			return err
		}
		fmt.Printf("%v; logins so far: %d\n", names, vcenter.Logins())
	}
	return nil
}
