package inventory_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// url is that of the vCenter, which is on a network in memory: there are no ports,
// and time can pass at once.
const url = "https://vc.example.test"

// start starts a vCenter for a test, and logs a client in, as your program does where
// it makes its own. At the end of the test no session may be left.
func start(t *testing.T) (*vmssotest.VCenter, *http.Client) {
	t.Helper()
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	network := vmssotest.NewNetwork()
	t.Cleanup(network.Close)
	network.Serve("vc.example.test", vcenter)
	base := network.Transport() // trusts the servers of this network
	t.Cleanup(base.CloseIdleConnections)

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: url, Base: base, Username: "alice@vsphere.local", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{Endpoint: url, Source: source, Auth: &automation.Authenticator{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil || vcenter.Sessions() != 0 {
			t.Errorf("Close: %v, %d sessions are left, want none", err, vcenter.Sessions())
		}
	})
	return vcenter, client
}
