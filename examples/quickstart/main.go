// Quickstart shows in a few seconds what vmsso does. It starts a token service,
// a strict vSphere endpoint and govmomi's simulator in this process, logs in to
// them in three ways, ends the sessions behind the clients' backs, and prints
// what happened.
//
// Read this file from top to bottom: it holds what a program does that uses the
// library. The code that makes the calls, and knows nothing of logins, is in
// calls.go; the data centre in servers.go; the command line in output.go.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vsoap "github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A tour is the five steps of the program, and what they leave for each other.
type tour struct {
	options
	servers *servers
	out     *table

	password, certificate, both vmsso.TokenSource  // step 1
	bearer, holder              *http.Client       // step 2
	vcenter                     *vim25.Client      // step 3
	late                        int                // calls that came after the end of their session, in step 4
	transports                  []*vmsso.Transport // to be closed
}

func (t *tour) run(ctx context.Context) error {
	defer t.logout() // after an error; else the last step has done it
	for _, step := range []func(context.Context) error{t.getTokens, t.callByHTTP, t.callByGovmomi, t.endSessions, t.sum} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// getTokens is step 1, where tokens come from: what the configuration of a
// source holds decides what it yields.
func (t *tour) getTokens(ctx context.Context) (err error) {
	t.out.title("1  Tokens from the STS")
	t.password, err = t.source(ctx, "password", tokensource.STSConfig{Username: userName, Password: t.userPassword})
	if err != nil {
		return err
	}
	t.certificate, err = t.source(ctx, "certificate", tokensource.STSConfig{Certificate: &t.servers.machine})
	if err != nil {
		return err
	}
	t.both, err = t.source(ctx, "password + certificate",
		tokensource.STSConfig{Username: userName, Password: t.userPassword, Certificate: &t.servers.laptop})
	return err
}

func (t *tour) source(ctx context.Context, credentials string, cfg tokensource.STSConfig) (vmsso.TokenSource, error) {
	cfg.URL = t.servers.stsURL
	cfg.Base = t.servers.transport // it trusts the servers' certificates
	source, err := tokensource.NewSTS(cfg)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	token, err := source.Token(ctx) // only to show it: each login asks its source by itself
	if err != nil {
		return nil, err
	}
	t.out.line(credentials, describe(token), start)
	return source, nil
}

// callByHTTP is step 2: an *http.Client that is logged in.
func (t *tour) callByHTTP(ctx context.Context) (err error) {
	t.out.title("2  A strict vSphere endpoint, through net/http")
	if t.bearer, err = t.client(ctx, "bearer", t.password); err != nil {
		return err
	}
	t.holder, err = t.client(ctx, "holder-of-key", t.certificate)
	return err
}

func (t *tour) client(ctx context.Context, kind string, source vmsso.TokenSource) (*http.Client, error) {
	client, transport, err := vmsso.Wrap(&http.Client{Transport: t.servers.transport}, vmsso.Config{
		Endpoint: t.servers.strictURL,
		Source:   source,
		Auth:     &vsoap.Authenticator{},
		Logger:   t.logger,
	})
	if err != nil {
		return nil, err
	}
	t.transports = append(t.transports, transport)
	return client, t.twice(kind, t.servers.strict.Logins, func() (string, error) {
		now, err := currentTime(ctx, client, t.servers.strictURL)
		return now.Format("CurrentTime 15:04:05.000"), err
	})
}

// callByGovmomi is step 3: the same below a library that makes its own
// http.Client. govmomi gets our transport; there is no Login. Each of its
// clients, such as that of its package pbm, is given the transport by itself.
func (t *tour) callByGovmomi(ctx context.Context) error {
	t.out.title("3  govmomi's vcsim, behind a front that verifies logins")
	transport, err := vmsso.New(vmsso.Config{
		Endpoint: t.servers.frontURL,
		Source:   t.both,
		Auth:     &vsoap.Authenticator{},
		Base:     t.servers.transport,
		Logger:   t.logger,
	})
	if err != nil {
		return err
	}
	t.transports = append(t.transports, transport)

	endpoint, err := url.Parse(t.servers.frontURL)
	if err != nil {
		return err
	}
	client := soap.NewClient(endpoint, false)
	client.Client.Transport = transport // this is all
	if t.vcenter, err = vim25.NewClient(ctx, client); err != nil {
		return err
	}
	return t.twice("govmomi", t.servers.front.Logins, func() (string, error) {
		names, err := listVMs(ctx, t.vcenter)
		return fmt.Sprintf("a list of %d VMs", len(names)), err
	})
}

// endSessions is step 4: the sessions end, and many goroutines call at once. The
// server refuses what comes in the old session; one login is made for all, and
// what was refused is sent again. The callers notice nothing.
func (t *tour) endSessions(ctx context.Context) error {
	t.out.title("4  The sessions end behind the clients' backs")
	start := time.Now()
	t.out.line("the endpoint", fmt.Sprintf("forgets its %d sessions", t.servers.strict.Kill()), start)
	err := t.atOnce("bearer", "calls", t.servers.strict.Logins, func() error {
		_, err := currentTime(ctx, t.bearer, t.servers.strictURL)
		return err
	})
	if err != nil {
		return err
	}
	err = t.atOnce("holder-of-key", "calls", t.servers.strict.Logins, func() error {
		_, err := currentTime(ctx, t.holder, t.servers.strictURL)
		return err
	})
	if err != nil {
		return err
	}

	start = time.Now()
	ended, err := t.servers.admin.endOthers(ctx)
	if err != nil {
		return err
	}
	t.out.line("an administrator of vcsim", fmt.Sprintf("terminates %s", plural(ended, "session")), start)
	return t.atOnce("govmomi", "VM lists", t.servers.front.Logins, func() error {
		_, err := listVMs(ctx, t.vcenter)
		return err
	})
}

// logout closes the transports, all of them whatever happens; a second time it
// does nothing.
func (t *tour) logout() (err error) {
	for _, transport := range t.transports {
		err = cmp.Or(err, transport.Close())
	}
	return err
}
