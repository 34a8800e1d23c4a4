package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return colons(sum[:])
}

// closedPort is the URL of a server that does not run.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "https://" + listener.Addr().String()
}

// TestUntrustedServerGetsNothing but a handshake; the message has what makes it
// trusted, if it is the right server.
func TestUntrustedServerGetsNothing(t *testing.T) {
	l := newLab(t)
	want := thumbprint(l.vcenter.Certificate())
	for _, trust := range [][]string{nil, {"-ca", l.file("cert.pem")}} {
		r := l.run(append(l.asMachine(trust...), "/api/vcenter/vm")...)
		found := regexp.MustCompile(`(?:[0-9A-F]{2}:){31}[0-9A-F]{2}`).FindString(r.stderr)
		if r.status != statusNotTrusted || found != want || r.stdout != "" {
			t.Errorf("%v: status %d, stderr %q; want 60 and the thumbprint %s", trust, r.status, r.stderr, want)
		}
	}
	other := strings.ReplaceAll(want, ":", "")
	r := l.run(append(l.asMachine("-thumbprint", thumbprint(l.director.Certificate())), "/api/vcenter/vm")...)
	if r.status != statusNotTrusted || !strings.Contains(r.stderr, other) {
		t.Errorf("another thumbprint: status %d, stderr %q; want 60 and the one that was found", r.status, r.stderr)
	}
	if got := l.services.STS.Requests() + l.services.Automation.Calls("GET /api/vcenter/vm"); got != 0 {
		t.Errorf("%d requests came", got)
	}
	for _, trusted := range []string{want, strings.ToLower(other)} {
		l.ok(append(l.asMachine("-thumbprint", trusted), "-no-store", "/api/vcenter/vm")...)
	}
}

// TestStoredSessionIsNotSentToAnImpostor who has the vCenter's address.
func TestStoredSessionIsNotSentToAnImpostor(t *testing.T) {
	l := newLab(t)
	l.ok(l.machine("/api/vcenter/vm")...)
	calls := l.services.Automation.Calls("GET /api/vcenter/vm")
	r := l.run(l.asMachine("-thumbprint", thumbprint(l.director.Certificate()), "/api/vcenter/vm")...)
	if got := l.services.Automation.Calls("GET /api/vcenter/vm") - calls; r.status != statusNotTrusted || got != 0 {
		t.Errorf("status %d, %d requests; want 60 and none", r.status, got)
	}
	r = l.run(l.asMachine("/api/vcenter/vm")...)
	if want := "vmcurl: the certificate of " + strings.TrimPrefix(l.vcenter.URL, "https://") + " is not trusted: "; !strings.HasPrefix(r.stderr, want) {
		t.Errorf("got %q, want %q …", r.stderr, want)
	}
}

// TestGovcInsecureIsNotObeyed: with it, everybody on the way can take over the
// account.
func TestGovcInsecureIsNotObeyed(t *testing.T) {
	l := newLab(t)
	l.env = map[string]string{"GOVC_URL": l.vcenter.URL, "GOVC_USERNAME": demoUser, "GOVC_PASSWORD": demoPassword, "GOVC_INSECURE": "1"}
	if r := l.run("/api/vcenter/vm"); r.status != statusNotTrusted || l.services.STS.Requests() != 0 {
		t.Errorf("status %d, %d requests of the token service; want 60 and none", r.status, l.services.STS.Requests())
	}
}

func TestFailFlag(t *testing.T) {
	l := newLab(t)
	if r := l.run(l.machine("/api/nothing")...); r.status != 0 || !strings.Contains(r.stdout, "NOT_FOUND") || r.stderr != "" {
		t.Errorf("without -f: got %+v, want the body of the 404 and status 0", r)
	}
	if r := l.run(l.machine("-f", "/api/nothing")...); r.status != statusHTTP || r.stdout != "" || !strings.Contains(r.stderr, "404 Not Found") {
		t.Errorf("with -f: got %+v, want 22 and no body", r)
	}
	if r := l.run(l.machine("-f", "/api/vcenter/vm")...); r.status != 0 || !strings.Contains(r.stdout, vms) {
		t.Errorf("with -f, good: got %+v", r)
	}
}

