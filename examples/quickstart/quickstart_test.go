package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

const wantOutput = `0  Servers on 127.0.0.1
  start                       STS, strict endpoint, front and vcsim TOOK
1  Tokens from the STS
  password                    bearer token, valid for 5m0s TOOK
  certificate                 holder-of-key token, valid for 10m0s TOOK
  password + certificate      holder-of-key token, valid for 10m0s TOOK
2  A strict vSphere endpoint, through net/http
  bearer, first call          CurrentTime TIME; 1 login TOOK
  bearer, second call         CurrentTime TIME; no login TOOK
  holder-of-key, first call   CurrentTime TIME; 1 login TOOK
  holder-of-key, second call  CurrentTime TIME; no login TOOK
3  govmomi's vcsim, behind a front that verifies logins
  govmomi, first call         a list of 4 VMs; 1 login TOOK
  govmomi, second call        a list of 4 VMs; no login TOOK
4  The sessions end behind the clients' backs
  the endpoint                forgets its 2 sessions TOOK
  bearer                      50 calls at once succeed; 1 login TOOK
  holder-of-key               50 calls at once succeed; 1 login TOOK
  an administrator of vcsim   terminates 1 session TOOK
  govmomi                     50 VM lists at once succeed; 1 login TOOK
5  What the servers counted
  Close                       logs out 3 clients TOOK
  strict endpoint             4 logins, 0 refused, 0 sessions left
  vcsim                       2 logins, 0 refused, 0 sessions left
  STS                         9 tokens, 0 refused

150 calls came after the end of their session: none failed, with 3 logins.
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
	for message, want := range map[string]int{"vmsso: logged in": 6, "vmsso: the server ended the session": 3, "vmsso: logged out": 3, userPassword: 0} {
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

// TestStopsWhenTheSTSFails in the middle of the tour.
func TestStopsWhenTheSTSFails(t *testing.T) {
	s := newServers(t)
	tour := &tour{options: options{userPassword: userPassword}, servers: s, out: &table{io.Discard}}
	if err := tour.getTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sts.Inject("", -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	})
	err := tour.callByHTTP(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HTTP 503") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one sentence that says: HTTP 503", err)
	}
}

// TestInterruptInTheMiddle is Ctrl-C while sessions are open.
func TestInterruptInTheMiddle(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stderr bytes.Buffer
	status := run(ctx, nil, writerFunc(func(line string) {
		if strings.HasPrefix(line, "4 ") {
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
