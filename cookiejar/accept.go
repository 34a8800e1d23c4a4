package cookiejar

import (
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso/internal/endpoint"
)

// accept makes the entry for a cookie that a response of origin o has set; dir is the path for a cookie without one. It returns false
// for a cookie that must be ignored. An entry that is no longer live stands for a deletion.
func accept(o endpoint.Origin, c *http.Cookie, dir string, now time.Time) (entry, bool) {
	if c == nil || !allowed(o, c.Domain) {
		return entry{}, false
	}
	// http does not show who sent a Secure cookie, and it could only come back over https, which is another origin
	// (draft-ietf-httpbis-rfc6265bis section 5.7, step 13).
	if c.Secure && o.Scheme != "https" {
		return entry{}, false
	}
	kept := http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted, Path: c.Path,
		Secure: c.Secure, HttpOnly: c.HttpOnly, SameSite: c.SameSite}
	if !strings.HasPrefix(kept.Path, "/") {
		kept.Path = dir
	}
	// Valid also minds Expires and Domain, but a deletion may name any year, and a Domain that is an IPv6 address is one too.
	if kept.Valid() != nil || len(kept.Name)+len(kept.Value)+len(kept.Path) > maxSize {
		return entry{}, false
	}
	kept.Expires = expiry(c, now)
	return entry{cookie: kept, expires: kept.Expires}, true
}

// allowed reports whether a cookie with this Domain attribute may be kept: without one, or with exactly this host. A leading dot is no part
// of it (RFC 6265 section 5.2.3).
func allowed(o endpoint.Origin, domain string) bool {
	return domain == "" || o.HasHost(strings.TrimPrefix(domain, "."))
}

// expiry returns when c ends: now, if it is to be deleted; zero, if it lasts as long as the session. Max-Age goes before Expires
// (RFC 6265 section 5.3, step 3).
func expiry(c *http.Cookie, now time.Time) time.Time {
	switch {
	case c.MaxAge < 0:
		return now
	case c.MaxAge > 0:
		seconds := min(int64(c.MaxAge), int64(math.MaxInt64/time.Second)) // more would overflow and lie in the past
		return now.Add(time.Duration(seconds) * time.Second)
	default:
		return c.Expires
	}
}
