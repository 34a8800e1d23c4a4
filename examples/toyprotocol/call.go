package toyprotocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// An answer is what /login says, and what all say of an error.
type answer struct {
	Ticket string `json:"ticket"`
	Error  string `json:"error"`
}

// call sends one request to /login, with one header field, and returns the ticket
// that a POST is answered with. Each error is a [*vmsso.LoginError].
func call(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, method, field, value string) (string, error) {
	le := &vmsso.LoginError{Endpoint: endpoint.Host, Stage: method + " /login"}
	u := &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: "/login"} // the same origin, whatever else is in the endpoint
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		le.Err = err
		return "", le
	}
	req.Header.Set(field, value)
	resp, err := rt.RoundTrip(req) // an http.Client would follow a redirect
	if err != nil {
		le.Err = err
		return "", le
	}
	defer resp.Body.Close()
	var a answer
	unread := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a)
	le.Status = resp.StatusCode
	le.Fault, le.RetryAfter, le.Err = refusal(resp, a.Error)
	switch {
	case le.Fault == noTicket && method != http.MethodPost: // of a login it would be a refusal like others
		le.Err = vmsso.ErrNoSession
	case le.Err != nil:
	case method != http.MethodPost:
		return "", nil
	case unread != nil:
		le.Err = fmt.Errorf("no usable answer (%w): is this URL right, or is a proxy or login page in the way?", unread)
	case a.Ticket == "" || len(a.Ticket) > 1024 || strings.ContainsFunc(a.Ticket, func(r rune) bool { return r <= ' ' || r > '~' }):
		le.Err = errors.New("the ticket in the answer cannot be a header field: is this a toy system?")
	default:
		return a.Ticket, nil
	}
	return "", le
}

// refusal tells what an answer that is no success comes down to. Of the server's
// words it quotes those that it knows: others may echo the token.
func refusal(resp *http.Response, word string) (quote string, wait time.Duration, what error) {
	if slices.Contains([]string{"bad assertion", "locked", "full", noTicket}, word) {
		quote = word
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		wait = time.Duration(min(max(s, 0), 3600)) * time.Second
	}
	switch status := resp.StatusCode; {
	case status < 300:
		return "", 0, nil
	case status < 400:
		what = errors.New("a redirect, which is not followed with credentials: give the final URL")
	case word == "locked":
		what = vmsso.ErrLocked
	case word == "full":
		what = vmsso.ErrSessionLimit
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		what = fmt.Errorf("%w: check that the system trusts the token's issuer, and that the clocks agree", vmsso.ErrRejected)
	case status == http.StatusRequestHeaderFieldsTooLarge:
		what = vmsso.ErrHeaderTooLarge
	default:
		what = errors.New("the server failed: is this the URL of a toy system?")
	}
	return quote, wait, what
}
