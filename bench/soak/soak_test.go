package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSoak(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		stdout string
		stderr string
	}{
		{"nothing is lost and nothing grows", []string{"-for", "3s"}, 0, "Nothing was lost, and nothing has grown.", ""},
		{"logins without logout are noticed", []string{"-for", "3s", "-break", "logout"}, 1, "FAILED: live server sessions: ", ""},
		{"without faults nothing is handed up", []string{"-for", "1s", "-faults", "0", "-seed", "7"}, 0, "0 % of the requests meet a fault, seed 7\n", ""},
		{"help", []string{"-h"}, 0, "Usage: go run ./bench/soak", ""},
		{"unknown flag", []string{"-x"}, 2, "", "-h explains"},
		{"unknown way to break it", []string{"-break", "all"}, 2, "", "-break all is not known; there are logout, memory, body"},
		{"too short", []string{"-for", "1ms"}, 2, "", "-for must be a second or more"},
		{"nobody calls", []string{"-callers", "0"}, 2, "", "-callers must be from 1 to 1000"},
		{"no share", []string{"-faults", "NaN"}, 2, "", "-faults must be from 0 to 100"},
		{"argument", []string{"60s"}, 2, "", `unknown argument "60s"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), tt.args, &stdout, &stderr)
			if status != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("%q: status %d, want %d; stdout\n%s\nwant %q in it; stderr %q, want %q", tt.args, status, tt.status, &stdout, tt.stdout, &stderr, tt.stderr)
			}
		})
	}
}
