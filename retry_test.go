package vmsso_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
)

func TestWhatIsRetried(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	after := http.Header{"Retry-After": {"2"}}
	for _, tc := range []struct {
		name     string
		method   string
		body     string
		stream   bool
		status   int
		header   http.Header
		err      error
		attempts int
	}{
		{"no connection", "POST", "x", false, 0, nil, dial, 3},
		{"connection lost", "POST", "x", false, 0, nil, reset, 1},
		{"connection lost, idempotent", "GET", "", false, 0, nil, reset, 3},
		{"connection closed, idempotent", "PUT", "x", false, 0, nil, net.ErrClosed, 3}, // as over TLS
		{"connection closed by another stream, idempotent", "PUT", "x", false, 0, nil, errors.New("http2: client connection force closed via ClientConn.Close"), 3},
		{"connection closed", "POST", "x", false, 0, nil, net.ErrClosed, 1},
		{"certificate not trusted", "GET", "", false, 0, nil, x509.UnknownAuthorityError{}, 1},
		{"certificate not pinned", "GET", "", false, 0, nil, fmt.Errorf("tls: %w", vmsso.ErrTLSIdentity), 1},
		{"never sent", "GET", "", false, 0, nil, errors.New("unsupported protocol scheme \"x\""), 1},
		{"timeout of the base", "GET", "", false, 0, nil, context.DeadlineExceeded, 1},
		{"given up by the base", "GET", "", false, 0, nil, context.Canceled, 1},
		{"429", "POST", "x", false, 429, after, nil, 3},
		{"503 with Retry-After", "POST", "x", false, 503, after, nil, 3},
		{"503 without", "POST", "x", false, 503, nil, nil, 1},
		{"503 without, idempotent", "PUT", "x", false, 503, nil, nil, 3},
		{"502, idempotent", "GET", "", false, 502, nil, nil, 3},
		{"502", "POST", "x", false, 502, nil, nil, 1},
		{"500: a SOAP fault is an answer", "GET", "", false, 500, nil, nil, 1},
		{"a stream", "PUT", "x", true, 503, after, nil, 1},
		{"a stream, no connection", "PUT", "x", true, 0, nil, dial, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem()
				attempts := 0
				tr := newTransport(t, s, func(c *vmsso.Config) {
					c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
						attempts++
						if req.Body != nil {
							req.Body.Close()
						}
						if tc.err != nil {
							return nil, tc.err
						}
						resp := answer(req, tc.status, "an answer")
						for k, v := range tc.header {
							resp.Header[k] = v
						}
						return resp, nil
					})
				})
				req := newRequest(t, tc.method, "/x", nil)
				switch {
				case tc.stream:
					req = newRequest(t, tc.method, "/x", hidden{strings.NewReader(tc.body)})
				case tc.body != "":
					req = newRequest(t, tc.method, "/x", strings.NewReader(tc.body))
				}
				resp, err := tr.RoundTrip(req)
				if attempts != tc.attempts {
					t.Errorf("%d attempts, want %d", attempts, tc.attempts)
				}
				if tc.err != nil && err != tc.err {
					t.Errorf("got %v, want the error as it was", err)
				}
				if tc.err == nil && (err != nil || resp.StatusCode != tc.status) {
					t.Errorf("got %v, %v, want the last answer", resp, err)
				}
			})
		})
	}
}

func TestNegativeMaxRetriesMeansNone(t *testing.T) {
	s := newSystem()
	attempts := 0
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.MaxRetries = -1
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			attempts++
			return answer(req, 429, ""), nil
		})
	})
	if status := get(t, tr); status != 429 || attempts != 1 {
		t.Errorf("status %d after %d attempts, want 429 after 1", status, attempts)
	}
}

func TestUnreachableServerIsTriedAgainAndARefusalIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tries := 0
		s.onLogin = func(context.Context) error {
			if tries++; tries < 3 {
				return &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
			return nil
		}
		tr := newTransport(t, s)
		if status := get(t, tr); status != 200 || tries != 3 {
			t.Errorf("status %d after %d tries, want 200 after 3", status, tries)
		}
		s.kill()
		s.refuse = true
		start := time.Now()
		if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); !errors.Is(err, vmsso.ErrRejected) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want ErrRejected at once", err, time.Since(start))
		}
		if tries != 4 {
			t.Errorf("%d logins in all, want 4", tries)
		}
	})
}

func TestLoginWhoseConnectionBrokeIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.onLogin = func(context.Context) error {
			return &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
		}
		tr := newTransport(t, s)
		if _, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil)); err == nil {
			t.Error("no error")
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins, want 1: nobody knows what became of it", logins)
		}
	})
}

func TestOneReplayPerRequestAlsoWhenItIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s)
		get(t, tr)
		answers := []int{401, 429, 401}
		s.onCall = func(req *http.Request) *http.Response {
			if len(answers) == 0 {
				return nil
			}
			status := answers[0]
			answers = answers[1:]
			return answer(req, status, "")
		}
		if status := get(t, tr); status != 401 || len(answers) != 0 {
			t.Errorf("status %d with %d answers left, want the server's second 401", status, len(answers))
		}
		if logins, _ := s.counts(); logins != 2 {
			t.Errorf("%d logins, want 2", logins)
		}
	})
}

// A request is sent again in a new session once, however it is retried: when that session ends too, the caller gets the refusal.
func TestRetryOfAReplayedRequestIsNotReplayedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent := newSystem(), 0
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path != "/x" {
				return nil
			}
			switch sent++; sent {
			case 2: // the replay
				resp := answer(req, http.StatusServiceUnavailable, "busy")
				resp.Header.Set("Retry-After", "1")
				return resp
			case 1, 3:
				s.kill()
			}
			return nil
		}
		tr := newTransport(t, s)
		if status := get(t, tr); status != http.StatusUnauthorized || sent != 3 {
			t.Errorf("status %d after %d requests, want 401 after 3", status, sent)
		}
		if logins, _ := s.counts(); logins != 2 {
			t.Errorf("%d logins, want 2", logins)
		}
	})
}
