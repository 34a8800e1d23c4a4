// Jsonrpc logs in to vSphere Automation over JSON-RPC, where a token may be of any
// size, for people who have a key besides their password: it makes theirs a
// holder-of-key token. The calls are in calls.go.
package main

import (
	"context"
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
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	if err := run(context.Background(), vcenter); err != nil {
		log.Fatal(err)
	}
	fmt.Println("logins:", vcenter.Logins(), "sessions left:", vcenter.Sessions())
}

func run(ctx context.Context, vcenter *vmssotest.VCenter) (err error) {
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	url, base := server.URL, server.Transport()

	certificate := vmssotest.NewKeyPair("alice", nil) // instead of tls.LoadX509KeyPair; registered nowhere
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL: url, Base: base, Username: "alice@vsphere.local", Password: "secret", Certificate: &certificate,
	})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: url,
		Source:   source,
		Auth:     &automation.Authenticator{Protocol: automation.JSONRPC},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	names, err := listVMs(ctx, client, url)
	if err != nil {
		return err
	}
	fmt.Println(names)
	return nil
}
