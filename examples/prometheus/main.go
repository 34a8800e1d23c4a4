// Prometheus counts what a transport does, from the functions of a vmsso.Trace.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// trace returns a Trace whose functions count. They get no secret, and a session's
// ID is no label: each would be a time series of its own.
func trace(to prometheus.Registerer) *vmsso.Trace {
	events := promauto.With(to).NewCounterVec(prometheus.CounterOpts{
		Name: "vmsso_events_total", Help: "What the transport did.",
	}, []string{"event"})
	logins := promauto.With(to).NewHistogram(prometheus.HistogramOpts{
		Name: "vmsso_login_seconds", Help: "How long logins take, token included.",
	})
	count := func(event string, err error) {
		if err != nil {
			event += " failed"
		}
		events.WithLabelValues(event).Inc()
	}
	return &vmsso.Trace{
		LoginDone: func(took time.Duration, _ string, err error) {
			logins.Observe(took.Seconds())
			count("login", err)
		},
		Expired:   func(string) { count("session ended by the server", nil) },
		Replay:    func(string, string) { count("request sent again", nil) },
		Retry:     func(string, string, int, time.Duration) { count("retry", nil) },
		KeepAlive: func(_ string, err error) { count("keep-alive", err) },
		Logout:    func(_ string, err error) { count("logout", err) },
	}
}

func main() {
	registry := prometheus.NewRegistry() // yours; promhttp serves it
	if err := run(context.Background(), registry); err != nil {
		log.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		fmt.Printf("%s: %v\n", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
	}
}

func run(ctx context.Context, registry *prometheus.Registry) error {
	authority := vmssotest.NewAuthority() // instead of a vCenter
	vcenter := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	server := vmssotest.Listen(vcenter)
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
		Trace:    trace(registry),
	})
	if err != nil {
		return err
	}
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
		vcenter.Kill()
	}
	return transport.Close()
}