func TestServerThatDoesNotRun(t *testing.T) {
	l := newLab(t)
	if r := l.run("-vcenter", closedPort(t), "-cert", l.file("cert.pem"), "-key", l.file("key.pem"), "/api/vcenter/vm"); r.status != statusNoConnect || !strings.Contains(r.stderr, "check name and port") {
		t.Errorf("got %+v, want 7", r)
	}
}

// hang makes the servers answer nothing more to this path, and tells when a request
// has come.
func (l *lab) hang(op string) <-chan struct{} {
	came := make(chan struct{}, 10)
	l.services.Automation.Inject(op, -1, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		came <- struct{}{}
		<-r.Context().Done()
	})
	return came
}

func TestMaxTime(t *testing.T) {
	l := newLab(t)
	l.ok(l.machine("/api/vcenter/vm")...)
	for _, op := range []string{"GET /api/vcenter/vm", "POST /api/session"} {
		l.hang(op)
		if r := l.run(l.machine("-max-time", "0.3", "/api/vcenter/vm")...); r.status != statusTimeout || !strings.Contains(r.stderr, "-max-time") {
			t.Errorf("%s hangs: got %+v, want 28", op, r)
		}
		l.services.Automation.Inject(op, 0, nil)
		l.ok(l.machine("-logout")...)
	}
}

// TestInterruptKeepsTheSession, and ends the program at once.
func TestInterruptKeepsTheSession(t *testing.T) {
	l := newLab(t)
	came := l.hang("GET /api/vcenter/vm")
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-came
		interrupt()
	}()
	r := l.runIn(ctx, l.machine("/api/vcenter/vm")...)
	if r.status != statusInterrupted || r.stderr != "vmcurl: interrupted; the session, if there is one, is kept\n" {
		t.Errorf("got %+v, want 130", r)
	}
	l.services.Automation.Inject("GET /api/vcenter/vm", 0, nil)
	l.ok(l.machine("/api/vcenter/vm")...)
	if got := l.services.Automation.Logins(); got != 1 {
		t.Errorf("%d logins, want 1: the session is kept", got)
	}
}

// TestInterruptWhileSomebodyTypes sends nothing.
func TestInterruptWhileSomebodyTypes(t *testing.T) {
	l := newLab(t)
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan struct{})
	l.answer = func(ctx context.Context) (string, error) {
		interrupt()
		<-ctx.Done() // as the terminal does
		close(ended)
		return "", context.Cause(ctx)
	}
	r := l.runIn(ctx, "-vcenter", l.vcenter.URL, "-ca", l.file("ca.pem"), "-user", demoUser, "/api/vcenter/vm")
	<-ended
	if r.status != statusInterrupted || l.services.STS.Failures() != 0 || l.services.STS.Issued() != 0 {
		t.Errorf("got %+v, with %d tokens; want 130 and none", r, l.services.STS.Issued())
	}
}

// TestExplain: what tests over a socket cannot make.
func TestExplain(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, tt := range []struct {
		err    error
		status int
		want   string
	}{
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "vc.example.com", IsNotFound: true}}, 6, "no such host; check the server's name"},
		{&hostError{"vc.example.com", &net.OpError{Op: "proxyconnect", Err: refused}}, 7, "vc.example.com: proxyconnect: dial tcp: connection refused; check name and port"},
		{&net.DNSError{Err: "i/o timeout", Name: "vc.example.com", IsTimeout: true}, 28, "try a longer -max-time"},
		{fmt.Errorf("log out: %w", context.DeadlineExceeded), 28, "log out: context deadline exceeded"},
		{&hostError{"vc", &vmsso.LoginError{Endpoint: "sts", Stage: "Issue", Err: vmsso.ErrLocked}}, 67, "get a token from sts: Issue: refused by the server: the account is locked"},
		{&vmsso.LoginError{Endpoint: "vc", Stage: "LoginByToken", Err: vmsso.ErrSessionLimit}, 1, "log in to vc: LoginByToken: the server has reached its limit"},
		{vmsso.ErrOwnLogin, 1, "this request is a login of its own"},
		{fmt.Errorf("lines\n of\ta text"), 1, "lines of a text"},
	} {
		status, text := explain(t.Context(), tt.err)
		if status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%v: got %d, %q; want %d, %q", tt.err, status, text, tt.status, tt.want)
		}
	}
}
