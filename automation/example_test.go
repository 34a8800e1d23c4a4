package automation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func ExampleAuthenticator() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
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
	var machines []struct{ Name string }
	if err := json.NewDecoder(resp.Body).Decode(&machines); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, len(machines), "machines")
	// Output: 200 OK 3 machines
}

// A program whose calls are JSON-RPC, as those of VMware's SDKs are, can log in
// by that protocol too.
func ExampleAuthenticator_jsonRPC() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
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
	var answer struct{ Result struct{ Output []any } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, len(answer.Result.Output), "machines")
	// Output: 200 OK 3 machines
}
