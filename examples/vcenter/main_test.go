package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// SOAP; logins so far: 1
	// file of a datastore; logins so far: 1
	// REST; logins so far: 2
	// JSON-RPC; logins so far: 2
	// tokens: 1; logins over SOAP: 1, over REST: 1; sessions left: 0
}

// TestEachSessionIsReplacedOnce: when both have ended, the calls take one more login
// each, with the token that is there.
func TestEachSessionIsReplacedOnce(t *testing.T) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := vmssotest.Listen(vcenter)
	defer server.Close()
	client, routes, err := newClient(t.Context(), server.URL, tokensource.STSConfig{
		Username: "alice@vsphere.local", Password: "secret", Base: server.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		vcenter.Kill()
		for _, c := range calls() {
			if err := c.do(t.Context(), client, server.URL); err != nil {
				t.Error(err)
			}
		}
	}
	if vcenter.VSphere.Logins() != 2 || vcenter.Automation.Logins() != 2 || vcenter.STS.Issued() != 1 {
		t.Errorf("%d logins over SOAP, %d over REST, %d tokens; want 2, 2, 1", vcenter.VSphere.Logins(), vcenter.Automation.Logins(), vcenter.STS.Issued())
	}
	if err := routes.Close(); err != nil || vcenter.Sessions() != 0 {
		t.Errorf("Close: %v, %d sessions left; want none", err, vcenter.Sessions())
	}
}
