// Hsm logs in with a private key that never leaves its HSM or KMS, for services that
// have a solution user's certificate. Any crypto.Signer will do; key.go has one.
package main

import (
	"context"
	"crypto"
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
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	pair := vmssotest.NewKeyPair("backup", nil)
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{SolutionUsers: map[string]*x509.Certificate{"backup": pair.Leaf}})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	url, base := server.URL, server.Transport()
	hsm := &key{inside: pair.PrivateKey.(crypto.Signer)} // instead of one that the HSM's library opens
	certificate := tls.Certificate{Certificate: [][]byte{pair.Leaf.Raw}, PrivateKey: hsm}
	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: url, Base: base, Certificate: &certificate})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{Endpoint: url, Source: source, Auth: &automation.Authenticator{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/vcenter/vm", nil)
	if err != nil {
		return err
	}
	for range 2 { // the first one logs in
		before := hsm.signatures.Load()
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		fmt.Printf("%s; the HSM has signed: %t\n", resp.Status, hsm.signatures.Load() > before)
	}
	return nil
}
