// Package endpoint checks the URLs that credentials are sent to, and compares
// their origins.
package endpoint

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Parse reads an absolute https URL; plain http is for loopback hosts, unless
// allowHTTP. The errors begin with name, which says where the URL was set, and
// do not quote what may hold a password.
func Parse(name, s string, allowHTTP bool) (*url.URL, error) {
	if s == "" {
		return nil, fmt.Errorf("%s is missing: give a URL such as https://vcenter.example.com", name)
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL: give one such as https://vcenter.example.com", name)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("%s has a user name or password in it: credentials belong to the token source", name)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s names no host: give a URL such as https://vcenter.example.com", name)
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return nil, fmt.Errorf("%s has a host that is not ASCII: give its other form, which begins with xn--, here and in requests", name)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s (host %s) has a query or fragment: leave it out", name, u.Host)
	case u.Scheme == "https", u.Scheme == "http" && (allowHTTP || loopback(u.Hostname())):
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("%s (host %s) is plain http, on which everybody on the way can read the credentials: use https", name, u.Host)
	}
	return nil, fmt.Errorf("%s (host %s) has the scheme %q: use https", name, u.Host, u.Scheme)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}
