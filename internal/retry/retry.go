// Package retry repeats HTTP requests that did not happen: the server could not be reached, or said that it did nothing and when to come
// back. It is the only package that knows go-retryablehttp, which does the counting and the waiting.
package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Policy says what is repeated, how often and when. The zero value repeats nothing. A Policy is not modified and can be shared.
type Policy struct {
	// Max is the number of further attempts after the first. 0 or less: none.
	Max int
	// Floor and Ceiling bound the wait before an attempt. 0: 500 ms and 30 s. A Ceiling below the Floor counts as the Floor.
	//
	// A server that names a time in Retry-After is obeyed, but never repeated to sooner than Floor. If it asks for more than Ceiling, the
	// result is final: whoever comes back before the time only makes it worse. Without a time, the wait before attempt n (from 1) is random
	// between Floor*2^(n-1) and twice that, at most Ceiling, so that many clients of a restarted server do not come back at once.
	Floor, Ceiling time.Duration
	// Retryable reports whether a result is no answer and may be repeated: either a response, whose body it leaves alone, or an error. It
	// is asked once about every result of a Do, also about the first. nil: nothing is repeated.
	Retryable func(resp *http.Response, err error) bool
	// OnRetry, if not nil, is called before the wait for each further attempt, counted from 1.
	OnRetry func(attempt int, wait time.Duration)
}

// errNoResult stands in for a broken RoundTripper's answer of neither a response nor an error.
var errNoResult = errors.New("retry: neither a response nor an error")

// Do takes over with the first result of a request: while the result is retryable, it waits and calls again, until Max further attempts are
// made. It returns the last result exactly as again returned it: the response with its body unread, or the error, never both. Responses
// before that are drained, up to 4 KiB, and closed.
//
// When ctx ends before or during a wait, Do returns [context.Cause] and no response. It never ends an attempt that runs: again should heed
// ctx by itself. All calls of again are made by the calling goroutine, one after the other; a panic of again passes through.
func (p Policy) Do(ctx context.Context, first *http.Response, firstErr error, again func() (*http.Response, error)) (*http.Response, error) {
	a := &attempts{ctx: ctx, policy: p, again: again}
	a.keep(first, firstErr)
	if p.Max <= 0 || p.Retryable == nil {
		return a.resp, a.err
	}
	client := retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: a,
			// The results shown to this client are no redirects (see shown). Should one ever be, it is not followed.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger:       nil, // the default writes to stderr
		RetryMax:     p.Max,
		CheckRetry:   a.checkRetry,                          // the default repeats every 5xx, SOAP faults among them, and nearly every error
		Backoff:      a.backoff,                             // the default has no floor, no ceiling for Retry-After and no jitter
		ErrorHandler: retryablehttp.PassthroughErrorHandler, // the default replaces the last result by "giving up after"
	}
	// The request is a stand-in that only carries ctx. With the real one, retryablehttp would read its body into memory and leave the
	// original open. Nor are the client's own results of use: it can return a response and an error together, *url.Error around an error, and
	// ctx.Err() instead of the cause. What counts is in a.
	standIn := (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "retry.invalid"}}).WithContext(ctx)
	_, _ = client.Do(&retryablehttp.Request{Request: standIn})
	if a.waiting {
		return nil, context.Cause(ctx) // retryablehttp has closed the response before the wait
	}
	return a.resp, a.err
}

// attempts is one Do: the RoundTripper, the CheckRetry and the Backoff of its client. Only one goroutine uses it.
type attempts struct {
	ctx    context.Context
	policy Policy
	again  func() (*http.Response, error)

	resp    *http.Response // the latest result: either resp or err is set
	err     error
	retries int  // further attempts that were announced
	sent    bool // the client has seen the first result
	waiting bool // a wait has begun and no attempt has followed it
}

// keep makes resp and err the latest result and sees to it that there is exactly one of the two. net/http would print a line to the standard
// logger for a RoundTripper that returns both.
func (a *attempts) keep(resp *http.Response, err error) {
	if err != nil && resp != nil {
		drain(resp)
		resp = nil
	}
	if err == nil && resp == nil {
		err = errNoResult
	}
	a.resp, a.err = resp, err
}

// RoundTrip hands the first result to the client, later those of again.
func (a *attempts) RoundTrip(*http.Request) (*http.Response, error) {
	if a.sent {
		// When the wait and ctx end at the same moment, retryablehttp takes either way.
		if a.ctx.Err() != nil {
			return nil, context.Cause(a.ctx)
		}
		a.waiting = false
		a.keep(a.again())
	}
	a.sent = true
	return a.shown()
}

// shown is the latest result as http.Client may see it: with the body, because retryablehttp drains and closes that, but without status and
// headers. Of the real response http.Client would follow a Location, close the body over one that it cannot parse, replace a nil Body, and
// rewrite some errors.
func (a *attempts) shown() (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	body := a.resp.Body
	if body == nil {
		body = http.NoBody
	}
	return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
}

// checkRetry decides by the latest result, not by what the client made of it. An error from a CheckRetry would take the result's place.
func (a *attempts) checkRetry(context.Context, *http.Response, error) (bool, error) {
	if a.waiting || !a.policy.Retryable(a.resp, a.err) {
		return false, nil
	}
	wait, named := After(header(a.resp), time.Now())
	_, ceiling := a.policy.bounds()
	return !named || wait <= ceiling, nil
}

// backoff returns the wait before the next attempt. retryablehttp calls it only when there will be one, after draining the response.
func (a *attempts) backoff(_, _ time.Duration, retry int, _ *http.Response) time.Duration {
	a.waiting = true
	wait := a.policy.wait(retry, a.resp, time.Now())
	if a.policy.OnRetry != nil && a.ctx.Err() == nil {
		a.retries++
		a.policy.OnRetry(a.retries, wait)
	}
	return wait
}

// drain reads a little of a body that is dropped, so that its connection can be used again, and closes it.
func drain(resp *http.Response) {
	if resp.Body != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		resp.Body.Close()
	}
}
