package vmssogovmomi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	vsoap "github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// Transports keep the two sessions of a client that was attached: by the field of
// a service, its session can be had, or ended alone. Use [Attach] to make them,
// and Close to log out.
type Transports struct {
	SOAP       *vmsso.Transport // all but /api and /rest
	Automation *vmsso.Transport // /api and /rest; it logs in when one of them is called
}

// Attach puts transports that log in under c, and under every service client that
// govmomi has made or will make of it. It sends nothing. It comes before
// vim25.NewClient and before any call of c: it must not overlap with one.
//
// Of cfg, Source alone is required. An empty Endpoint means the URL of c, which is
// the only origin that gets a session; a nil Auth, &soap.Authenticator{} of vmsso;
// a nil Base, [Base] of c. Auth is that of SOAP, the rest of cfg serves both
// transports: so Trace and Logger hear of both. Automation logs in by
// &automation.Authenticator{}; for another one, see [Under].
//
// Both get their tokens from one [tokensource.Reuser] around Source, unless that
// is one already: so a token service is asked once for both, and again when its
// token has expired or was refused.
//
// After an error c is as it was, unless the error says that it cannot be used any
// more.
func Attach(c *soap.Client, cfg vmsso.Config) (*Transports, error) {
	t, err := unattached(c)
	if err != nil {
		return nil, err
	}
	if cfg, err = complete(cfg, c.URL()); err != nil {
		return nil, err
	}
	switch cfg.Base {
	case nil, http.RoundTripper(t): // t itself would lead back to the transports
		cfg.Base = Base(c)
	default:
		cfg.Base = &carrier{cfg.Base}
	}
	vim, err := vmsso.New(cfg)
	if err != nil {
		return nil, err
	}
	cfg.Auth = &automation.Authenticator{}
	api, err := vmsso.New(cfg)
	if err != nil {
		return nil, err
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/": vim, "/api": api, "/rest": api})
	if err != nil {
		return nil, err
	}
	if err := Under(c, routes); err != nil {
		return nil, err
	}
	return &Transports{SOAP: vim, Automation: api}, nil
}

// complete fills in what may be empty, but for Base.
func complete(cfg vmsso.Config, client *url.URL) (vmsso.Config, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = (&url.URL{Scheme: client.Scheme, Host: client.Host, Path: client.Path}).String()
	}
	if u, err := url.Parse(cfg.Endpoint); err == nil && !sameOrigin(u, client) { // New tells of an error
		return cfg, fmt.Errorf("vmssogovmomi: Config.Endpoint is on %s and the client's URL on %s: no call would get the session; leave Endpoint empty", u.Host, client.Host)
	}
	if cfg.Auth == nil {
		cfg.Auth = &vsoap.Authenticator{}
	}
	if _, ok := cfg.Source.(*tokensource.Reuser); !ok && cfg.Source != nil {
		cfg.Source = tokensource.Reuse(cfg.Source, 0)
	}
	return cfg, nil
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case strings.EqualFold(u.Scheme, "http"):
		return "80"
	}
	return "443"
}

// Close logs out of both, see [vmsso.Transport.Close]. Calls of the client, and of
// the service clients, fail with [vmsso.ErrClosed] from then on: it cannot be
// attached again.
func (t *Transports) Close() error { return errors.Join(t.SOAP.Close(), t.Automation.Close()) }

// Shutdown is Close under the caller's context.
func (t *Transports) Shutdown(ctx context.Context) error {
	return errors.Join(t.SOAP.Shutdown(ctx), t.Automation.Shutdown(ctx))
}
