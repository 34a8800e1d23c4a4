// Package toyprotocol logs in to a system that does not exist. It is what a new
// protocol takes: one type, in one folder, with what any other module can import.
//
// The toy system takes a bearer token, in base64, and gives a ticket:
//
//	POST /login, Toy-Assertion: PHNhbWwy…   200 {"ticket":"t-1"}
//	GET /machines, Toy-Ticket: t-1          200 …
//	GET /machines, Toy-Ticket: t-0          401 {"error":"no ticket"}
//	GET /login, Toy-Ticket: t-1             204
//	DELETE /login, Toy-Ticket: t-1          204
package toyprotocol

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

// An Authenticator logs in to a toy system. Use a pointer to it; the zero value
// works. It is safe for concurrent use and can serve many transports. Of the
// endpoint's URL only the origin counts.
type Authenticator struct {
	vmsso.Defaults // for Apply and Classify
}

var _ vmsso.Authenticator = (*Authenticator)(nil)

const (
	ticketField = "Toy-Ticket"
	noTicket    = "no ticket" // what the server says of a session that is gone
)

// Login implements [vmsso.Authenticator].
func (*Authenticator) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	a, err := signer.ParseAssertion(tok.Assertion)
	if err == nil && (a.HolderOfKey || tok.Key != nil) {
		err = fmt.Errorf("%w: the toy system takes bearer tokens only", vmsso.ErrUnsupportedToken)
	}
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "token", Err: err}
	}
	ticket, err := call(ctx, rt, endpoint, http.MethodPost, "Toy-Assertion", base64.StdEncoding.EncodeToString([]byte(tok.Assertion)))
	if err != nil {
		return nil, err
	}
	return &vmsso.Session{Header: http.Header{ticketField: {ticket}}, Created: time.Now()}, nil
}

// Logout implements [vmsso.Authenticator].
func (*Authenticator) Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	_, err := call(ctx, rt, endpoint, http.MethodDelete, ticketField, s.Header.Get(ticketField))
	if errors.Is(err, vmsso.ErrNoSession) {
		return nil
	}
	return err
}

// Probe implements [vmsso.Authenticator]. Without it nothing keeps a session alive,
// and each doubt of one costs a login.
func (*Authenticator) Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	_, err := call(ctx, rt, endpoint, http.MethodGet, ticketField, s.Header.Get(ticketField))
	return err
}

// Expired implements [vmsso.Authenticator]: a 401 alone may also mean that the
// user lacks a right, so the beginning of the body decides.
func (*Authenticator) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode != http.StatusUnauthorized {
		return vmsso.No
	}
	body := bufio.NewReaderSize(resp.Body, 512)
	head, _ := body.Peek(512) // an error shows again when the body is read
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	var a answer
	if json.Unmarshal(head, &a) == nil && a.Error == noTicket {
		return vmsso.Yes
	}
	return vmsso.No
}
