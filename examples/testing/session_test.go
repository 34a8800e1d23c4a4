package inventory_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	inventory "github.com/vmsso/vmsso/examples/testing"
)

func TestCallsShareASession(t *testing.T) {
	vcenter, client := start(t)
	wantVMs(t, client)
	wantVMs(t, client)
	if vcenter.Logins() != 1 {
		t.Errorf("%d logins, want 1", vcenter.Logins())
	}
}

// TestSessionEndsInTheMiddle of the work: an administrator has ended it.
func TestSessionEndsInTheMiddle(t *testing.T) {
	vcenter, client := start(t)
	wantVMs(t, client)
	if n := vcenter.Kill(); n != 1 {
		t.Errorf("ended %d sessions, want 1", n)
	}
	wantVMs(t, client)
	if vcenter.Logins() != 2 {
		t.Errorf("%d logins, want 2", vcenter.Logins())
	}
}

// TestSessionIsIdleForTooLong: within a bubble of synctest the half hour after which
// a session ends takes no time. Programs and servers share its clock.
func TestSessionIsIdleForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vcenter, client := start(t)
		wantVMs(t, client)
		time.Sleep(31 * time.Minute)
		wantVMs(t, client)
		if vcenter.Logins() != 2 || vcenter.STS.Issued() != 2 {
			t.Errorf("%d logins with %d tokens, want 2 with 2: the first token has expired too", vcenter.Logins(), vcenter.STS.Issued())
		}
	})
}

// wantVMs calls the program.
func wantVMs(t *testing.T, client *http.Client) {
	t.Helper()
	want := []string{"web01", "web02", "db01"} // those of every vmssotest.Automation
	if got, err := inventory.VMs(t.Context(), client, url); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
