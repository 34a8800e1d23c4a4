// Soak keeps some dozens of goroutines busy on all systems at once, over TLS
// sockets, while one request in a hundred meets a fault, and tells whether
// anything was lost or has grown:
//
//	go run ./bench/soak -for 60s
//	go run ./bench/soak -for 60s -break logout   # must fail
//
// What counts as lost and as growth, its usage text says (-h).
//
// The systems and their requests are in systems.go, what happens to requests in
// faults.go, network.go and serve.go, what may come of them in judge.go, what is
// measured in measure.go, and what is printed in report.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

const usage = `Soak keeps goroutines busy on SOAP, Automation (REST and JSON-RPC) and Cloud
Director at once: strict servers in this process, on TLS sockets of 127.0.0.1, one
vmsso.Transport for each. Of a hundred requests one meets a fault: the sessions
end, connections break, answers are late, cut off or 429, 502 and 503, the caller
has no patience. Of ten logins, logouts and tokens one does. The servers restart
in turns.

Usage: go run ./bench/soak [flags]

  -for d       how long (60s)
  -callers n   goroutines for each system (12)
  -faults p    percentage of requests that meet a fault (1)
  -seed n      of the callers and their faults; timing is not repeated (random)
  -v           print a line every few seconds, as on a terminal
  -break what  break it, to see that this is noticed:
                 logout  sessions are not ended, and nobody is told
                 memory  the session of each login is remembered for ever
                 body    answers that are errors are not closed
  -h           print this text

It exits with status 1, and names the row, if something was lost or has grown:

  lost      A request got an answer that is not its own, was executed twice, or
            failed although it had to succeed. Handed up as it must be are: the
            end of the caller's own context; an answer that was cut off; a broken
            connection or a 502 where the request may not be repeated (POST) or
            cannot be (a stream); a refused session where the body cannot be sent
            again or the new session ended too; the error of a login that met a
            fault itself.
  sessions  live on the servers: never more than four of a system at a time, one
            while nobody calls, none after Close. Those of which no client can
            know (the answer to the login was lost) are not counted.
  heap      after garbage collection, while nobody calls: it may be 256 KiB more at
            the end than it was warm, after a quarter of the time.
  goroutines, sockets
            while nobody calls and after idle connections were closed: not more at
            the end than warm, and after the end not more than at the start.
`

// options are what the command line decides.
type options struct {
	duration time.Duration
	callers  int     // for each system
	faults   float64 // from 0 to 1
	seed     uint64
	verbose  bool
	broken   string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program; it returns the exit status. The end of ctx ends the calls,
// not the report.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v; -h explains\n", err)
		return 2
	}
	progress := io.Discard
	if opts.verbose || isTerminal(stderr) {
		progress = stderr
	}
	s, r, err := soakFor(ctx, opts, progress)
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v\n", err)
		return 2
	}
	if s.print(stdout, r) {
		return 0
	}
	return 1
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func parse(args []string) (options, error) {
	ways := []string{"", "logout", "memory", "body"}
	var opts options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run says what is wrong
	flags.DurationVar(&opts.duration, "for", time.Minute, "")
	flags.IntVar(&opts.callers, "callers", 12, "")
	flags.Float64Var(&opts.faults, "faults", 1, "")
	flags.Uint64Var(&opts.seed, "seed", 0, "")
	flags.BoolVar(&opts.verbose, "v", false, "")
	flags.StringVar(&opts.broken, "break", "", "")
	err := flags.Parse(args)
	opts.faults /= 100
	opts.seed = cmp.Or(opts.seed, uint64(rand.Uint32()))
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	case !slices.Contains(ways, opts.broken):
		err = fmt.Errorf("-break %s is not known; there are %s", opts.broken, strings.Join(ways[1:], ", "))
	case opts.duration < time.Second:
		err = errors.New("-for must be a second or more")
	case opts.callers < 1 || opts.callers > 1000:
		err = errors.New("-callers must be from 1 to 1000")
	case !(opts.faults >= 0 && opts.faults <= 1):
		err = errors.New("-faults must be from 0 to 100")
	}
	return opts, err
}
