package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

const wantOutput = `0  Servers on 127.0.0.1
  start                       vCenter, Cloud Director, vcsim + front TOOK
1  Endpoints from the Lookup Service, tokens from the STS
  Lookup Service              knows STS, SOAP API and Automation TOOK
  password                    bearer token, valid for 5m0s TOOK
  certificate                 holder-of-key token, valid for 10m0s TOOK
  password + certificate      holder-of-key token, valid for 10m0s TOOK
2  A whole vCenter through one http.Client
  bearer, SOAP                CurrentTime TIME; 1 login TOOK
  bearer, /folder             web01.vmx, 35 bytes; no login TOOK
  bearer, REST                a list of 3 VMs; 1 login TOOK
  bearer, JSON-RPC            a list of 3 VMs; no login TOOK
  holder-of-key, SOAP         CurrentTime TIME; 1 login TOOK
  holder-of-key, /folder      web01.vmx, 35 bytes; no login TOOK
  holder-of-key, REST         a list of 3 VMs; 1 login TOOK
  holder-of-key, JSON-RPC     a list of 3 VMs; no login TOOK
3  A Cloud Director, with tokens from its own identity provider
  tenant, bearer              bob@example.com of Finance; 1 login TOOK
    role                      Organization Administrator
    query, from its links     a list of 3 VMs; no login TOOK
  provider, holder-of-key     carol@example.com of System; 1 login TOOK
    role                      System Administrator
    query, from its links     a list of 3 VMs; no login TOOK
4  govmomi's vcsim, behind a front that verifies logins
  govmomi, first call         a list of 4 VMs; 1 login TOOK
  govmomi, second call        a list of 4 VMs; no login TOOK
5  The sessions end behind the clients' backs
  the vCenter                 forgets 4 sessions TOOK
  bearer, SOAP                50 calls at once succeed; 1 login TOOK
  bearer, REST                50 calls at once succeed; 1 login TOOK
  holder-of-key, SOAP         50 calls at once succeed; 1 login TOOK
  holder-of-key, JSON-RPC     50 calls at once succeed; 1 login TOOK
  the Cloud Director          forgets 2 sessions TOOK
  tenant, bearer              50 calls at once succeed; 1 login TOOK
  provider, holder-of-key     50 calls at once succeed; 1 login TOOK
  an administrator of vcsim   terminates 1 session TOOK
  govmomi                     50 calls at once succeed; 1 login TOOK
6  What the servers counted
  Close                       ends 7 sessions TOOK
  vCenter, SOAP               4 logins, 0 refused, 0 sessions left
  vCenter, Automation         4 logins, 0 refused, 0 sessions left
    of these                  2 logins over REST, 2 over JSON-RPC
  Cloud Director              4 logins, 0 refused, 0 sessions left
  vcsim                       2 logins, 0 refused, 0 sessions left
  STS                         13 tokens, 0 refused

350 calls came after the end of their session: none failed, with 7 logins.
`

// TestMain also sees to it that nothing goes on running, whether a tour ends well
// or not. There are no exceptions: vcsim, too, ends its goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestQuickstart is the program as a person starts it.
func TestQuickstart(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), nil, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("status %d, want 0; stderr %q, want none", status, &stderr)
	}
	if got := withoutTimes(stdout.String()); got != wantOutput {
		t.Errorf("got\n%s\nwant\n%s", got, wantOutput)
	}
	const right = 79 // where a row with a time ends
	for line := range strings.Lines(stdout.String()) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasSuffix(line, " ms") && len(line) != right {
			t.Errorf("a row of %d characters, want %d: %q", len(line), right, line)
		}
	}
}

