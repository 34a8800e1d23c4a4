package cookiejar_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/vmsso/vmsso/vmssotest"
)

const loginOp = "POST /api/session"

// shared returns a server on a socket, and the order for programs that share its session.
func shared(t *testing.T, goroutines int) (*vmssotest.Automation, order) {
	t.Helper()
	a := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority().Certificate()}})
	server := vmssotest.Listen(a)
	t.Cleanup(server.Close)
	return a, order{
		URL: server.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), Token: token(),
		Dir: t.TempDir() + "/sessions", Calls: goroutines, LoginTimeout: time.Minute,
	}
}

// expectNoErrors wants that all calls went well, and returns how many logins were begun.
func expectNoErrors(t *testing.T, reports ...report) (logins int) {
	t.Helper()
	for _, r := range reports {
		logins += r.Logins
		if len(r.Errors)+len(r.Faults) > 0 {
			t.Errorf("a process: errors %.1000q, faults of the store %.1000q", r.Errors, r.Faults)
		}
	}
	return logins
}

// TestFiftyProcessesLogInOnce: cold, and again when the server has ended the session under all of them. All ask for the lease before the login ends.
func TestFiftyProcessesLogInOnce(t *testing.T) {
	for _, tc := range []struct {
		name                  string
		processes, goroutines int
		storeKey              []byte
	}{
		{"encrypted", 50, 20, bytes.Repeat([]byte{7}, 32)},
		{"in clear", 3, 5, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if testing.Short() {
				tc.processes = min(tc.processes, 5)
			}
			server, o := shared(t, tc.goroutines)
			o.StoreKey = tc.storeKey
			var all []*process
			for range tc.processes {
				all = append(all, start(t, o))
			}
			for round := 1; round <= 2; round++ {
				release := make(chan struct{})
				server.Inject(loginOp, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					<-release
					next.ServeHTTP(w, r)
				})
				for _, p := range all {
					p.begin(t)
				}
				for _, p := range all {
					p.waits(t)
				}
				close(release)
				var reports []report
				for _, p := range all {
					reports = append(reports, p.done(t))
				}
				if logins := expectNoErrors(t, reports...); logins != 1 {
					t.Errorf("round %d: the processes began %d logins, want 1", round, logins)
				}
				if server.Logins() != round || server.Calls(loginOp) != round || server.Sessions() != 1 {
					t.Errorf("round %d: %d logins at the server, %d asked for, %d sessions, want %d, as many, and one",
						round, server.Logins(), server.Calls(loginOp), server.Sessions(), round)
				}
				if round == 1 && server.Kill() != 1 {
					t.Error("there is not one session")
				}
			}
			end(t, all...)
			if server.Sessions() != 1 || server.MaxConcurrentLogins() != 1 {
				t.Errorf("%d sessions are left, up to %d logins at the same time, want 1 and 1", server.Sessions(), server.MaxConcurrentLogins())
			}
		})
	}
}

// TestProcessThatIsKilledInItsLoginLeavesItToTheOthers: none of them waits until something times out, or each would log in for itself.
func TestProcessThatIsKilledInItsLoginLeavesItToTheOthers(t *testing.T) {
	server, o := shared(t, 5)
	reached := make(chan struct{})
	server.Inject(loginOp, 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		close(reached)
		<-r.Context().Done() // the client is gone
		panic(http.ErrAbortHandler)
	})
	holder := start(t, o)
	holder.begin(t)
	<-reached
	var others []*process
	for range 5 {
		p := start(t, o)
		others = append(others, p)
		p.begin(t)
	}
	for _, p := range others {
		p.waits(t)
	}
	if server.Logins() != 0 || server.Calls(loginOp) != 1 {
		t.Errorf("%d logins asked for while another has the lease", server.Calls(loginOp)-1)
	}
	must(t, holder.Process.Kill())
	var reports []report
	for _, p := range others {
		reports = append(reports, p.done(t))
	}
	if logins := expectNoErrors(t, reports...); logins != 1 || server.Logins() != 1 {
		t.Errorf("%d logins begun by the others, %d at the server, want 1", logins, server.Logins())
	}
}
