package main

import (
	"context"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	vsoap "github.com/vmsso/vmsso/soap"
)

// callVCenter is step 2: an *http.Client that is logged in to all of a vCenter.
func (t *tour) callVCenter(ctx context.Context) (err error) {
	t.out.title("2  A whole vCenter through one http.Client")
	if t.bearer, err = t.useVCenter(ctx, "bearer", t.password, automation.REST); err != nil {
		return err
	}
	t.holder, err = t.useVCenter(ctx, "holder-of-key", t.certificate, automation.JSONRPC)
	return err
}

// useVCenter makes calls of every kind. They need two logins, one for each API.
func (t *tour) useVCenter(ctx context.Context, kind string, source vmsso.TokenSource, protocol automation.Protocol) (*vcenter, error) {
	client, err := t.vcenterClient(source, protocol)
	if err != nil {
		return nil, err
	}
	v := &vcenter{client, t.servers.vcenterURL}
	for _, c := range []caller{
		{kind + ", SOAP", t.servers.vcenter.Logins, v.currentTime},   // logs in
		{kind + ", /folder", t.servers.vcenter.Logins, v.readFile},   // with the cookie of that session
		{kind + ", REST", t.servers.vcenter.Logins, v.listByREST},    // logs in, by the protocol that was chosen
		{kind + ", JSON-RPC", t.servers.vcenter.Logins, v.listByRPC}, // with the ID of that session
	} {
		if err := t.call(ctx, c); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// vcenterClient makes a transport for each of the two APIs, and one client out of
// them: the path of a request decides in which session it is sent. The protocol
// is how Automation is logged in to; the session then serves REST and JSON-RPC.
func (t *tour) vcenterClient(source vmsso.TokenSource, protocol automation.Protocol) (*http.Client, error) {
	soap, err := vmsso.New(vmsso.Config{
		Endpoint: t.endpoints.Vim,
		Source:   source,
		Auth:     &vsoap.Authenticator{},
		Base:     t.servers.transport,
		Logger:   t.logger,
	})
	if err != nil {
		return nil, err
	}
	api, err := vmsso.New(vmsso.Config{
		Endpoint: t.endpoints.Automation,
		Source:   source,
		Auth:     &automation.Authenticator{Protocol: protocol},
		Base:     t.servers.transport,
		Logger:   t.logger,
	})
	if err != nil {
		return nil, err
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{
		"/sdk": soap, "/folder": soap,
		"/api": api, "/rest": api,
	})
	if err != nil {
		return nil, err
	}
	t.transports = append(t.transports, routes) // its Close closes both
	return &http.Client{Transport: routes}, nil
}
