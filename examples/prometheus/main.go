// Prometheus counts what a transport does, for programs that are watched: from the
// functions of a vmsso.Trace. The part to copy is trace.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func main() {
	registry := prometheus.NewRegistry() // yours; promhttp serves it
	if err := run(context.Background(), registry); err != nil {
		log.Fatal(err)
	}
	families, err := registry.Gather() // sorted by name: first vmsso_events_total
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		fmt.Printf("%s: %v\n", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
	}
}

func run(ctx context.Context, registry prometheus.Registerer) (err error) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{}) // instead of a vCenter
	server := vmssotest.Listen(vcenter)
	defer server.Close()
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL, Auth: &automation.Authenticator{}, Trace: newTrace(registry),
		Source: tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out
	for range 3 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/vcenter/vm", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		vcenter.Kill() // the next request finds its session gone
	}
	return nil
}
