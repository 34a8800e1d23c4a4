package automation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/signer"
)

const (
	apiPath  = "/api/session"
	restPath = "/rest/com/vmware/cis/session" // before vCenter 7.0 U2
)

// createByREST makes a session at the path that the server has.
func (a *Authenticator) createByREST(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, sign *signer.Signer, tok *vmsso.Token) (*vmsso.Session, error) {
	s, err := a.createAt(ctx, rt, endpoint, apiPath, sign, tok)
	var le *vmsso.LoginError
	if errors.As(err, &le) && (le.Status == http.StatusNotFound || le.Status == http.StatusMethodNotAllowed) {
		return a.createAt(ctx, rt, endpoint, restPath, sign, tok)
	}
	return s, err
}

func (a *Authenticator) createAt(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, path string, sign *signer.Signer, tok *vmsso.Token) (*vmsso.Session, error) {
	c := newCall(endpoint, http.MethodPost, path)
	c.MaxHeader = cmp.Or(a.MaxHeader, 8<<10)
	authorization, err := sign.AutomationHeader(&http.Request{Method: c.Method, URL: c.URL}, nil)
	if err != nil {
		return nil, c.Fail(nil, err)
	}
	c.Header.Set("Authorization", authorization)
	c.Header.Set("Vmware-Use-Header-Authn", "true") // or servers set a cookie too, which some prefer to the header
	reply, err := c.Do(ctx, rt)
	if err != nil {
		return nil, err
	}
	if reply.Status >= 400 {
		le := refusal(c, reply, readMessage(reply.Body), tok.Assertion)
		if reply.Status == http.StatusUnauthorized {
			le.Err = errTokenRejected
		}
		return nil, le
	}
	id, err := restSessionID(path, reply.Body)
	if err != nil {
		return nil, c.Fail(reply, err)
	}
	return newSession(c, reply, path, id)
}

// callREST makes a request of the session to the path that made it.
func callREST(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session, method, query string) error {
	c := newCall(endpoint, method, cmp.Or(s.Values[valuePath], apiPath))
	c.URL.RawQuery = query
	c.Header[sessionHeader] = s.Header[sessionHeader]
	reply, err := c.Do(ctx, rt)
	switch {
	case err != nil:
		return err
	case reply.Status == http.StatusUnauthorized || reply.Status == http.StatusNotFound:
		return c.Fail(reply, vmsso.ErrNoSession)
	case reply.Status >= 400:
		return refusal(c, reply, readMessage(reply.Body), s.Header.Get(sessionHeader))
	}
	return nil
}

func newCall(endpoint *url.URL, method, path string) *call.Call {
	return &call.Call{
		Method: method,
		URL:    &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: path},
		Stage:  method + " " + path,
		Header: http.Header{"Accept": {"application/json"}},
	}
}

// newSession makes the session of a login. Its ID becomes a header, so it must
// be able to.
func newSession(c *call.Call, reply *call.Reply, path, id string) (*vmsso.Session, error) {
	if err := call.Field(id); err != nil {
		return nil, c.Fail(reply, fmt.Errorf("the session ID in the answer is not usable as a header: %w", err))
	}
	return &vmsso.Session{
		Header:  http.Header{sessionHeader: {id}},
		Values:  map[string]string{valuePath: path},
		Created: time.Now(),
	}, nil
}

var errNoSessionID = errors.New("the answer holds no session ID: is this a vCenter Server?")

// restSessionID reads a session ID: a JSON string of /api, {"value": …} of /rest.
func restSessionID(path string, body []byte) (id string, err error) {
	if path == restPath {
		err = json.Unmarshal(body, &struct{ Value *string }{&id})
	} else {
		err = json.Unmarshal(body, &id)
	}
	if err != nil {
		return "", errNoSessionID
	}
	return id, nil
}
