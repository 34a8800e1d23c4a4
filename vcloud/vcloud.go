// Package vcloud logs in to vCloud Director and VMware Cloud Director with SAML
// tokens, bearer and holder-of-key.
//
// The login asks GET /api/versions for the login URL of an API version and
// posts the token to it in the Authorization header (SIGN). The answer holds a
// token of the session, which goes on later requests until the session is
// deleted: a JSON Web Token as "Authorization: Bearer" or, from systems before
// vCloud Director 9.1, the header x-vcloud-authorization. What the answer says
// of the user, and from where it can begin browsing, is read with [ReadSession].
// This is what VMware's documents "Create a Session Using SAML Authentication"
// and "Login" of the vCloud API describe.
//
// The token's audience must be the entity ID of the organization's SAML
// metadata.
//
//	a user of a tenant                              Authenticator{Org: "Finance"}
//	a user of the provider                          Authenticator{}
//	a program that was made for one API version     Version
//	a system that does not know its own name        LoginPath
//
// # API versions
//
// Versions are compared number by number: 5.6 < 9.0 < 29.0 < 39.1. The versions
// of VCF Automation 9 count above those, although their numbers are smaller: they
// have three numbers, such as 9.0.0, or are 9.1 and later; 9.0 with two numbers
// is that of vCloud Director 8.0. Unless [Authenticator.Version] says otherwise,
// the login uses the highest version that is not deprecated.
package vcloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/signer"
)

// An Authenticator logs in to a Cloud Director. Use a pointer to it; the zero
// value works and logs the provider in. It is safe for concurrent use. Of the
// endpoint's URL only the origin counts.
//
// A request of the caller that has no Accept header, without which a Cloud
// Director does not answer, gets one for the API version of the login.
type Authenticator struct {
	vmsso.Defaults

	// Org is the name of the organization to log in to. "" means system, the
	// provider.
	Org string

	// Version is the API version of the login, such as "37.0". "" means the
	// highest that the system has.
	Version string

	// LoginPath is where to log in, such as "/cloudapi/1.0.0/sessions". ""
	// means the login URL of GET /api/versions, which is refused if it is on
	// another origin than the endpoint: then the system does not know the name
	// under which it is reached.
	LoginPath string

	// MaxHeader is how many bytes of header the system takes, by which a token
	// that is too large is found before it is sent: the error wraps
	// [vmsso.ErrHeaderTooLarge]. 0 means 8 KiB, which is the limit of Cloud
	// Director; negative means that the system decides.
	MaxHeader int

	// Signing says how messages are signed for a holder-of-key token. The zero
	// value is what servers take.
	Signing signer.Options

	signers signer.Cache
}

var _ vmsso.Authenticator = (*Authenticator)(nil)

// The header fields that carry, or once carried, the token of a session.
const (
	authorization = "Authorization"
	legacyToken   = "X-Vcloud-Authorization"
	accessToken   = "X-Vmware-Vcloud-Access-Token"
	tokenType     = "X-Vmware-Vcloud-Token-Type"
)

// What Session.Values holds.
const (
	valueVersion = "version" // the API version of the login
	valuePath    = "path"    // where it was made
	valueLinks   = "links"   // the Link header of the answer
)

// Login implements [vmsso.Authenticator]. A token that cannot work is refused
// before anything is sent, as are the name of an organization that a header
// cannot carry and a holder-of-key token whose key has no algorithm there.
func (a *Authenticator) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	header, err := a.sign(tok)
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "token", Err: err}
	}
	known, err := getVersions(ctx, rt, endpoint)
	if err != nil {
		return nil, err
	}
	way, err := a.choose(known, endpoint)
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "GET " + versionsPath, Err: err}
	}
	s, err := a.post(ctx, rt, endpoint, way, header, tok)
	var le *vmsso.LoginError
	if before, ok := known.legacy(); ok && a.LoginPath == "" && before != way && errors.As(err, &le) && absent(le.Status) {
		return a.post(ctx, rt, endpoint, before, header, tok)
	}
	return s, err
}

func (a *Authenticator) sign(tok *vmsso.Token) (string, error) {
	s, err := a.signers.Signer(a.Signing, tok)
	if err != nil {
		return "", err
	}
	return s.VCloudHeader(a.Org)
}

// absent tells whether a system that answers so has no login at that path, or
// none for that version.
func absent(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone:
		return true
	}
	return false
}

