package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// demo is vmcurl -demo. It starts servers of its own and shows runs of the program;
// with "serve" it lets others try them, until Ctrl-C; with a command line it does
// that, as the solution user whose certificate it has made.
func demo(ctx context.Context, args []string, sys *system) int {
	s, err := startDemo()
	if err != nil {
		fmt.Fprintf(sys.stderr, "vmcurl: -demo: %v\n", err)
		return statusFailed
	}
	defer s.close()
	own := *sys // what it keeps goes when it ends
	own.cacheDir = func() (string, error) { return s.dir, nil }
	switch {
	case len(args) == 0:
		return s.tour(ctx, &own)
	case args[0] == "serve" && len(args) == 1:
		return s.serve(ctx, &own)
	}
	return run(ctx, append(s.asMachine("-ca", s.file("ca.pem")), args...), &own)
}

// A scene is one run of the tour.
type scene struct {
	caption string
	stdin   string // the name of a file
	args    []string
	status  int
}

func (s *demoServers) scenes() []scene {
	ca := s.file("ca.pem")
	return []scene{
		{"A server that nobody knows is not trusted, and gets to see nothing",
			"", s.asMachine("/api/vcenter/vm"), statusNotTrusted},
		{"With its CA: a login with a certificate, and the answer",
			"", s.asMachine("-ca", ca, "/api/vcenter/vm"), statusOK},
		{"Once more: the session was kept",
			"", s.asMachine("-ca", ca, "/api/vcenter/vm"), statusOK},
		{"SOAP, from standard input; a person with a password",
			"message.xml", []string{"-vcenter", s.vcenter.URL, "-ca", ca, "-user", demoUser, "-password-file", s.file("password"), "/sdk"}, statusOK},
		{"A Cloud Director, with a token of its organization's identity provider",
			"", []string{"-director", s.director.URL, "-org", "Finance", "-ca", ca, "-token", s.file("token.xml"), "/cloudapi/1.0.0/vms"}, statusOK},
		{"Log out: the session with the vCenter's REST API ends",
			"", s.asMachine("-ca", ca, "-logout"), statusOK},
	}
}

// tour shows what the program does, by doing it.
func (s *demoServers) tour(ctx context.Context, sys *system) int {
	fmt.Fprintf(sys.stdout, "A vCenter and a Cloud Director run on 127.0.0.1. What they need to be talked to is in\n%s\n", s.dir)
	for i, c := range s.scenes() {
		fmt.Fprintf(sys.stdout, "\n%d  %s\n%s", i+1, c.caption, s.commandLine(c))
		status, err := s.play(ctx, c, sys)
		if err != nil {
			fmt.Fprintf(sys.stderr, "vmcurl: -demo: %v\n", err)
			return statusFailed
		}
		if status != c.status {
			return status
		}
		fmt.Fprintf(sys.stdout, "  -- exit %d; %s\n", status, s.counts())
	}
	fmt.Fprint(sys.stdout, "\nThe servers are gone now. To try by yourself: vmcurl -demo serve\n")
	return statusOK
}

// play runs the program, and shows what it wrote.
func (s *demoServers) play(ctx context.Context, c scene, sys *system) (status int, err error) {
	var stdout, stderr bytes.Buffer
	var stdin []byte
	if c.stdin != "" {
		if stdin, err = os.ReadFile(s.file(c.stdin)); err != nil {
			return 0, err
		}
	}
	inner := *sys
	inner.stdin, inner.stdout, inner.stderr = bytes.NewReader(stdin), &stdout, &stderr
	inner.getenv = func(string) string { return "" }
	status = run(ctx, c.args, &inner)
	for line := range strings.Lines(stdout.String()) {
		for part := range slices.Chunk([]byte(strings.TrimRight(line, "\r\n")), 88) {
			fmt.Fprintf(sys.stdout, "  %s\n", part)
		}
	}
	for line := range strings.Lines(stderr.String()) {
		fmt.Fprintf(sys.stdout, "  %s", line)
	}
	return status, nil
}

// serve waits for somebody who tries.
func (s *demoServers) serve(ctx context.Context, sys *system) int {
	fmt.Fprint(sys.stdout, "A vCenter and a Cloud Director run on 127.0.0.1, until Ctrl-C. Try, in another terminal:\n")
	for _, c := range s.scenes() {
		fmt.Fprintf(sys.stdout, "\n# %s\n%s", c.caption, strings.TrimPrefix(s.commandLine(c), "$ "))
	}
	<-ctx.Done()
	return statusOK
}

// commandLine is what to type in a shell, with a flag and its value on one line.
func (s *demoServers) commandLine(c scene) string {
	words := append([]string{"$ vmcurl"}, c.args...)
	if c.stdin != "" {
		words = append(words, "<"+s.file(c.stdin))
	}
	const most = 88
	var b strings.Builder
	width := 0
	for i, w := range words {
		unit := len(w)
		if strings.HasPrefix(w, "-") && i+1 < len(words) {
			unit += 1 + len(words[i+1])
		}
		switch {
		case i == 0:
		case width+1+unit > most && !strings.HasPrefix(words[i-1], "-"):
			b.WriteString(" \\\n   ")
			width = 3
			fallthrough
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(w)
		width += len(w)
	}
	return b.String() + "\n"
}