// withoutTimes replaces what differs from run to run.
func withoutTimes(s string) string {
	s = regexp.MustCompile(` +\d+\.\d ms\n`).ReplaceAllString(s, " TOOK\n")
	s = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}`).ReplaceAllString(s, "TIME")
	s = regexp.MustCompile(`valid for 4m5\ds`).ReplaceAllString(s, "valid for 5m0s") // on a slow machine
	return regexp.MustCompile(`valid for 9m5\ds`).ReplaceAllString(s, "valid for 10m0s")
}

func TestHelpExplains(t *testing.T) {
	for _, arg := range []string{"-h", "-help", "--help"} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{arg}, &stdout, &stderr); status != 0 || stdout.String() != usage || stderr.Len() > 0 {
			t.Errorf("%s: status %d, stdout %q, stderr %q; want 0, the usage, none", arg, status, &stdout, &stderr)
		}
	}
}

// TestVerboseLogsEachLoginOnce: the log agrees with the servers' counters, and
// shows no password.
func TestVerboseLogsEachLoginOnce(t *testing.T) {
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"-v"}, io.Discard, &stderr); status != 0 {
		t.Fatalf("status %d, want 0; stderr %q", status, &stderr)
	}
	for message, want := range map[string]int{"vmsso: logged in": 14, "vmsso: the server ended the session": 7, "vmsso: logged out": 7, userPassword: 0} {
		if got := strings.Count(stderr.String(), message); got != want {
			t.Errorf("%q stands %d times in the log, want %d:\n%s", message, got, want, &stderr)
		}
	}
}

// TestFailureIsOneSentence: whatever goes wrong is told in one line, the status
// is 1, and nothing goes on running.
func TestFailureIsOneSentence(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		args []string
		want string // a part of the sentence
	}{
		{"wrong password", t.Context(), []string{"-password", "wrong"}, "refused by the server"},
		{"empty password", t.Context(), []string{"-password", ""}, "has only one of Username and Password"},
		{"unknown flag", t.Context(), []string{"-x"}, "not defined: -x; -h explains"},
		{"unknown argument", t.Context(), []string{"x"}, `unknown argument "x"; -h explains`},
		{"interrupted", interrupted, nil, "interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			status := run(tt.ctx, tt.args, io.Discard, &stderr)
			got := stderr.String()
			if status != 1 || !strings.HasPrefix(got, "quickstart: ") || strings.Index(got, "\n") != len(got)-1 || !strings.Contains(got, tt.want) {
				t.Errorf("status %d, want 1; stderr %q, want one line with %q", status, got, tt.want)
			}
		})
	}
}

// TestEveryCallOutlivesItsSession: the tour shows only some of them.
func TestEveryCallOutlivesItsSession(t *testing.T) {
	s := newServers(t)
	tour := &tour{options: options{userPassword: userPassword}, servers: s, out: &table{io.Discard}}
	defer tour.logout()
	for _, step := range []func(context.Context) error{tour.getTokens, tour.callVCenter} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []*vcenter{tour.bearer, tour.holder} {
		for _, call := range []func(context.Context) (string, error){v.currentTime, v.readFile, v.listByREST, v.listByRPC} {
			s.vcenter.Kill()
			before := s.vcenter.Logins()
			if got, err := call(t.Context()); err != nil || s.vcenter.Logins()-before != 1 {
				t.Errorf("got %q, %v, with %d logins, want 1", got, err, s.vcenter.Logins()-before)
			}
		}
	}
}

// TestStopsWhenTheSTSFails in the middle of the tour.
func TestStopsWhenTheSTSFails(t *testing.T) {
	s := newServers(t)
	tour := &tour{options: options{userPassword: userPassword}, servers: s, out: &table{io.Discard}}
	if err := tour.getTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.vcenter.STS.Inject("", -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	})
	err := tour.callVCenter(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HTTP 503") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one sentence that says: HTTP 503", err)
	}
}

// TestStopsWhenTheDirectorDoesNotTrustTheToken, which is told without the token.
func TestStopsWhenTheDirectorDoesNotTrustTheToken(t *testing.T) {
	s := newServers(t)
	s.issuer = vmssotest.NewAuthority()
	tour := &tour{servers: s, out: &table{io.Discard}}
	err := tour.callDirector(t.Context())
	if !errors.Is(err, vmsso.ErrRejected) || strings.ContainsAny(err.Error(), "\n<") {
		t.Errorf("got %v, want one sentence, vmsso.ErrRejected", err)
	}
}

// TestInterruptInTheMiddle is Ctrl-C while sessions are open.
func TestInterruptInTheMiddle(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stderr bytes.Buffer
	status := run(ctx, nil, writerFunc(func(line string) {
		if strings.HasPrefix(line, "5 ") {
			interrupt()
		}
	}), &stderr)
	if status != 1 || stderr.String() != "quickstart: interrupted\n" {
		t.Errorf("status %d, stderr %q; want 1, interrupted", status, &stderr)
	}
}

// writerFunc sees each row as it is written.
type writerFunc func(line string)

func (f writerFunc) Write(b []byte) (int, error) {
	f(string(b))
	return len(b), nil
}

func newServers(t *testing.T) *servers {
	t.Helper()
	s, err := startServers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}
