package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
)

// A connection is an http.Client that is logged in to one server, and what it is
// made of.
type connection struct {
	client     *http.Client
	transports []*vmsso.Transport // one for each kind of session
	idle       []*http.Transport  // below them
}

// newConnection makes the client; it sends nothing. What it is made of, from the
// outside: the client, which follows no redirect; the route by the path; a
// transport that logs in; what tells of requests, with -v; the connection.
func newConnection(a *account, o *options, sys *system) (*connection, error) {
	c := &connection{idle: []*http.Transport{a.base, a.stsBase}}
	talk := &talk{out: sys.stderr, verbose: o.verbose, silent: o.silent}
	store, err := openStore(o, sys)
	if err != nil {
		return nil, err
	}
	source, err := newSource(a, store, talk)
	if err != nil {
		return nil, usageError{err}
	}
	newTransport := func(endpoint string, auth vmsso.Authenticator) *vmsso.Transport {
		cfg := vmsso.Config{
			Endpoint:       endpoint,
			Source:         source,
			Auth:           auth,
			Base:           talk.over(a.base),
			MaxRetries:     -1, // as curl: whoever runs it decides
			ExpectContinue: 1 << 20,
			Trace:          talk.trace(),
		}
		if store != nil {
			cfg.Store, cfg.Identity = store, a.identity
		}
		if a.keys != nil && a.keys.asks {
			cfg.LoginTimeout = 5 * time.Minute // somebody types
		}
		t, newErr := vmsso.New(cfg)
		err = cmp.Or(err, newErr)
		c.transports = append(c.transports, t)
		return t
	}
	var routes map[string]http.RoundTripper
	if origin := a.origin.String(); a.director {
		routes = map[string]http.RoundTripper{"/": newTransport(origin, &vcloud.Authenticator{Org: a.org})}
	} else {
		api := newTransport(origin, &automation.Authenticator{})
		routes = map[string]http.RoundTripper{
			"/api": api, "/rest": api,
			"/": newTransport(origin+"/sdk", &soap.Authenticator{}), // also /folder and the like, which are served in its session
		}
	}
	if err != nil {
		return nil, usageError{err}
	}
	c.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.client.Transport, err = vmsso.NewRoutes(routes)
	return c, err
}

// newSource returns where tokens come from. It is asked only when there is no
// session.
func newSource(a *account, store vmsso.SessionStore, talk *talk) (vmsso.TokenSource, error) {
	if a.token != nil {
		return a.token, nil
	}
	cfg := *a.sts
	cfg.Base = talk.over(a.stsBase)
	if a.keys != nil {
		a.keys.knock = func(ctx context.Context) error { return knock(ctx, cfg.Base, cfg.URL) }
	}
	if store == nil {
		return tokensource.NewSTS(cfg)
	}
	return newWary(cfg, store, a.identity)
}

// knock asks a server for nothing, to see that it is there and trusted.
func knock(ctx context.Context, rt http.RoundTripper, server string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, server, nil)
	if err != nil {
		return usageError{err}
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return &vmsso.LoginError{Endpoint: req.URL.Host, Stage: "connect", Err: err}
	}
	return resp.Body.Close()
}

// openStore returns where sessions are kept; nil if they are not to be.
func openStore(o *options, sys *system) (vmsso.SessionStore, error) {
	if o.noStore {
		return nil, nil
	}
	dir := o.store
	if dir == "" {
		cache, err := sys.cacheDir()
		if err != nil {
			return nil, usagef("there is no place to keep the session in (%w): give -store DIR, or -no-store", err)
		}
		dir = filepath.Join(cache, "vmcurl")
	}
	store, err := cookiejar.NewFileStore(dir)
	if err != nil {
		return nil, usagef("%w; -store DIR keeps the session elsewhere, -no-store nowhere", err)
	}
	return store, nil
}

// logout ends the sessions of the store, if there are any.
func (c *connection) logout(ctx context.Context) error {
	var errs []error
	for _, t := range c.transports {
		if err := t.Logout(ctx); err != nil {
			errs = append(errs, fmt.Errorf("log out: %w", err))
		}
	}
	return errors.Join(errs...)
}

// close leaves the session in the store; without one it logs out. After an
// interrupt nobody waits for long.
func (c *connection) close(ctx context.Context) {
	patience := 5 * time.Second
	if ctx.Err() != nil {
		patience = 500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, t := range c.transports {
		_ = t.Shutdown(ctx) // a session that it could not end is ended by the server, and -v tells
	}
	for _, t := range c.idle {
		t.CloseIdleConnections()
	}
}
