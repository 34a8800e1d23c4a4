// Exec gets its tokens from a helper program that prints them, for whoever has one
// already: the password stays with the helper. Here the helper is this program too.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	do := run
	if len(os.Args) == 3 && os.Args[1] == "print-token" {
		do = printToken // helper.go
	}
	if err := do(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := httptest.NewServer(vcenter) // instead of https://vcenter.example.com
	defer server.Close()
	command, err := os.Executable() // instead of /usr/local/bin/get-token
	if err != nil {
		return err
	}
	helper, err := tokensource.NewExec(tokensource.ExecConfig{Command: command, Args: []string{"print-token", server.URL}})
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(http.DefaultClient, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Reuse(helper, 0), // runs the helper when a token is about to expire, not at each login
		Auth:     &automation.Authenticator{},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out
	for range 3 {
		vcenter.Kill() // so that each request logs in
		if err := list(ctx, client, server.URL); err != nil {
			return err
		}
	}
	fmt.Printf("%d logins, with the token of %d run of the helper\n", vcenter.Logins(), vcenter.STS.Issued())
	return nil
}
