package main

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A span is printed when it ends, which is when the body of its response is
// closed: first that of the request that was asked for, then what was sent last
// for it. The logout finds no session any more.
func Example() {
	main()
	// Output:
	//   sent: POST /api/session
	// asked: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: POST /api/session
	// asked: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: DELETE /api/session
}

// TestSpansOfALoginBelongToTheRequest: who looks at a slow request sees the login in it.
func TestSpansOfALoginBelongToTheRequest(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	if err := run(context.Background(), spans); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // by ID
	for _, span := range spans.Ended() {
		names[span.SpanContext().SpanID().String()] = span.Name()
	}
	sent := 0
	for _, span := range spans.Ended() {
		if !strings.HasPrefix(span.Name(), "  sent: ") || strings.HasPrefix(span.Name(), "  sent: DELETE") {
			continue // Close has no context
		}
		sent++
		if parent := names[span.Parent().SpanID().String()]; parent != "asked: GET /api/vcenter/vm" {
			t.Errorf("%s: its parent is %q, want what was asked", span.Name(), parent)
		}
	}
	if sent != 5 {
		t.Errorf("%d requests were sent for those that were asked, want 5", sent)
	}
}
