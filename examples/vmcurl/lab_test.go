package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A lab is a person with a shell: the servers of the demo, and what is kept between
// runs.
type lab struct {
	*demoServers
	t     *testing.T
	cache string
	env   map[string]string
	stdin string

	answer func(context.Context) (string, error) // to a question; nil: nobody is there
	asked  []string

	terminals string // the names of the streams that are terminals
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := startDemo()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return &lab{demoServers: s, t: t, cache: t.TempDir(), env: map[string]string{}}
}

// A result is what a run leaves.
type result struct {
	status         int
	stdout, stderr string
}

func (l *lab) run(args ...string) result {
	l.t.Helper()
	return l.runIn(l.t.Context(), args...)
}

func (l *lab) runIn(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, l.system(&stdout, &stderr))
	return result{status, stdout.String(), stderr.String()}
}

func (l *lab) system(stdout, stderr *bytes.Buffer) *system {
	return &system{
		stdin: strings.NewReader(l.stdin), stdout: stdout, stderr: stderr,
		getenv:   func(name string) string { return l.env[name] },
		cacheDir: func() (string, error) { return l.cache, nil },
		isTerminal: func(stream any) bool {
			switch stream {
			case stdout:
				return strings.Contains(l.terminals, "stdout")
			case stderr:
				return strings.Contains(l.terminals, "stderr")
			}
			return strings.Contains(l.terminals, "stdin")
		},
		ask: func(ctx context.Context, question string) (string, error) {
			l.asked = append(l.asked, question)
			if l.answer == nil {
				return "", errors.New("nobody is there")
			}
			return l.answer(ctx)
		},
	}
}

// ok runs, and wants status 0 and a silent stderr.
func (l *lab) ok(args ...string) string {
	l.t.Helper()
	r := l.run(args...)
	if r.status != 0 || r.stderr != "" {
		l.t.Fatalf("%v: status %d, stderr %q; want 0 and none", args, r.status, r.stderr)
	}
	return r.stdout
}

// machine is the command line of the solution user, which trusts the servers.
func (l *lab) machine(args ...string) []string {
	return append(l.asMachine("-ca", l.file("ca.pem")), args...)
}

// alice is that of the person, with the password in this file.
func (l *lab) alice(passwordFile string, args ...string) []string {
	return append([]string{"-vcenter", l.vcenter.URL, "-ca", l.file("ca.pem"), "-user", demoUser, "-password-file", passwordFile}, args...)
}

// bob is that of a tenant of the Cloud Director.
func (l *lab) bob(args ...string) []string {
	return append([]string{"-director", l.director.URL, "-org", "Finance", "-ca", l.file("ca.pem"), "-token", l.file("token.xml")}, args...)
}

// write writes a file of the person.
func (l *lab) write(name, content string) string {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func (l *lab) read(name string) string {
	l.t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(content)
}

func (l *lab) sessions() int { return l.services.Sessions() + l.cloud.Sessions() }

func (l *lab) logins() int { return l.services.Logins() + l.cloud.Logins() }

// vms is what the answer with the list of VMs holds, whatever its form.
const vms = "web02"
