package cookiejar

import (
	"cmp"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// origin is the scheme, host and port that cookies belong to (RFC 6454 section 4). Two URLs have the same origin if theirs are equal.
type origin struct {
	scheme string // "http" or "https"
	host   string // in lower case; an IPv6 address without brackets
	port   string // never empty
}

// originOf returns the origin of u, or false if u has none that could hold cookies. Hosts are compared as they are written, after case and
// the spelling of an IP address: no name is looked up, and a name with a trailing dot is another host.
func originOf(u *url.URL) (origin, bool) {
	if u == nil {
		return origin{}, false
	}
	o := origin{scheme: lower(u.Scheme), host: canonicalHost(u.Hostname()), port: u.Port()}
	switch {
	case o.host == "":
		return origin{}, false
	case o.scheme == "https":
		o.port = cmp.Or(o.port, "443")
	case o.scheme == "http":
		o.port = cmp.Or(o.port, "80")
	default:
		return origin{}, false
	}
	return o, true
}

// String returns o as a URL, such as https://vc.example.com:443.
func (o origin) String() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return o.scheme + "://" + host + ":" + o.port
}

// accept makes the entry for a cookie that a response of this origin has set; dir is the path for a cookie without one. It returns false
// for a cookie that must be ignored. An entry that is no longer live stands for a deletion.
func (o origin) accept(c *http.Cookie, dir string, now time.Time) (entry, bool) {
	if c == nil || !o.matches(c.Domain) {
		return entry{}, false
	}
	// http does not show who sent a Secure cookie, and it could only come back over https, which is another origin
	// (draft-ietf-httpbis-rfc6265bis section 5.7, step 13).
	if c.Secure && o.scheme != "https" {
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

// matches reports whether a cookie with this Domain attribute may be kept: without one, or with exactly this host. A leading dot is no part
// of it (RFC 6265 section 5.2.3).
func (o origin) matches(domain string) bool {
	return domain == "" || canonicalHost(strings.TrimPrefix(domain, ".")) == o.host
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

// canonicalHost returns the one spelling of a host name or IP address that origins are compared by.
func canonicalHost(host string) string {
	// An IPv6 zone is the name of an interface, whose case counts.
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return lower(host)
}

// lower is strings.ToLower for ASCII only: strings.ToLower makes an ASCII k of the Kelvin sign, and with it one host of two.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
