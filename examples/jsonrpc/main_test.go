package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// [web01 web02 db01]
	// logins: 1 sessions left: 0
}

// TestLoginIsJSONRPC: no header has the token, and the key of its holder has signed
// the login.
func TestLoginIsJSONRPC(t *testing.T) {
	vcenter := newVCenter()
	var login string
	vcenter.Automation.Inject("com.vmware.cis.session create", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		login = string(body)
		next.ServeHTTP(w, r)
	})
	if err := run(t.Context(), vcenter); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(login, "saml_hok_token") || vcenter.Automation.Calls("POST /api/session") != 0 {
		t.Errorf("%d logins over REST, and the one over JSON-RPC is holder-of-key: %t; want none, true",
			vcenter.Automation.Calls("POST /api/session"), strings.Contains(login, "saml_hok_token"))
	}
}

// TestErrorWithStatus200: JSON-RPC tells errors in an answer of status 200. They do
// not pass for a vCenter without VMs.
func TestErrorWithStatus200(t *testing.T) {
	vcenter := newVCenter()
	vcenter.Automation.Inject("com.vmware.vcenter.VM list", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":"1","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.unauthorized":{}}}}}`)
	})
	if err := run(t.Context(), vcenter); err == nil || !strings.Contains(err.Error(), "errors.unauthorized") || vcenter.Sessions() != 0 {
		t.Errorf("got %v with %d sessions left, want an error that says unauthorized, and none", err, vcenter.Sessions())
	}
}

func newVCenter() *vmssotest.VCenter {
	return vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
}
