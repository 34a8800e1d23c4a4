// Otel shows where OpenTelemetry's otelhttp goes: outside the transport it sees
// what the program asked for, inside it what went over the wire, logins among it.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	authority := vmssotest.NewAuthority() // instead of a vCenter
	vcenter := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	server := vmssotest.Listen(vcenter)
	defer server.Close()

	spans := tracetest.NewSpanRecorder() // instead of an exporter
	provider := otelhttp.WithTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	named := func(where string) otelhttp.Option {
		return otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			return where + r.Method + " " + r.URL.Path // neither headers nor bodies: they hold secrets
		})
	}

	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Base:     otelhttp.NewTransport(server.Transport(), provider, named("  sent: ")),
	})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: otelhttp.NewTransport(transport, provider, named("asked: "))}

	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/vcenter/vm", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		vcenter.Kill() // the second request finds its session gone
	}
	if err := transport.Close(); err != nil {
		return err
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.Name())
	}
	return nil
}
