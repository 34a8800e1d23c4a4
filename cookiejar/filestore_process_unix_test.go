//go:build unix

package cookiejar_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProcessThatIsStoppedInItsLoginHoldsUpTheOthersForAWhile: it is alive, and keeps its lease; nobody may take it away. They wait for half of
// their time, and then log in for themselves.
func TestProcessThatIsStoppedInItsLoginHoldsUpTheOthersForAWhile(t *testing.T) {
	t.Parallel()
	server, o := shared(t, 5)
	reached, release := make(chan struct{}), make(chan struct{})
	server.Inject(loginOp, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(reached)
		<-release
		next.ServeHTTP(w, r)
	})
	holder := start(t, o)
	holder.begin(t)
	<-reached
	must(t, holder.Process.Signal(syscall.SIGSTOP))
	o.LoginTimeout = 8 * time.Second
	var others []*process
	for range 2 {
		p := start(t, o)
		others = append(others, p)
		p.begin(t)
	}
	for _, p := range others {
		r := p.done(t)
		if r.Logins != 1 || len(r.Errors) > 0 || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "another process or goroutine holds") {
			t.Errorf("%+v, want a login, and one fault of the store: the lease", r)
		}
	}
	end(t, others...)
	if server.Logins() != 2 || server.Sessions() != 0 {
		t.Errorf("%d logins, %d sessions left behind, want one for each process, and none", server.Logins(), server.Sessions())
	}
	must(t, holder.Process.Signal(syscall.SIGCONT))
	close(release)
	last := start(t, o)
	for _, p := range []*process{holder, last} {
		if p == last {
			p.begin(t)
		}
		expectNoErrors(t, p.done(t))
	}
	if server.Logins() != 3 || server.Sessions() != 1 {
		t.Errorf("%d logins, %d sessions in the end, want that of the process that was stopped, for all who come later", server.Logins(), server.Sessions())
	}
}
