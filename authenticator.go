package vmsso

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// An Authenticator speaks the login protocol of one kind of system. It is safe
// for concurrent use, and its zero value works. Embed [Defaults] to write a new
// one: then only Login, Logout and Expired are left.
//
// The RoundTripper that the methods get is the transport's base. They bound
// what they read, close the bodies, follow no redirect and send nothing to
// another origin than endpoint's.
type Authenticator interface {
	// Login exchanges the token for a session. It refuses a token that cannot
	// work before it sends anything. A refusal by the server is a [*LoginError]
	// that wraps [ErrRejected].
	Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *Token) (*Session, error)

	// Logout ends the session. A session that is gone already is no error.
	Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *Session) error

	// Probe asks the server whether the session is alive: nil if it is, an
	// error that wraps [ErrNoSession] if it is dead, another if that could not
	// be learnt.
	Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *Session) error

	// Classify tells what to do with a request. The beginning of its body is in
	// head, which may be cut, and which is nil unless the body's type is XML or
	// JSON.
	Classify(req *http.Request, head []byte) Class

	// Apply puts the session on a request that belongs to the transport. Only
	// the header may be changed, and its values by assignment or Set: the
	// slices are still those of the caller.
	Apply(req *http.Request, s *Session) error

	// Expired tells whether the response says that the session is gone.
	// Response.Request is set. Expired may replace the response's body, but the
	// new one must read the same, byte for byte, and close the old one.
	Expired(resp *http.Response) Verdict
}

// A Class tells [Transport] what to do with a request to its endpoint.
type Class int

const (
	Normal       Class = iota // send it with the session
	Anonymous                 // needs no session: send it as it is
	OwnLogin                  // a login by the caller's own code
	OwnLogout                 // ends the session: send it with the session, if any, then forget that
	SessionBound              // needs what lives in one session: never send it again in another
)

// A Verdict is an answer to the question whether a session is gone.
type Verdict int

const (
	No      Verdict = iota // the response says nothing of the kind
	Yes                    // the session is gone
	Perhaps                // Probe decides
)

// Defaults has the methods of an [Authenticator] that most protocols need no
// other version of.
type Defaults struct{}

// Classify says Normal.
func (Defaults) Classify(*http.Request, []byte) Class { return Normal }

// Probe cannot tell and therefore takes the session for dead: the verdict
// [Perhaps] then leads to a login. Config.KeepAlive needs a Probe that asks, and
// does nothing without.
func (Defaults) Probe(context.Context, http.RoundTripper, *url.URL, *Session) error {
	return errNoProbe
}

var errNoProbe = fmt.Errorf("%w as far as can be told: the Authenticator has no Probe that asks", ErrNoSession)

// Apply sets the session's headers and cookies, replacing those of the same
// name that the caller set. Others of the caller stay. A header whose values are
// nil and a cookie with a negative MaxAge are deleted from the request.
func (Defaults) Apply(req *http.Request, s *Session) error {
	callers := req.Header["Cookie"]
	for name, values := range s.Header {
		if values == nil {
			delete(req.Header, name)
			continue
		}
		req.Header[name] = values
	}
	if s.line != nil && callers == nil {
		req.Header["Cookie"] = s.line
		return nil
	}
	if len(s.Cookies) > 0 {
		delete(req.Header, "Cookie")
		if line := cookieHeader(callers, s.Cookies); line != "" {
			req.Header["Cookie"] = []string{line}
		}
	}
	return nil
}

// cookieHeader is the caller's Cookie header less the cookies that the session
// has too, followed by those of the session.
func cookieHeader(callers []string, session []*http.Cookie) string {
	var b strings.Builder
	add := func(pair string) {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(pair)
	}
	for _, line := range callers {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !hasCookie(session, strings.TrimSpace(name)) {
				add(pair)
			}
		}
	}
	for _, c := range session {
		if c.MaxAge < 0 {
			continue
		}
		add((&http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}).String())
	}
	return b.String()
}

func hasCookie(cookies []*http.Cookie, name string) bool {
	for _, c := range cookies {
		if c.Name == name {
			return true
		}
	}
	return false
}
