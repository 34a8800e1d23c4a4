// Quickstart shows in a few seconds what vmsso does. It starts a vCenter, a
// Cloud Director and govmomi's simulator in this process, logs in to them with
// bearer and holder-of-key tokens, ends the sessions behind the clients' backs,
// and prints what happened.
//
// Read this file from top to bottom, and where it says so vcenter.go,
// director.go and govmomi.go: they hold what a program does that uses the
// library. The code that makes the calls, and knows nothing of logins, is in
// calls.go; the data centre in servers.go; the command line in output.go.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/vmware/govmomi/vim25"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/tokensource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A tour is the six steps of the program, and what they leave for each other.
type tour struct {
	options
	servers *servers
	out     *table

	endpoints                   *lookup.Endpoints // step 1, for step 2
	password, certificate, both vmsso.TokenSource // step 1

	bearer, holder   *vcenter      // step 2
	tenant, provider *cloud        // step 3
	govmomi          *vim25.Client // step 4
	late, relogins   int           // step 5: calls after the end of their session, and the logins for them

	transports []io.Closer // to be closed
}

func (t *tour) run(ctx context.Context) error {
	defer t.logout() // after an error; else the last step has done it
	for _, step := range []func(context.Context) error{
		t.getTokens,     // here
		t.callVCenter,   // vcenter.go
		t.callDirector,  // director.go
		t.callByGovmomi, // govmomi.go
		t.endSessions,   // here
		t.sum,           // output.go
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// getTokens is step 1, where tokens come from: what the configuration of a
// source holds decides what it yields.
func (t *tour) getTokens(ctx context.Context) (err error) {
	t.out.title("1  Endpoints from the Lookup Service, tokens from the STS")
	if err := t.lookUp(ctx); err != nil {
		return err
	}
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

// lookUp finds the services of the vCenter. Of a single one they are well-known:
// lookup.WellKnown(host) would do.
func (t *tour) lookUp(ctx context.Context) error {
	client, err := lookup.New(lookup.Config{URL: t.servers.vcenterURL, Base: t.servers.transport})
	if err != nil {
		return err
	}
	start := time.Now()
	if t.endpoints, err = client.Endpoints(ctx); err != nil {
		return err
	}
	t.out.line("Lookup Service", "knows STS, SOAP API and Automation", start)
	return nil
}

func (t *tour) source(ctx context.Context, credentials string, cfg tokensource.STSConfig) (vmsso.TokenSource, error) {
	cfg.URL = t.endpoints.STS
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

// endSessions is step 5: the sessions end, and many goroutines call at once. The
// server refuses what comes in the old session; one login is made for all, and
// what was refused is sent again. The callers notice nothing.
func (t *tour) endSessions(ctx context.Context) error {
	t.out.title("5  The sessions end behind the clients' backs")
	s := t.servers
	for _, system := range []struct {
		who, does string
		end       func(context.Context) (int, error)
		callers   []caller
	}{
		{"the vCenter", "forgets", s.killVCenter, []caller{
			{"bearer, SOAP", s.vcenter.VSphere.Logins, t.bearer.currentTime},
			{"bearer, REST", s.vcenter.Automation.Logins, t.bearer.listByREST},
			{"holder-of-key, SOAP", s.vcenter.VSphere.Logins, t.holder.currentTime},
			{"holder-of-key, JSON-RPC", s.vcenter.Automation.Logins, t.holder.listByRPC},
		}},
		{"the Cloud Director", "forgets", s.killDirector, []caller{
			{"tenant, bearer", s.director.Logins, t.tenant.listVMs},
			{"provider, holder-of-key", s.director.Logins, t.provider.listVMs},
		}},
		{"an administrator of vcsim", "terminates", s.admin.endOthers, []caller{
			{"govmomi", s.front.Logins, t.listByGovmomi},
		}},
	} {
		start := time.Now()
		n, err := system.end(ctx)
		if err != nil {
			return err
		}
		t.out.line(system.who, fmt.Sprintf("%s %s", system.does, plural(n, "session")), start)
		for _, c := range system.callers {
			if err := t.atOnce(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// logout closes the transports, all of them whatever happens; a second time it
// does nothing.
func (t *tour) logout() (err error) {
	for _, transport := range t.transports {
		err = cmp.Or(err, transport.Close())
	}
	return err
}
