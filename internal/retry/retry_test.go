package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// body counts what is done to it.
type body struct {
	io.Reader
	read, closed int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *body) Close() error {
	b.closed++
	return nil
}

// answer is a response with a counted body and header lines "Name: value".
func answer(status int, text string, lines ...string) (*http.Response, *body) {
	b := &body{Reader: strings.NewReader(text)}
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "vc.example.com", Path: "/sdk"}}
	return &http.Response{StatusCode: status, Header: h, Body: b, ContentLength: int64(len(text)), Request: req}, b
}

// unavailable is the classifier of these tests.
func unavailable(resp *http.Response, err error) bool {
	return DialError(err) || resp != nil && (resp.StatusCode == 503 || resp.StatusCode == 429)
}

// script returns an again that plays the responses in order; one call too many fails the test.
func script(t *testing.T, calls *int, responses ...*http.Response) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		*calls++
		if *calls > len(responses) {
			t.Errorf("attempt %d was not expected", *calls)
			return nil, errors.New("too many attempts")
		}
		return responses[*calls-1], nil
	}
}

func never(t *testing.T) func() (*http.Response, error) {
	var calls int
	return script(t, &calls)
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("the body cannot be read: %v", err)
	}
	return string(data)
}

func TestServerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, b1 := answer(503, "busy", "Retry-After: 7")
		second, b2 := answer(429, strings.Repeat("x", 100_000), "Retry-After: 2")
		third, b3 := answer(200, "welcome")
		var calls int
		var waits []time.Duration
		p := Policy{Max: 5, Retryable: unavailable, OnRetry: func(attempt int, wait time.Duration) {
			if waits = append(waits, wait); len(waits) != attempt {
				t.Errorf("attempt %d announced as %d", len(waits), attempt)
			}
		}}

		start := time.Now()
		resp, err := p.Do(t.Context(), first, nil, script(t, &calls, second, third))

		if resp != third || err != nil {
			t.Fatalf("got %v, %v, want the third response itself", resp, err)
		}
		if got := time.Since(start); got != 9*time.Second || len(waits) != 2 || waits[0] != 7*time.Second || waits[1] != 2*time.Second {
			t.Errorf("waited %v: %v, want 7s and 2s", got, waits)
		}
		if calls != 2 {
			t.Errorf("%d further attempts, want 2", calls)
		}
		if b1.read != 4 || b1.closed != 1 || b2.read != 4096 || b2.closed != 1 {
			t.Errorf("dropped bodies: read %d and %d, closed %d and %d times; want 4 and 4096, once", b1.read, b2.read, b1.closed, b2.closed)
		}
		if b3.read != 0 || b3.closed != 0 || readAll(t, resp) != "welcome" {
			t.Errorf("the last body was touched: %d bytes read, closed %d times", b3.read, b3.closed)
		}
		if resp.Request != third.Request || resp.ContentLength != 7 || third.Request.URL.Host != "vc.example.com" {
			t.Errorf("the response was altered: %+v", resp)
		}
	})
}

func TestAttemptsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, b1 := answer(503, "one")
		second, b2 := answer(503, "two")
		third, b3 := answer(503, "three")
		var calls int
		p := Policy{Max: 2, Retryable: unavailable}
		resp, err := p.Do(t.Context(), first, nil, script(t, &calls, second, third))
		if resp != third || err != nil || calls != 2 {
			t.Fatalf("got %v, %v after %d further attempts, want the third response after 2", resp, err, calls)
		}
		if got := readAll(t, resp); got != "three" || b3.closed != 0 {
			t.Errorf("last body: %q, closed %d times; want it whole and open", got, b3.closed)
		}
		if b1.closed != 1 || b2.closed != 1 {
			t.Errorf("dropped bodies closed %d and %d times, want once", b1.closed, b2.closed)
		}
	})
}

func TestErrorsKeepTheirIdentity(t *testing.T) {
	refused := dialError(errors.New("connection refused"))
	reset := &url.Error{Op: "Post", URL: "https://vc.example.com", Err: io.ErrUnexpectedEOF}
	tests := []struct {
		name   string
		errs   []error // the first and those of again
		want   error
		answer bool // a response follows the errors
	}{
		{"unreachable to the end", []error{refused, refused, refused}, refused, false},
		{"another error after the first", []error{refused, reset}, reset, false},
		{"reachable at last", []error{refused, refused}, nil, true},
		{"not retryable at all", []error{reset}, reset, false},
		{"bare sentinel", []error{io.EOF}, io.EOF, false},
		{"the caller's context", []error{refused, context.Canceled}, context.Canceled, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ok, _ := answer(200, "")
				n := 0
				p := Policy{Max: 2, Retryable: unavailable}
				resp, err := p.Do(t.Context(), nil, tt.errs[0], func() (*http.Response, error) {
					if n++; n < len(tt.errs) {
						return nil, tt.errs[n]
					}
					return ok, nil
				})
				if err != tt.want { // the value itself, not only errors.Is
					t.Errorf("got error %v (%T), want %v itself", err, err, tt.want)
				}
				if tt.answer != (resp == ok) || (resp == nil) == (err == nil) {
					t.Errorf("got response %v with error %v", resp, err)
				}
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	gone := errors.New("the caller has gone")
	tests := []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want error
		took time.Duration
	}{
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(3*time.Second, func() { cancel(gone) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		}, gone, 3 * time.Second},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 4*time.Second)
		}, context.DeadlineExceeded, 4 * time.Second},
		{"already over", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(gone)
			return ctx, func() {}
		}, gone, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				first, b := answer(503, "busy", "Retry-After: 10")
				announced := 0
				p := Policy{Max: 3, Retryable: unavailable, OnRetry: func(int, time.Duration) { announced++ }}

				start := time.Now()
				resp, err := p.Do(ctx, first, nil, never(t))

				if resp != nil || err != tt.want {
					t.Errorf("got %v, %v, want the cause %v alone", resp, err, tt.want)
				}
				if got := time.Since(start); got != tt.took || b.closed != 1 {
					t.Errorf("returned after %v, body closed %d times; want %v and once", got, b.closed, tt.took)
				}
				if want := min(1, int(tt.took)); announced != want {
					t.Errorf("%d attempts announced, want %d", announced, want)
				}
			})
		})
	}
}

