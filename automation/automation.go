// Package automation logs in to vSphere Automation over REST with SAML tokens,
// bearer and holder-of-key.
//
// POST /api/session with the token in the Authorization header gives a session
// ID, which the header vmware-api-session-id carries from then on, until DELETE
// ends the session. Servers before vCenter 7.0U2 have that at
// /rest/com/vmware/cis/session; the login finds out. This is what VMware's
// document "Creating a vSphere Automation Session with a SAML Token" describes.
//
// The token must be delegatable, as those of package tokensource's STS are.
package automation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/signer"
)

// An Authenticator logs in to vSphere Automation over REST. Use a pointer to
// it; the zero value works. It is safe for concurrent use and can serve many
// transports. Of the endpoint's URL only the origin counts.
type Authenticator struct {
	vmsso.Defaults // for Apply

	signers signer.Cache
}

var _ vmsso.Authenticator = (*Authenticator)(nil)

const (
	apiPath  = "/api/session"
	restPath = "/rest/com/vmware/cis/session" // before vCenter 7.0U2

	sessionHeader = "Vmware-Api-Session-Id"

	// valuePath is where in Session.Values the path is that made the session.
	valuePath = "path"
)

// Login implements [vmsso.Authenticator]. A token that cannot work is refused
// before anything is sent, as is a holder-of-key token with another key than
// RSA; the error then wraps [vmsso.ErrUnsupportedToken] or
// [vmsso.ErrUnsupportedKey].
func (a *Authenticator) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sign, err := a.signers.Signer(tok)
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "token", Err: err}
	}
	s, err := create(ctx, rt, endpoint, apiPath, sign, tok)
	var le *vmsso.LoginError
	if errors.As(err, &le) && (le.Status == http.StatusNotFound || le.Status == http.StatusMethodNotAllowed) {
		return create(ctx, rt, endpoint, restPath, sign, tok)
	}
	return s, err
}

// create makes a session at this path.
func create(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, path string, sign *signer.Signer, tok *vmsso.Token) (*vmsso.Session, error) {
	c := newCall(endpoint, http.MethodPost, path)
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
		return nil, refusal(c, reply, tok.Assertion)
	}
	id, err := sessionID(path, reply.Body)
	if err != nil {
		return nil, c.Fail(reply, err)
	}
	return &vmsso.Session{
		Header:  http.Header{sessionHeader: {id}},
		Values:  map[string]string{valuePath: path},
		Created: time.Now(),
	}, nil
}

// Logout implements [vmsso.Authenticator].
func (a *Authenticator) Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	err := resume(ctx, rt, endpoint, s, http.MethodDelete, "")
	if errors.Is(err, vmsso.ErrNoSession) {
		return nil
	}
	return err
}

// Probe implements [vmsso.Authenticator] by reading the session.
func (a *Authenticator) Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	if s.Values[valuePath] == restPath {
		return resume(ctx, rt, endpoint, s, http.MethodPost, "~action=get")
	}
	return resume(ctx, rt, endpoint, s, http.MethodGet, "")
}

// resume makes a request of the session to the path that made it.
func resume(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session, method, query string) error {
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
		return refusal(c, reply, s.Header.Get(sessionHeader))
	}
	return nil
}

// Classify implements [vmsso.Authenticator].
func (a *Authenticator) Classify(req *http.Request, _ []byte) vmsso.Class {
	if req.URL.Path != apiPath && req.URL.Path != restPath {
		return vmsso.Normal
	}
	switch {
	case req.Method == http.MethodDelete:
		return vmsso.OwnLogout
	case req.Method == http.MethodPost && req.URL.Query().Get("~action") == "":
		return vmsso.OwnLogin
	}
	return vmsso.Normal
}

// Expired implements [vmsso.Authenticator]: status 401.
func (a *Authenticator) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode == http.StatusUnauthorized {
		return vmsso.Yes
	}
	return vmsso.No
}

func newCall(endpoint *url.URL, method, path string) *call.Call {
	return &call.Call{
		Method: method,
		URL:    &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: path},
		Stage:  method + " " + path,
		Header: http.Header{"Accept": {"application/json"}},
	}
}

// sessionID reads a session ID: a JSON string of /api, {"value": …} of /rest. It
// becomes a header, so it must be able to.
func sessionID(path string, body []byte) (string, error) {
	var id string
	var wrapped struct{ Value *string }
	var err error
	if path == restPath {
		wrapped.Value = &id
		err = json.Unmarshal(body, &wrapped)
	} else {
		err = json.Unmarshal(body, &id)
	}
	if err != nil {
		return "", errors.New("the answer holds no session ID: is this a vCenter Server?")
	}
	if id == "" || len(id) > 1024 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the session ID in the answer is not usable as a header")
	}
	return id, nil
}

// refusal makes the error of a reply that is no success.
func refusal(c *call.Call, reply *call.Reply, secrets ...string) error {
	id, text := message(reply.Body)
	err := errors.New("the server refused")
	switch {
	case strings.Contains(id, "failedToLoginMaxUserSessionCountReached"):
		err = vmsso.ErrSessionLimit
	case reply.Status == http.StatusUnauthorized || reply.Status == http.StatusForbidden:
		err = vmsso.ErrRejected
	}
	le := c.Fail(reply, err)
	if id != "" || text != "" {
		le.Fault = call.Quote(strings.Trim(id+": "+text, ": "), secrets...)
	}
	return le
}

// message reads the first message of a vAPI error, of /api or of /rest.
func message(body []byte) (id, text string) {
	type messages struct {
		ErrorType string `json:"error_type"`
		Messages  []struct {
			ID   string `json:"id"`
			Text string `json:"default_message"`
		} `json:"messages"`
	}
	var v struct {
		messages
		Value messages `json:"value"`
	}
	if json.Unmarshal(body, &v) != nil {
		return "", ""
	}
	m := v.messages
	if len(m.Messages) == 0 {
		m.Messages = v.Value.Messages
	}
	if len(m.Messages) == 0 {
		return v.ErrorType, ""
	}
	return m.Messages[0].ID, m.Messages[0].Text
}
