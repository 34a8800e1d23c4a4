package vmssogovmomi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/vmware/govmomi/vim25/soap"
)

// Base returns govmomi's own transport of c, for what stands between that and the
// calls of c: Config.Base of a [vmsso.Transport], or below a wrapper of yours. It
// goes past what [Under] has put there. The CA, thumbprints, client certificates,
// proxy and insecure flag of c stay in force, also those that are set later.
//
// It makes two changes to a request, on a copy: a SOAP message whose header has an
// element vcSessionCookie gets in it the session of the request's Cookie header,
// because the one that govmomi wrote there may be gone; and the placeholder for
// that, see Under, is taken out.
//
// Use it instead of c.DefaultTransport(), which leads back to the transports.
func Base(c *soap.Client) http.RoundTripper { return &carrier{past{c.DefaultTransport()}} }

// Under puts rt under c, and under every service client that govmomi has made or
// will make of it. It is what [Attach] does with its transports, for who makes his
// own: with another base, which is to end at [Base], or other routes. It must not
// overlap with a call of c, and is refused if c has a transport that is not
// govmomi's.
//
// A cookie in c.Jar makes govmomi write the element vcSessionCookie, which PBM and
// VSLM want. Its value is a placeholder: Base puts the session in its place.
//
// The scheme of HTTP/2 is taken by rt, so that c speaks HTTP/1.1, as it does by
// default.
func Under(c *soap.Client, rt http.RoundTripper) error {
	t, err := unattached(c)
	if err != nil {
		return err
	}
	if rt == nil {
		return errors.New("vmssogovmomi: there is no RoundTripper to put under the client")
	}
	for _, scheme := range []string{"https", "http"} {
		if err := register(t, scheme, &entry{t, rt}); err != nil {
			return err
		}
	}
	t.ForceAttemptHTTP2 = false // or it logs at the first request that it cannot
	c.Client.Transport = rt
	if c.Jar != nil {
		u := c.URL()
		u.Path = "/"
		c.Jar.SetCookies(u, []*http.Cookie{{Name: soap.SessionCookieName, Value: placeholder, Path: "/", Secure: u.Scheme == "https"}})
	}
	return nil
}

// unattached returns the transport of a client that has no other.
func unattached(c *soap.Client) (*http.Transport, error) {
	if c == nil || c.DefaultTransport() == nil {
		return nil, errors.New("vmssogovmomi: there is no client: make one with soap.NewClient of govmomi")
	}
	t := c.DefaultTransport()
	if c.Client.Transport != http.RoundTripper(t) {
		return nil, errors.New("vmssogovmomi: the client has a transport that is not govmomi's: attach each client once, and put a transport of your own into Config.Base")
	}
	return t, nil
}

// register makes an error of a scheme that is taken.
func register(t *http.Transport, scheme string, e *entry) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("vmssogovmomi: this client cannot be attached any more (%v): it shares its transport with one that is attached, which then serves it too, "+
				"or has made a call over HTTP/2 (GOVMOMI_HTTP2); make a new client, and attach it before its first call", p)
		}
	}()
	t.RegisterProtocol(scheme, e)
	return nil
}

// A passage is the key of a context value: how often the request has entered by
// t, or goneBy if it is on its way out.
type passage struct{ t *http.Transport }

const (
	goneBy = -1
	// A token source may call by the client for which it gets the token; nobody
	// goes deeper than that.
	maxEntries = 4
)

// An entry is where the requests of the clients that share t come in. (One that
// asks for a WebSocket does not: net/http lets it pass.)
type entry struct {
	t    *http.Transport
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (e *entry) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	entered, _ := ctx.Value(passage{e.t}).(int)
	switch entered {
	case goneBy:
		return nil, http.ErrSkipAltProtocol
	case maxEntries: // not for ever
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, errors.New("vmssogovmomi: the transport under the client sends by the client: let it end at Base(c) instead of c.DefaultTransport()")
	}
	resp, err := e.next.RoundTrip(req.WithContext(context.WithValue(ctx, passage{e.t}, entered+1)))
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

// past goes past the entry. The carrier above it hides the context by which it does.
type past struct{ transport *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (p past) RoundTrip(req *http.Request) (*http.Response, error) {
	return p.transport.RoundTrip(req.WithContext(context.WithValue(req.Context(), passage{p.transport}, goneBy)))
}

// CloseIdleConnections closes the idle connections of govmomi's transport.
func (p past) CloseIdleConnections() { p.transport.CloseIdleConnections() }
