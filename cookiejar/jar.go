// Package cookiejar keeps the session cookies of one server: of one exact origin, which is a scheme, a host and a port.
//
//	a session that outlives its program             FileStore, as vmsso.Config.Store
//	a session that several processes share          FileStore, or a store of one's own
//	a vmsso.Authenticator of one's own              Jar, for the cookies of the login
//	a client that logs in by itself                 Jar, as http.Client.Jar
//
// The jar of net/http/cookiejar is made for browsers. It follows RFC 6265 in that cookies do not isolate by port, and it lets a server set
// cookies for a parent domain. A session cookie of a vCenter would then travel to every other service of that host and, when the server
// asks for it, of that domain. A [Jar] gives a cookie back only to the origin that set it.
package cookiejar

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmsso/vmsso/internal/endpoint"
)

const (
	// maxCookies bounds a jar. RFC 6265 section 6.1 asks for at least 50 cookies of a domain; a session needs one or two.
	maxCookies = 64
	// maxSize bounds the bytes of a cookie's name, value and path: the size that RFC 6265 section 6.1 asks for.
	maxSize = 4096
)

// Jar is an [http.CookieJar] for the cookies of one origin. All methods are safe for concurrent use.
//
// Cookies of and for any other origin are ignored. So are those that RFC 6265 does not allow, that name another domain than the host itself
// (also a parent of it), that are Secure but came over http, or whose name, value and path have more than 4096 bytes together. A jar holds
// at most 64 cookies. When it is full, further ones are ignored rather than old ones evicted: a session cookie keeps its name and is
// replaced in place, so what a flood would push out is the session itself.
//
// The zero Jar belongs to no origin and stays empty. However it is formatted or logged, a Jar shows its origin and the number of its
// cookies, never a name or a value.
type Jar struct {
	// contents returns what the jar holds, always the same: a copied Jar is the same jar, and Format can have a value receiver. nil for the
	// zero Jar. It is a function because fmt calls no methods on the unexported fields of a struct that it prints, yet looks behind a
	// pointer there when the verb does not suit it, as in %s. Of a function it never shows more than the address.
	contents func() *contents
}

// contents is what a Jar holds.
type contents struct {
	origin endpoint.Origin // immutable

	// mu guards the remaining fields.
	mu      sync.Mutex
	entries []entry // in the order of their creation; a replaced cookie keeps its place
}

// entry is a cookie as its server meant it: with a path, with the moment of expiry rather than an age, and without a domain, for all that
// a jar keeps is for one host.
type entry struct {
	cookie  http.Cookie
	expires time.Time // zero: the cookie lasts as long as the session
}

func (e *entry) live(now time.Time) bool { return e.expires.IsZero() || e.expires.After(now) }

var _ http.CookieJar = (*Jar)(nil)

// New returns an empty jar for the origin of the URL u; its path, query and user information do not count. With a nil URL, or one that
// has no host or is neither http nor https, the jar is like the zero Jar: it accepts nothing and returns nothing.
func New(u *url.URL) *Jar {
	o, ok := endpoint.OriginOf(u)
	if !ok {
		return &Jar{}
	}
	c := &contents{origin: o}
	return &Jar{contents: func() *contents { return c }}
}

// SetCookies keeps the cookies of a response from u. A cookie replaces the one of the same name and path; one that has expired, or whose
// MaxAge is negative, deletes it. The jar copies what it keeps.
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.setCookies(u, cookies, time.Now())
}

// setCookies is SetCookies at the time now.
func (j *Jar) setCookies(u *url.URL, cookies []*http.Cookie, now time.Time) {
	if !j.owns(u) {
		return
	}
	dir, s := defaultPath(u.Path), j.contents()

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range cookies {
		if e, ok := accept(s.origin, c, dir, now); ok {
			s.put(e, now)
		}
	}
}

// Cookies returns what to send with a request to u, with names and values only: the longest path first, among equals the oldest first
// (RFC 6265 section 5.4). It returns nil for another origin. The caller owns the result.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie {
	return j.cookies(u, time.Now())
}

// cookies is Cookies at the time now.
func (j *Jar) cookies(u *url.URL, now time.Time) []*http.Cookie {
	if !j.owns(u) {
		return nil
	}
	selected := slices.DeleteFunc(j.all(now), func(c *http.Cookie) bool { return !pathMatch(u.Path, c.Path) })
	slices.SortStableFunc(selected, func(a, b *http.Cookie) int { return len(b.Path) - len(a.Path) })
	var cookies []*http.Cookie
	for _, c := range selected {
		cookies = append(cookies, &http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted})
	}
	return cookies
}

// All returns every cookie that has not expired, with its attributes, in the order of their creation. It is meant for saving a session:
// SetCookies of a new jar for the same origin accepts them as they are. Path is always set, Domain never, and Expires stands in for MaxAge,
// so that a cookie does not live longer for having been saved. The caller owns the result, which, unlike the Jar, shows its secrets when
// it is printed.
func (j *Jar) All() []*http.Cookie {
	return j.all(time.Now())
}

// all is All at the time now.
func (j *Jar) all(now time.Time) []*http.Cookie {
	if j.contents == nil {
		return nil
	}
	s := j.contents()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purge(now)
	var cookies []*http.Cookie
	for _, e := range s.entries {
		cookies = append(cookies, &e.cookie) // e is a copy of each round: nobody else has this pointer
	}
	return cookies
}

// owns reports whether u belongs to the origin of j.
func (j *Jar) owns(u *url.URL) bool {
	if j.contents == nil {
		return false
	}
	o, ok := endpoint.OriginOf(u)
	return ok && o == j.contents().origin
}

// put replaces, deletes or adds e. The caller holds mu.
func (s *contents) put(e entry, now time.Time) {
	i := slices.IndexFunc(s.entries, func(old entry) bool {
		return old.cookie.Name == e.cookie.Name && old.cookie.Path == e.cookie.Path
	})
	switch {
	case !e.live(now) && i >= 0:
		s.entries = slices.Delete(s.entries, i, i+1)
	case !e.live(now):
	case i >= 0:
		s.entries[i] = e
	default:
		s.purge(now)
		if len(s.entries) < maxCookies {
			s.entries = append(s.entries, e)
		}
	}
}

// purge drops what has expired. The caller holds mu.
func (s *contents) purge(now time.Time) {
	s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return !e.live(now) })
}

// defaultPath is the path of a cookie that names none: the directory of the URL that set it (RFC 6265 section 5.1.4).
func defaultPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 && path[0] == '/' {
		return path[:i]
	}
	return "/"
}

// pathMatch reports whether a cookie with this path goes to a URL with the path request (RFC 6265 section 5.1.4): when it is the same, or a
// parent directory of it.
func pathMatch(request, path string) bool {
	if request == "" {
		request = "/"
	}
	rest, ok := strings.CutPrefix(request, path)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(path, "/"))
}
