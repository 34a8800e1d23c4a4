package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/vmsso/vmsso"
)

// newClient returns a client that repeats requests around a transport that is logged
// in. In this order, outside of it, each attempt is sent in a session that lives.
func newClient(cfg vmsso.Config) (*http.Client, *vmsso.Transport, error) {
	cfg.MaxRetries = -1 // none: else each attempt from outside would be up to three
	transport, err := vmsso.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	outside := retryablehttp.NewClient()
	outside.HTTPClient = &http.Client{Transport: transport}
	outside.CheckRetry = isPassing
	outside.RetryWaitMin = 10 * time.Millisecond // for this example; leave it at a second
	outside.Logger = nil                         // the default writes each request to standard error
	return outside.StandardClient(), transport, nil
}

// isPassing is the usual policy without what is an answer: a refused login, which the
// transport would not send again anyway, and status 500, with which SOAP has faults.
// It repeats POST as that does; leave it out, if what it does must not happen twice.
func isPassing(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case errors.Is(err, vmsso.ErrRejected):
		return false, err
	case resp != nil && resp.StatusCode == http.StatusInternalServerError:
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}
