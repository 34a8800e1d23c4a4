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
	// the clocks agree: true; logins so far: 1
	// the clocks agree: true; logins so far: 2
	// sessions left: 0
}

// TestFaultIsTold: what the server says against a call reaches who made it, and the
// session ends all the same.
func TestFaultIsTold(t *testing.T) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	vcenter.VSphere.Inject("CurrentTime", -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>ServerFaultCode</faultcode>`+
			`<faultstring>The server is starting.</faultstring></Fault></Body></Envelope>`)
	})
	err := run(t.Context(), vcenter)
	if err == nil || !strings.Contains(err.Error(), "500 Internal Server Error: The server is starting.") || vcenter.Sessions() != 0 {
		t.Errorf("got %v with %d sessions left, want an error with 500 and the server's words, and none", err, vcenter.Sessions())
	}
}
