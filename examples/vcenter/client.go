package main

import (
	"context"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/lookup"
	vsoap "github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// newClient returns a client for the vCenter at this URL, and what logs it out. Who
// logs in is in sts; its URL is found, and its Base is that of all requests.
func newClient(ctx context.Context, url string, sts tokensource.STSConfig) (*http.Client, *vmsso.Routes, error) {
	services, err := lookup.New(lookup.Config{URL: url, Base: sts.Base})
	if err != nil {
		return nil, nil, err
	}
	endpoints, err := services.Endpoints(ctx) // or lookup.WellKnown, without a question
	if err != nil {
		return nil, nil, err
	}
	sts.URL = endpoints.STS
	source, err := tokensource.NewSTS(sts)
	if err != nil {
		return nil, nil, err
	}
	shared := tokensource.Reuse(source, 0) // one token for all, until shortly before it expires

	vim, err := vmsso.New(vmsso.Config{Endpoint: endpoints.Vim, Source: shared, Auth: &vsoap.Authenticator{}, Base: sts.Base})
	if err != nil {
		return nil, nil, err
	}
	api, err := vmsso.New(vmsso.Config{Endpoint: endpoints.Automation, Source: shared, Auth: &automation.Authenticator{}, Base: sts.Base})
	if err != nil {
		return nil, nil, err
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{
		"/api": api, "/rest": api, // REST and JSON-RPC
		"/": vim, // /sdk, and files such as /folder, which are served in its session
	})
	if err != nil {
		return nil, nil, err
	}
	return &http.Client{Transport: routes}, routes, nil
}
