// Retryablehttp is for programs that repeat requests with go-retryablehttp: where it
// goes, and what to set on both sides. The part to copy is client.go.
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
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{}) // instead of a vCenter
	server := vmssotest.Listen(vcenter)
	defer server.Close()

	client, transport, err := newClient(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Base:     server.Transport(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out
	for _, state := range []string{"all is well", "busy twice, and the session is gone"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/vcenter/vm", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		fmt.Printf("%s: %s; so far %d requests, %d logins\n", state, resp.Status, vcenter.Automation.Calls("GET /api/vcenter/vm"), vcenter.Logins())

		vcenter.Kill()
		vcenter.Automation.Inject("GET /api/vcenter/vm", 2, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		})
	}
	return nil
}
