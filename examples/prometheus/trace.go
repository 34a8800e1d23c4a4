package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/vmsso/vmsso"
)

// newTrace returns a Trace whose functions count. They get no secret, and a session's
// ID is no label: each would be a time series of its own. It panics if the metrics are
// registered already, so several transports share one Trace.
func newTrace(to prometheus.Registerer) *vmsso.Trace {
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
		Restored: func(string) { count("session restored", nil) },
		LoginDone: func(took time.Duration, _ string, err error) {
			logins.Observe(took.Seconds())
			count("login", err)
		},
		Expired:    func(string) { count("session ended by the server", nil) },
		Replay:     func(string, string) { count("request sent again", nil) },
		Retry:      func(string, string, int, time.Duration) { count("retry", nil) },
		KeepAlive:  func(_ string, err error) { count("keep-alive", err) },
		Logout:     func(_ string, err error) { count("logout", err) },
		StoreFault: func(op string, err error) { count("store "+op, err) },
	}
}
