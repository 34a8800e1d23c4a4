package vcloud

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/internal/endpoint"
)

const (
	versionsPath = "/api/versions"
	legacyLogin  = "/api/sessions"
)

// versions are what a system offers, the lowest first.
type versions []offer

// An offer is one API version.
type offer struct {
	text               string
	number             []int
	deprecated         bool
	loginURL, provider string
}

// getVersions asks the system for its versions.
func getVersions(ctx context.Context, rt http.RoundTripper, system *url.URL) (versions, error) {
	c := &call.Call{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: system.Scheme, Host: system.Host, Path: versionsPath},
		Stage:  "GET " + versionsPath,
		Header: http.Header{"Accept": {"text/xml, application/xml;q=0.9, */*;q=0.8"}},
	}
	reply, err := c.Do(ctx, rt)
	if err != nil {
		return nil, err
	}
	if reply.Status >= 400 {
		return nil, c.Fail(reply, errors.New("the server does not tell its API versions: is this a Cloud Director?"))
	}
	v, err := parseVersions(reply.Body)
	if err != nil {
		return nil, c.Unexpected(reply, "list of API versions", reply.Header.Get("Content-Type"))
	}
	return v, nil
}

// parseVersions reads the document SupportedVersions. Alpha versions, which are
// elements of another name, and what is no version are left out.
func parseVersions(text []byte) (versions, error) {
	var doc struct {
		XMLName     xml.Name `xml:"SupportedVersions"`
		VersionInfo []struct {
			Deprecated       string `xml:"deprecated,attr"`
			Version          string `xml:"Version"`
			LoginURL         string `xml:"LoginUrl"`
			ProviderLoginURL string `xml:"ProviderLoginUrl"`
		} `xml:"VersionInfo"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	var v versions
	for _, info := range doc.VersionInfo {
		text := strings.TrimSpace(info.Version)
		if n, ok := parseVersion(text); ok {
			v = append(v, offer{text, n, info.Deprecated == "true", strings.TrimSpace(info.LoginURL), strings.TrimSpace(info.ProviderLoginURL)})
		}
	}
	if len(v) == 0 {
		return nil, errors.New("no versions")
	}
	slices.SortStableFunc(v, func(a, b offer) int { return compare(a.number, b.number) })
	return v, nil
}

// parseVersion reads two or three numbers with points between them.
func parseVersion(s string) (n []int, ok bool) {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		i, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, false
		}
		n = append(n, int(i))
	}
	return n, len(n) == 2 || len(n) == 3
}

// compare orders versions by the rule of the package's documentation.
func compare(a, b []int) int {
	if a, b := automation9(a), automation9(b); a != b {
		if a {
			return 1
		}
		return -1
	}
	return slices.Compare(a, b)
}

// automation9 tells whether a version is one of VCF Automation 9.
func automation9(n []int) bool { return len(n) == 3 || n[0] == 9 && n[1] > 0 }

// choose finds out where to log in, and by which version.
func (a *Authenticator) choose(known versions, system *url.URL) (login, error) {
	o, err := a.version(known)
	if err != nil {
		return login{}, err
	}
	if a.LoginPath != "" {
		return login{a.LoginPath, o.text}, nil
	}
	at := o.loginURL
	if a.Org == "" || strings.EqualFold(a.Org, "system") {
		at = cmp.Or(o.provider, o.loginURL)
	}
	u, err := url.Parse(at)
	if err != nil || at == "" {
		return login{}, fmt.Errorf("version %s has no usable login URL: set LoginPath", o.text)
	}
	there, ok := endpoint.OriginOf(u)
	if here, _ := endpoint.OriginOf(system); !ok || there != here {
		return login{}, fmt.Errorf("the login URL is on another origin, %q, to which the token is not sent: use that one as Config.Endpoint, or set LoginPath", call.Quote(u.Scheme+"://"+u.Host))
	}
	return login{u.Path, o.text}, nil
}

// version chooses an offer.
func (a *Authenticator) version(known versions) (offer, error) {
	for _, o := range slices.Backward(known) {
		if o.text == a.Version || a.Version == "" && !o.deprecated {
			return o, nil
		}
	}
	if a.Version == "" {
		return known[len(known)-1], nil
	}
	var texts []string
	for _, o := range known {
		texts = append(texts, o.text)
	}
	return offer{}, fmt.Errorf("the system does not have the API version %q, but %s", a.Version, call.Quote(strings.Join(texts, ", ")))
}

// legacy is the way to log in that all versions before 38.0 have.
func (v versions) legacy() (login, bool) {
	for _, o := range slices.Backward(v) {
		if !automation9(o.number) && o.number[0] < 38 {
			return login{legacyLogin, o.text}, true
		}
	}
	return login{}, false
}

// refusal makes the error of a reply that is no success, with what the system
// says in an Error element or JSON object.
func refusal(c *call.Call, reply *call.Reply, secrets ...string) *vmsso.LoginError {
	err := errors.New("the system refused")
	switch reply.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		err = vmsso.ErrRejected
	case http.StatusNotAcceptable:
		err = fmt.Errorf("the system does not take the version in %q", c.Header.Get("Accept"))
	}
	le := c.Fail(reply, err)
	if code, text := readError(reply.Body); code != "" || text != "" {
		le.Fault = call.Quote(strings.Trim(code+": "+text, ": "), secrets...)
	}
	return le
}
