//go:build unix

package tokensource_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// helpOfUnix is what the helper does with other processes. They hold its output.
func helpOfUnix(what []string) {
	child := func(what ...string) *exec.Cmd {
		c := exec.Command(os.Args[0], append([]string{"-test.run=^TestThisProgramIsTheHelper$", "--"}, what...)...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		return c
	}
	switch what[0] {
	case "have a child":
		_ = child("hold", what[1]).Run()
	case "hold": // the writing end of a pipe, until it is killed
		pipe, err := os.OpenFile(what[1], os.O_WRONLY, 0)
		if err != nil {
			os.Exit(9)
		}
		_, _ = pipe.WriteString("here")
		time.Sleep(time.Hour)
	case "leave a child":
		c := child("be left", what[1])
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if c.Start() != nil {
			os.Exit(9)
		}
		b, _ := os.ReadFile("testdata/bearer.xml")
		_, _ = os.Stdout.Write(b)
	case "be left":
		_, _ = os.ReadFile(what[1]) // ends when the test closes the pipe
	}
}

// The end of the pipe is the end of the child: nobody else holds it.
func TestChildrenOfAHelperAreKilledWithIt(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		is      error
	}{
		{"the time is over", 3 * time.Second, context.DeadlineExceeded},
		{"the caller leaves", time.Hour, context.Canceled},
	} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := helper(t, "have a child", pipe)
		cfg.Timeout = tt.timeout
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() {
			_, err := e.Token(ctx)
			done <- err
		}()
		r, err := os.Open(pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		here := make([]byte, 4)
		if _, err := io.ReadFull(r, here); err != nil {
			t.Fatal(err)
		}
		if tt.is == context.Canceled {
			cancel()
		}
		if err := <-done; !errors.Is(err, tt.is) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.is)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: the child still writes: %q, %v", tt.name, rest, err)
		}
	}
}

// A daemon that the helper has started keeps its output open.
func TestProcessThatAHelperLeavesIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := tokensource.NewExec(helper(t, "leave a child", pipe))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := e.Token(t.Context())
	if err != nil || tok.Assertion != vector(t, "bearer.xml") {
		t.Errorf("got %v, %v, want the token that was printed", tok, err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the daemon, and ends it
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

func TestHelperIsLookedForInPath(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ncat " + filepath.Join(dir, "token.xml") + "\n"
	for name, mode := range map[string]fs.FileMode{"print-token": 0o700, "no-program": 0o600, "token.xml": 0o600} {
		content := script
		if name == "token.xml" {
			content = vector(t, "bearer.xml")
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for command, is := range map[string]error{
		"print-token":                     nil,
		filepath.Join(dir, "print-token"): nil,
		"no-program":                      exec.ErrNotFound,
		filepath.Join(dir, "no-program"):  fs.ErrPermission,
		dir:                               syscall.EISDIR,
	} {
		e, err := tokensource.NewExec(tokensource.ExecConfig{Command: command, Args: []string{"; touch s3cr3t"}, Dir: dir})
		if !errors.Is(err, is) {
			t.Errorf("%s: got %v, want %v", command, err, is)
		}
		if err != nil {
			continue
		}
		if tok, err := e.Token(t.Context()); err != nil || tok.Assertion != vector(t, "bearer.xml") {
			t.Errorf("%s: got %v, %v, want the token", command, tok, err)
		}
	}
	// It is there no more when a token is wanted.
	e, err := tokensource.NewExec(tokensource.ExecConfig{Command: "print-token"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "print-token")); err != nil {
		t.Fatal(err)
	}
	var tok *vmsso.Token
	if tok, err = e.Token(t.Context()); tok != nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("removed: got %v, %v, want fs.ErrNotExist", tok, err)
	}
}
