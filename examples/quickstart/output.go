package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/vmsso/vmsso"
)

const usage = `Quickstart shows what vmsso does: it keeps programs logged in to vSphere and
Cloud Director.

It starts servers on 127.0.0.1 (a strict vCenter with its token service, a strict
Cloud Director, and govmomi's vcsim behind a front that verifies every login),
gets tokens, makes calls, ends the sessions behind the clients' backs, lets many
goroutines call at once, and prints what the servers counted. Nothing is left
behind.

Usage: go run ./examples/quickstart [-v] [-password text]

  -v              write logins, ends of sessions and logouts to standard error
  -password text  the password to log in with; try a wrong one
  -h              print this text
`

// options are what the command line decides.
type options struct {
	userPassword string
	logger       *slog.Logger // nil: silent
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err == nil {
		err = show(ctx, opts, stdout)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run says what is wrong
	verbose := flags.Bool("v", false, "")
	password := flags.String("password", userPassword, "")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if err != nil {
		return options{}, fmt.Errorf("%w; -h explains", err)
	}
	opts := options{userPassword: *password}
	if *verbose {
		opts.logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	return opts, nil
}

// show starts the servers and makes the tour.
func show(ctx context.Context, opts options, stdout io.Writer) error {
	out := &table{w: stdout}
	out.title("0  Servers on 127.0.0.1")
	start := time.Now()
	s, err := startServers(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	out.line("start", "vCenter, Cloud Director, vcsim + front", start)
	return (&tour{options: opts, servers: s, out: out}).run(ctx)
}

// sum is step 6: log out, and ask the servers.
func (t *tour) sum(ctx context.Context) error {
	t.out.title("6  What the servers counted")
	s := t.servers
	open, err := s.sessions(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := t.logout(); err != nil {
		return err
	}
	t.out.line("Close", fmt.Sprintf("ends %d sessions", open), start)
	left, err := s.admin.others(ctx)
	if err != nil {
		return err
	}
	t.out.count("vCenter, SOAP", s.vcenter.VSphere.Logins(), s.vcenter.VSphere.Refused(), s.vcenter.VSphere.Sessions())
	t.out.count("vCenter, Automation", s.vcenter.Automation.Logins(), s.vcenter.Automation.Refused(), s.vcenter.Automation.Sessions())
	t.out.fact("  of these", fmt.Sprintf("%d logins over REST, %d over JSON-RPC",
		s.vcenter.Automation.Calls("POST /api/session"), s.vcenter.Automation.Calls("com.vmware.cis.session create")))
	t.out.count("Cloud Director", s.director.Logins(), s.director.Refused(), s.director.Sessions())
	t.out.count("vcsim", s.front.Logins(), s.front.Refused(), len(left))
	t.out.fact("STS", fmt.Sprintf("%d tokens, %d refused", s.vcenter.STS.Issued(), s.vcenter.STS.Failures()))
	t.out.title(fmt.Sprintf("\n%d calls came after the end of their session: none failed, with %s.", t.late, plural(t.relogins, "login")))
	return nil
}

// A table is the output, 79 columns wide: who, what came of it, and how long it
// took.
type table struct{ w io.Writer }

func (t *table) title(text string) { fmt.Fprintf(t.w, "%s\n", text) }

// line writes a row with the time since start.
func (t *table) line(who, what string, start time.Time) {
	ms := time.Since(start).Seconds() * 1000
	fmt.Fprintf(t.w, "  %-27s %-38s %7.1f ms\n", who, what, ms)
}

// fact writes a row without a time.
func (t *table) fact(who, what string) { fmt.Fprintf(t.w, "  %-27s %s\n", who, what) }

// count writes what a server counted.
func (t *table) count(who string, logins, refused, left int) {
	t.fact(who, fmt.Sprintf("%d logins, %d refused, %d sessions left", logins, refused, left))
}

// plural writes a number with its noun: "no login", "1 login", "2 logins".
func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// describe tells what a token is. It cannot show the assertion: printing a
// vmsso.Token never does.
func describe(token *vmsso.Token) string {
	kind := "bearer"
	if token.Key != nil {
		kind = "holder-of-key"
	}
	return fmt.Sprintf("%s token, valid for %v", kind, time.Until(token.Expires).Round(time.Second))
}
