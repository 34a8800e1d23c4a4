package vmsso

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// A Session is what a login returned. It is immutable: neither the
// [Authenticator] that made it nor anybody else modifies it.
//
// Like a [Token], a Session never shows its secrets: not by any fmt verb, not
// in log/slog, and encoding one as JSON is an error.
type Session struct {
	Header  http.Header       // set on every request, with canonical names; a nil value deletes the header
	Cookies []*http.Cookie    // sent with every request; one with a negative MaxAge is deleted
	Values  map[string]string // what the protocol has to remember, such as its version
	Created time.Time         // when the login was made, by the local clock
	Expires time.Time         // a hint, zero if unknown: the server decides
	Raw     []byte            // what the server said of the session, for protocols whose users read it

	line     []string // the Cookie header of a request that has none of its own; nil: not made yet
	stored   string   // the ID under which it is in the store, empty: it is not
	restored bool     // it came from there
}

// ready returns a copy that does not make its Cookie header anew for each request.
func (s *Session) ready() *Session {
	r := *s
	if line := cookieHeader(nil, s.Cookies); line != "" {
		r.line = []string{line}
	}
	return &r
}

// kept returns a copy that is in the store.
func (s *Session) kept() *Session {
	k := *s
	k.stored = s.ID()
	return &k
}

// same tells whether both are one session, as far as its requests show. Either may
// come from the store.
func (s *Session) same(other *Session) bool {
	return other != nil && (s == other || s.ID() == other.ID())
}

// withCookies returns a copy of the session with the values of its cookies that
// an answer from there sets anew, or nil if none is. Other cookies are the caller's
// matter; one that is deleted shows when the server refuses the session.
func (s *Session) withCookies(set []*http.Cookie, from, endpoint *url.URL) *Session {
	var next *Session
	for _, c := range set {
		i := slices.IndexFunc(s.Cookies, func(old *http.Cookie) bool { return old.Name == c.Name && old.MaxAge >= 0 })
		if i < 0 || c.Value == s.Cookies[i].Value || !replaces(c, from, endpoint) {
			continue
		}
		if next == nil {
			copied := *s
			copied.Cookies = slices.Clone(s.Cookies)
			next = &copied
		}
		next.Cookies[i] = c
	}
	if next == nil {
		return nil
	}
	return next.ready()
}

// replaces tells whether a cookie is one with a value for the host and path that
// it came from (RFC 6265, section 5.3), and not for others below the same domain.
// Another service of the host may have a cookie of the same name for its own path,
// as PBM has: that one does not reach the endpoint, where the session was made.
func replaces(c *http.Cookie, from, endpoint *url.URL) bool {
	scope := c.Path
	if !strings.HasPrefix(scope, "/") {
		scope = path.Dir("/" + strings.TrimPrefix(from.Path, "/"))
	}
	return c.Value != "" && c.MaxAge >= 0 && (c.Expires.IsZero() || c.Expires.After(time.Now())) &&
		(c.Domain == "" || strings.EqualFold(strings.TrimPrefix(c.Domain, "."), from.Hostname())) &&
		covers(scope, from.Path) && covers(scope, endpoint.Path)
}

// covers tells whether a cookie for this path goes to that one too (RFC 6265,
// section 5.1.4).
func covers(scope, path string) bool {
	rest, below := strings.CutPrefix(path, strings.TrimSuffix(scope, "/"))
	return below && (rest == "" || rest[0] == '/')
}

// ID is a hash of the session's headers and cookies, fit for logs and for
// comparison. It does not reveal them.
func (s *Session) ID() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		fmt.Fprintf(h, "%q%q", name, s.Header[name])
	}
	for _, c := range s.Cookies {
		fmt.Fprintf(h, "%q=%q", c.Name, c.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Format writes the session's ID and age, whatever the verb.
func (s Session) Format(f fmt.State, verb rune) { fmt.Fprint(f, s.describe()) }

// LogValue describes the session by its ID.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.describe()) }

// MarshalJSON is an error: see [Token.MarshalJSON].
func (s Session) MarshalJSON() ([]byte, error) {
	return nil, errors.New("vmsso: a Session is a secret and is not encoded as JSON")
}

func (s *Session) describe() string {
	return fmt.Sprintf("Session(%s, created %s)", s.ID(), s.Created.UTC().Format(time.RFC3339))
}
