// Vmcurl is a curl that is logged in: to vCenter (SOAP, REST, JSON-RPC, files)
// and to Cloud Director, with tokens from vCenter Single Sign-On or from a file.
// The session is kept for the next run.
//
// Read this file first, then login.go, which holds what a program does that uses
// the library: from credentials to an http.RoundTripper that is logged in. The
// command line is in flags.go, the request in request.go, its answer in output.go,
// and demo.go shows all of it without a vCenter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], theSystem()))
}

// A system is what is around the program.
type system struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	cacheDir       func() (string, error)
	isTerminal     func(stream any) bool

	// ask asks the person at the terminal for what must not be seen. It ends with
	// the context.
	ask func(ctx context.Context, question string) (string, error)
}

func theSystem() *system {
	return &system{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, cacheDir: os.UserCacheDir, ask: askTerminal,
		isTerminal: func(stream any) bool {
			f, ok := stream.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		},
	}
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, sys *system) int {
	if len(args) > 0 && (args[0] == "-demo" || args[0] == "--demo") {
		return demo(ctx, args[1:], sys)
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(sys.stdout, usage)
		return statusOK
	}
	if err == nil {
		err = o.do(ctx, sys)
	}
	if err == nil {
		return statusOK
	}
	status, text := explain(ctx, err)
	fmt.Fprintln(sys.stderr, "vmcurl: "+text)
	return status
}

// do does what the command line says. Whatever is wrong with that is found before
// anything is sent.
func (o *options) do(ctx context.Context, sys *system) (err error) {
	if o.maxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.maxTime)
		defer cancel()
	}
	a, err := newAccount(o, sys)
	if err != nil {
		return err
	}
	var req *http.Request
	if !o.logout {
		if req, err = o.newRequest(ctx, a, sys); err != nil {
			return err
		}
	}
	c, err := newConnection(a, o, sys)
	if err != nil {
		return err
	}
	defer func() { c.close(ctx) }()
	if o.logout {
		return c.logout(ctx)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return &hostError{a.origin.Host, withoutURL(err)}
	}
	defer resp.Body.Close()
	if err := o.write(resp, sys); err != nil {
		return &hostError{a.origin.Host, err}
	}
	return nil
}

// withoutURL takes from an error of http.Client what it puts before: the URL, which
// the user has just typed.
func withoutURL(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}
