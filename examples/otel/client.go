package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/vmsso/vmsso"
)

// newClient returns a client that is logged in, with OpenTelemetry on both sides of
// the transport. What is sent has the span of what was asked for as its parent.
func newClient(cfg vmsso.Config, provider trace.TracerProvider) (*http.Client, *vmsso.Transport, error) {
	cfg.Base = traced(cfg.Base, provider, "  sent: ")
	transport, err := vmsso.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	return &http.Client{Transport: traced(transport, provider, "asked: ")}, transport, nil
}

// traced names spans by method and path. Headers, bodies and queries may hold secrets.
func traced(base http.RoundTripper, provider trace.TracerProvider, where string) http.RoundTripper {
	return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(provider),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return where + r.Method + " " + r.URL.Path }))
}
