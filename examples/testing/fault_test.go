package inventory_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	inventory "github.com/vmsso/vmsso/examples/testing"
)

// TestServerRefuses: the program tells what the server has answered, and does not try
// another login.
func TestServerRefuses(t *testing.T) {
	vcenter, client := start(t)
	vcenter.Automation.Inject("GET /api/vcenter/vm", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "no privilege", http.StatusForbidden)
	})
	if got, err := inventory.VMs(t.Context(), client, url); err == nil || !strings.Contains(err.Error(), "403 Forbidden") || got != nil {
		t.Errorf("got %v, %v; want an error that says 403", got, err)
	}
	if vcenter.Logins() != 1 {
		t.Errorf("%d logins, want 1", vcenter.Logins())
	}
}

// TestAnswerIsCutOff: half a list does not pass for the whole.
func TestAnswerIsCutOff(t *testing.T) {
	vcenter, client := start(t)
	vcenter.Automation.Inject("GET /api/vcenter/vm", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = w.Write([]byte(`[{"name":"web01"},`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // breaks the connection
	})
	if got, err := inventory.VMs(t.Context(), client, url); err == nil || got != nil {
		t.Errorf("got %v, %v; want an error", got, err)
	}
}

// TestServerIsBusy for five seconds: the transport waits and asks again, the program
// does not notice. In a bubble of synctest they take no time.
func TestServerIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vcenter, client := start(t)
		vcenter.Automation.Inject("GET /api/vcenter/vm", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		wantVMs(t, client)
		if n := vcenter.Automation.Calls("GET /api/vcenter/vm"); n != 2 || vcenter.Logins() != 1 {
			t.Errorf("asked %d times with %d logins, want 2 with 1", n, vcenter.Logins())
		}
	})
}
