// Package lookup finds the endpoints of a vCenter Server: those of vSphere
// Automation, of the security token service (STS) and of the SOAP API.
//
// They have well-known URLs, see [WellKnown], which are all that a single
// vCenter needs. Where the services of an SSO domain are on several hosts, its
// Lookup Service knows them: see [Client]. "Retrieve the vSphere Automation
// Endpoint URL from the Lookup Service" is the first step of VMware's document
// "Creating a vSphere Automation Session with a SAML Token".
package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/internal/endpoint"
	"github.com/vmsso/vmsso/internal/envelope"
)

// Endpoints are URLs, fit for Config.Endpoint of vmsso and STSConfig.URL of
// package tokensource.
type Endpoints struct {
	Automation string // JSON-RPC; REST is on the same host
	STS        string
	Vim        string // the SOAP API
}

// WellKnown returns the endpoints that every vCenter Server has. The host may
// have a port.
func WellKnown(host string) Endpoints {
	return Endpoints{
		Automation: "https://" + host + "/api",
		STS:        "https://" + host + "/sts/STSService",
		Vim:        "https://" + host + "/sdk",
	}
}

// Config says which Lookup Service to ask.
type Config struct {
	// URL of the Lookup Service, such as https://vcenter.example.com. The path
	// is /lookupservice/sdk if there is none. Required.
	URL string

	// Base sends the requests. Nil means http.DefaultTransport as it is when
	// New runs.
	Base http.RoundTripper

	// AllowHost tells whether an endpoint on another host than URL's may be
	// used. It is not asked for URL's own host. Nil means that none may: what is
	// returned is where tokens and passwords will be sent, and the Lookup
	// Service alone vouches for it. Its host may have a port.
	AllowHost func(host string) bool
}

// A Client asks a Lookup Service. It needs no credentials, and sends none. It is
// safe for concurrent use and keeps nothing: neither connections, which are
// Base's, nor answers.
type Client struct {
	url   *url.URL
	base  http.RoundTripper
	allow func(host string) bool
}

// New returns a Client. It sends nothing.
func New(cfg Config) (*Client, error) {
	u, err := endpoint.Parse("lookup: Config.URL", cfg.URL, false)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/lookupservice/sdk"
	}
	c := &Client{url: u, base: cfg.Base, allow: cfg.AllowHost}
	if c.base == nil {
		c.base = http.DefaultTransport
	}
	if c.allow == nil {
		c.allow = func(string) bool { return false }
	}
	return c, nil
}

// A service is what an endpoint is registered as.
type service struct {
	product, kind      string // of the service
	protocol, endpoint string // of the endpoint
}

var (
	automation = service{"com.vmware.cis", "cs.vapi", "vapi.json.https.public", "com.vmware.vapi.endpoint"}
	sts        = service{"com.vmware.cis", "cs.identity", "wsTrust", "com.vmware.cis.cs.identity.sso"}
	vim        = service{"com.vmware.cis", "vcenterserver", "vmomi", "com.vmware.vim"}
)

// Endpoints asks for the endpoints of the SSO domain. Of several that are
// registered for one service, it takes the one on the Lookup Service's own host
// or else the first that is allowed. The well-known URLs on that host stand for
// what is not registered, and for all if there is no Lookup Service (404).
//
// Errors are [*vmsso.LoginError], or say which hosts are not allowed.
func (c *Client) Endpoints(ctx context.Context) (*Endpoints, error) {
	e := WellKnown(c.url.Host)
	registration, err := c.registration(ctx)
	var le *vmsso.LoginError
	if errors.As(err, &le) && le.Status == http.StatusNotFound {
		return &e, nil
	}
	if err != nil {
		return nil, err
	}
	for _, want := range []struct {
		service
		at *string
	}{{automation, &e.Automation}, {sts, &e.STS}, {vim, &e.Vim}} {
		urls, err := c.list(ctx, registration, want.service)
		if err != nil {
			return nil, err
		}
		if *want.at, err = c.choose(urls, *want.at); err != nil {
			return nil, err
		}
	}
	return &e, nil
}

// choose takes one of the URLs, or the well-known one if there are none.
func (c *Client) choose(urls []string, wellKnown string) (string, error) {
	if len(urls) == 0 {
		return wellKnown, nil
	}
	var allowed string
	for _, s := range urls {
		u, err := endpoint.Parse("lookup: an endpoint", s, false)
		switch {
		case err != nil:
		case strings.EqualFold(u.Hostname(), c.url.Hostname()):
			return s, nil
		case allowed == "" && c.allow(u.Host):
			allowed = s
		}
	}
	if allowed == "" {
		return "", fmt.Errorf("lookup: the Lookup Service of %s knows %s only, which is on another host or no https URL: allow the host with Config.AllowHost if it is yours", c.url.Host, call.Quote(strings.Join(urls, ", ")))
	}
	return allowed, nil
}

const (
	action = "urn:lookup/2.0"

	retrieveServiceContent = `<RetrieveServiceContent xmlns="urn:lookup"><_this type="LookupServiceInstance">ServiceInstance</_this></RetrieveServiceContent>`
	listServices           = `<List xmlns="urn:lookup"><_this type="LookupServiceRegistration">%s</_this><filterCriteria>` +
		`<serviceType><product>%s</product><type>%s</type></serviceType>` +
		`<endpointType><protocol>%s</protocol><type>%s</type></endpointType></filterCriteria></List>`
)

// registration returns the name of the registry.
func (c *Client) registration(ctx context.Context) (string, error) {
	reply, err := c.call(ctx, retrieveServiceContent)
	if err != nil {
		return "", err
	}
	return cmp.Or(envelope.Find(reply.Body, "returnval", "serviceRegistration"), "ServiceRegistration"), nil
}

// list returns the URLs that are registered for a service.
func (c *Client) list(ctx context.Context, registration string, s service) (urls []string, err error) {
	reply, err := c.call(ctx, fmt.Sprintf(listServices, envelope.Text(registration), s.product, s.kind, s.protocol, s.endpoint))
	if err != nil {
		return nil, err
	}
	for _, info := range reply.Body.ChildElements() {
		for _, e := range info.ChildElements() {
			if e.Tag == "serviceEndpoints" && envelope.Find(e, "endpointType", "protocol") == s.protocol && envelope.Find(e, "endpointType", "type") == s.endpoint {
				urls = append(urls, envelope.Find(e, "url"))
			}
		}
	}
	return urls, nil
}

func (c *Client) call(ctx context.Context, body string) (*envelope.Reply, error) {
	call := &envelope.Call{URL: c.url, Stage: "Lookup", Action: action, Message: envelope.Message(body)}
	reply, err := call.Do(ctx, c.base)
	if err == nil && reply.Fault != nil {
		err = call.Fail(reply, errors.New("the Lookup Service answered with a fault"))
	}
	return reply, err
}
