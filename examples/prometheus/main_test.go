package main

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// login: 3
	// logout: 1
	// request sent again: 2
	// session ended by the server: 2
}

func TestTraceCounts(t *testing.T) {
	registry := prometheus.NewRegistry()
	trace, broken := newTrace(registry), errors.New("broken")
	trace.Restored("id")
	trace.LoginDone(2*time.Second, "id", nil)
	trace.LoginDone(3*time.Second, "", broken)
	trace.Expired("id")
	trace.Replay("GET", "/api/secret")
	trace.Retry("GET", "/api/secret", 1, time.Second)
	trace.KeepAlive("id", broken)
	trace.Logout("id", nil)
	trace.StoreFault("save", broken)
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Fatalf("got %v, %v, want two metrics", families, err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	for _, event := range []string{
		"session restored", "login", "login failed", "session ended by the server", "request sent again",
		"retry", "keep-alive failed", "logout", "store save failed",
	} {
		if got[event] != 1 {
			t.Errorf("%q was counted %v times, want once", event, got[event])
		}
		delete(got, event)
	}
	if len(got) > 0 {
		t.Errorf("these were counted too: %v", got)
	}
	if h := families[1].GetMetric()[0].GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() != 5 {
		t.Errorf("%d logins of %v s, want 2 of 5 s", h.GetSampleCount(), h.GetSampleSum())
	}
}
