package main

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The second time the server gets 503, 503, 401 and 200 to answer.
func Example() {
	main()
	// Output:
	// all is well: 200 OK; so far 1 requests, 1 logins
	// busy twice, and the session is gone: 200 OK; so far 5 requests, 2 logins
}

const list, login = "GET /api/vcenter/vm", "POST /api/session"

// newLab returns a vCenter and a client for it, with a token of that authority, or
// of the vCenter's.
func newLab(t *testing.T, authority *vmssotest.Authority) (*vmssotest.Automation, func() (int, error)) {
	t.Helper()
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	if authority == nil {
		authority = vcenter.Authority
	}
	server := vmssotest.Listen(vcenter)
	t.Cleanup(server.Close)
	client, transport, err := newClient(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Base:     server.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	return vcenter.Automation, func() (int, error) {
		resp, err := client.Get(server.URL + "/api/vcenter/vm")
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
}

func busy(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	http.Error(w, "busy", http.StatusServiceUnavailable)
}

func TestManyCallersLogInOnce(t *testing.T) {
	vcenter, get := newLab(t, nil)
	for logins := 1; logins <= 3; logins++ {
		vcenter.Inject(list, 2, busy)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if status, err := get(); status != http.StatusOK || err != nil {
					t.Errorf("got %d, %v, want 200", status, err)
				}
			})
		}
		all.Wait()
		if vcenter.Logins() != logins {
			t.Errorf("%d logins, want %d", vcenter.Logins(), logins)
		}
		vcenter.Kill()
	}
}

func TestLoginToABusyServerIsRepeated(t *testing.T) {
	vcenter, get := newLab(t, nil)
	vcenter.Inject(login, 2, busy)
	if status, err := get(); status != http.StatusOK || err != nil {
		t.Errorf("got %d, %v, want 200", status, err)
	}
	if vcenter.Calls(login) != 3 || vcenter.Logins() != 1 {
		t.Errorf("%d requests to log in, %d logins, want 3 and 1", vcenter.Calls(login), vcenter.Logins())
	}
}

func TestRefusedLoginIsNotRepeated(t *testing.T) {
	vcenter, get := newLab(t, vmssotest.NewAuthority())
	if _, err := get(); !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "giving up after 1 attempt") {
		t.Errorf("got %v, want ErrRejected after 1 attempt", err)
	}
	if vcenter.Calls(login) != 1 || vcenter.Refused() != 1 {
		t.Errorf("%d requests to log in, %d refused, want 1 and 1", vcenter.Calls(login), vcenter.Refused())
	}
}

// TestFaultIsAnAnswer: the caller gets to read it.
func TestFaultIsAnAnswer(t *testing.T) {
	vcenter, get := newLab(t, nil)
	vcenter.Inject(list, -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "a fault", http.StatusInternalServerError)
	})
	if status, err := get(); status != http.StatusInternalServerError || err != nil || vcenter.Calls(list) != 1 {
		t.Errorf("got %d, %v after %d requests, want 500 after 1", status, err, vcenter.Calls(list))
	}
}

func TestAttemptsAreNotMultiplied(t *testing.T) {
	vcenter, get := newLab(t, nil)
	vcenter.Inject(list, -1, busy)
	if _, err := get(); err == nil {
		t.Error("no error of a server that is always busy")
	}
	if vcenter.Calls(list) != 5 {
		t.Errorf("%d attempts, want 5: the first, and RetryMax of go-retryablehttp", vcenter.Calls(list))
	}
}
