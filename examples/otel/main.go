// Otel shows where OpenTelemetry's otelhttp goes: around the transport it sees what the
// program asked for, below it what was sent, logins too. The part to copy is client.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	spans := tracetest.NewSpanRecorder() // instead of an exporter
	if err := run(context.Background(), spans); err != nil {
		log.Fatal(err)
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.Name())
	}
}

func run(ctx context.Context, spans trace.SpanProcessor) (err error) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{}) // instead of a vCenter
	server := vmssotest.Listen(vcenter)
	defer server.Close()

	client, transport, err := newClient(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Base:     server.Transport(),
	}, trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/vcenter/vm", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close() // ends the span
		vcenter.Kill()    // the second request finds its session gone
	}
	return nil
}
