package endpoint

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// An Origin is what credentials and cookies belong to (RFC 6454, section 4).
// Two URLs have the same origin if theirs are equal.
type Origin struct {
	Scheme string // http or https
	host   string // in lower case; an IPv6 address without brackets
	port   string // never empty
}

// OriginOf returns the origin of u, and false if it has none that credentials
// could go to. Hosts are compared as they are written, after case and the
// spelling of an IP address: no name is looked up, and a name with a trailing
// dot is another host.
func OriginOf(u *url.URL) (Origin, bool) {
	if u == nil {
		return Origin{}, false
	}
	o := Origin{Scheme: lower(u.Scheme), host: canonical(u.Hostname()), port: u.Port()}
	switch {
	case o.host == "":
		return Origin{}, false
	case o.Scheme == "https":
		o.port = cmp.Or(o.port, "443")
	case o.Scheme == "http":
		o.port = cmp.Or(o.port, "80")
	default:
		return Origin{}, false
	}
	return o, true
}

// String returns the origin as a URL, such as https://vc.example.com:443.
func (o Origin) String() string { return o.Scheme + "://" + net.JoinHostPort(o.host, o.port) }

// HasHost tells whether name is the origin's host.
func (o Origin) HasHost(name string) bool { return canonical(name) == o.host }

// canonical is the one spelling of a host name or IP address.
func canonical(host string) string {
	// An IPv6 zone is the name of an interface, whose case counts.
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return lower(host)
}

// lower is strings.ToLower for ASCII only, which makes an ASCII k of the Kelvin
// sign, and with it one host of two.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
