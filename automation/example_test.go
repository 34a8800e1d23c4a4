package automation_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func ExampleAuthenticator() {
	authority := vmssotest.NewAuthority()
	server := vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}}))
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	resp, err := client.Get(server.URL + "/api/vcenter/vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, len(text) > 2)
	// Output: 200 OK true
}

// A program whose calls are JSON-RPC, as those of VMware's SDKs are, can log in
// by that protocol too.
func ExampleAuthenticator_jsonRPC() {
	authority := vmssotest.NewAuthority()
	server := vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}}))
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{Protocol: automation.JSONRPC},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	resp, err := client.Post(server.URL+"/api", "application/json", strings.NewReader(
		`{"jsonrpc":"2.0","id":"1","method":"invoke","params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list",`+
			`"input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"list-1"}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, strings.Contains(string(text), "com.vmware.vcenter.VM.summary"))
	// Output: 200 OK true
}