// A login is one way to log in.
type login struct{ path, version string }

// post logs in this way.
func (a *Authenticator) post(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, way login, header string, tok *vmsso.Token) (*vmsso.Session, error) {
	c := newCall(endpoint, http.MethodPost, way)
	c.Header.Set(authorization, header)
	c.MaxHeader = cmp.Or(a.MaxHeader, 8<<10)
	reply, err := c.Do(ctx, rt)
	switch {
	case err != nil:
		return nil, err
	case reply.Status >= 400:
		le := refusal(c, reply, tok.Assertion, header)
		if errors.Is(le, vmsso.ErrRejected) { // mostly without a word
			le.Err = fmt.Errorf("%w for organization %q: check that the token's audience is the entity ID of its SAML metadata, and that the user is imported there", vmsso.ErrRejected, cmp.Or(a.Org, "system"))
		}
		return nil, le
	}
	return newSession(c, reply, way)
}

// newSession makes the session of an answer: by the JSON Web Token if there is
// one, by the older token otherwise. The other headers by which a caller's own
// code or cookie jar may name a session are removed from its requests.
func newSession(c *call.Call, reply *call.Reply, way login) (*vmsso.Session, error) {
	s := &vmsso.Session{
		Header: http.Header{authorization: nil, legacyToken: nil, accessToken: nil, tokenType: nil},
		Cookies: []*http.Cookie{
			{Name: "vcloud_jwt", MaxAge: -1}, {Name: "vcloud_session_id", MaxAge: -1}, {Name: "vcloud-token", MaxAge: -1},
		},
		Values:  map[string]string{valueVersion: way.version, valuePath: way.path},
		Created: time.Now(),
		Raw:     reply.Body,
	}
	if links := strings.Join(reply.Header["Link"], ", "); links != "" && len(links) < 64<<10 {
		s.Values[valueLinks] = links
	}
	token, scheme, name := reply.Header.Get(accessToken), "Bearer ", authorization
	if token == "" {
		token, scheme, name = reply.Header.Get(legacyToken), "", legacyToken
	}
	if token == "" {
		return nil, c.Fail(reply, errors.New("the answer holds no token of a session: is this a Cloud Director?"))
	}
	if err := call.Field(token); err != nil {
		return nil, c.Fail(reply, errors.New("the token of the session is not usable as a header: "+err.Error()))
	}
	s.Header[name] = []string{scheme + token}
	if scheme != "" {
		s.Expires = expiry(token)
	}
	return s, nil
}

// Logout implements [vmsso.Authenticator].
func (a *Authenticator) Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	err := resume(ctx, rt, endpoint, s, http.MethodDelete)
	var le *vmsso.LoginError
	if errors.Is(err, vmsso.ErrNoSession) || errors.As(err, &le) && le.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// Probe implements [vmsso.Authenticator] by reading the session.
func (a *Authenticator) Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	return resume(ctx, rt, endpoint, s, http.MethodGet)
}

// resume makes a request about the session itself.
func resume(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session, method string) error {
	way := login{sessionPath(s.Values[valuePath]), s.Values[valueVersion]}
	c := newCall(endpoint, method, way)
	for name, values := range s.Header {
		if values != nil {
			c.Header[name] = values
		}
	}
	reply, err := c.Do(ctx, rt)
	switch {
	case err != nil:
		return err
	case reply.Status == http.StatusUnauthorized:
		return c.Fail(reply, vmsso.ErrNoSession)
	case reply.Status >= 400:
		return refusal(c, reply, s.Header.Get(authorization), s.Header.Get(legacyToken))
	}
	return nil
}

// sessionPath is where a session is that was made at path.
func sessionPath(path string) string {
	if path == legacyLogin {
		return "/api/session"
	}
	return strings.TrimSuffix(path, "/provider") + "/current"
}

func newCall(endpoint *url.URL, method string, way login) *call.Call {
	return &call.Call{
		Method: method,
		URL:    &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: way.path},
		Stage:  method + " " + way.path,
		Header: http.Header{"Accept": {accept(way.path, way.version)}},
	}
}

// accept is the Accept header for a path in an API version.
func accept(path, version string) string {
	switch {
	case strings.HasPrefix(path, "/cloudapi/"):
		return "application/json;version=" + version
	case strings.HasPrefix(path, "/api/"):
		return "application/*+xml;version=" + version
	}
	return "application/*;version=" + version
}