// When the wait and the context end in the same moment, retryablehttp may choose the wait.
func TestNoAttemptAfterTheContextEnded(t *testing.T) {
	gone := errors.New("the caller has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	a := &attempts{ctx: ctx, policy: Policy{Max: 3, Retryable: unavailable}, again: never(t), sent: true, waiting: true}
	resp, err := a.RoundTrip(nil)
	if more, checkErr := a.checkRetry(ctx, nil, err); resp != nil || err != gone || more || checkErr != nil || !a.waiting {
		t.Errorf("got %v, %v, more attempts %t, %v; want the cause and no more", resp, err, more, checkErr)
	}
}

func TestNothingIsRepeated(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		status int
	}{
		{"the zero policy", Policy{}, 503},
		{"no classifier", Policy{Max: 3}, 503},
		{"no attempts", Policy{Retryable: unavailable}, 503},
		{"negative attempts", Policy{Max: -1, Retryable: unavailable}, 503},
		{"an answer", Policy{Max: 3, Retryable: unavailable}, 200},
		{"a SOAP fault is an answer", Policy{Max: 3, Retryable: unavailable}, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, b := answer(tt.status, "text", "Retry-After: 1")
				start := time.Now()
				resp, err := tt.policy.Do(t.Context(), first, nil, never(t))
				if resp != first || err != nil || b.read+b.closed != 0 || time.Since(start) != 0 {
					t.Errorf("got %v, %v after %v, want the first response at once and untouched", resp, err, time.Since(start))
				}
			})
		})
	}
}

func TestRedirectIsHandedUpUnchanged(t *testing.T) {
	for _, location := range []string{"https://evil.example.com/", "/login", "::not a URL"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			synctest.Test(t, func(t *testing.T) {
				first, _ := answer(503, "busy")
				redirect, b := answer(status, "moved", "Location: "+location)
				var calls int
				resp, err := Policy{Max: 3, Retryable: unavailable}.Do(t.Context(), first, nil, script(t, &calls, redirect))
				if resp != redirect || err != nil || calls != 1 || b.closed != 0 || readAll(t, resp) != "moved" {
					t.Errorf("%d to %s: got %v, %v after %d attempts, want the redirect itself", status, location, resp, err, calls)
				}
			})
		}
	}
}

// A RoundTripper of the caller may break the rules of http.RoundTripper. The result is still either a response or an error.
func TestBrokenRoundTripper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Policy{Max: 3, Retryable: unavailable}
		busy := func() *http.Response { resp, _ := answer(503, "busy"); return resp }

		both, b := answer(200, "text")
		resp, err := p.Do(t.Context(), busy(), nil, func() (*http.Response, error) { return both, io.EOF })
		if resp != nil || err != io.EOF || b.closed != 1 {
			t.Errorf("response and error: got %v, %v, body closed %d times; want the error alone", resp, err, b.closed)
		}
		if resp, err := p.Do(t.Context(), busy(), nil, func() (*http.Response, error) { return nil, nil }); resp != nil || err == nil {
			t.Errorf("neither: got %v, %v, want an error", resp, err)
		}
		noBody := &http.Response{StatusCode: 200, ContentLength: 10}
		bare := &http.Response{StatusCode: 503}
		if resp, err := p.Do(t.Context(), bare, nil, func() (*http.Response, error) { return noBody, nil }); resp != noBody || err != nil || resp.Body != nil {
			t.Errorf("nil body: got %v, %v, want the response as it is", resp, err)
		}
		if resp, err := (Policy{}).Do(t.Context(), bare, io.EOF, never(t)); resp != nil || err != io.EOF {
			t.Errorf("first result of both: got %v, %v, want the error alone", resp, err)
		}
	})
}

func TestPanicPassesThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		first, _ := answer(503, "busy")
		Policy{Max: 1, Retryable: unavailable}.Do(t.Context(), first, nil, func() (*http.Response, error) { panic("boom") })
	})
}
