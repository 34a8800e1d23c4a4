package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The names of go-vcloud-director: AuthorizationHeader and BearerTokenHeader.
const (
	authorizationHeader = "X-Vcloud-Authorization"
	bearerTokenHeader   = "X-Vmware-Vcloud-Access-Token"
)

// A client makes requests as go-vcloud-director v3.1.1 does: the same methods,
// paths, headers and kinds of bodies, in the same order. It has of that library
// only what a transport below it gets to see.
type client struct {
	http       http.Client // a value, as there; only its Transport is replaced
	endpoint   string      // without a path
	apiVersion string
	authHeader string // that carries token
	token      string
	sysAdmin   bool
	loginURL   string       // of GET /api/versions, which is asked for once
	requests   atomic.Int64 // counted for X-VMWARE-VCLOUD-CLIENT-REQUEST-ID
}

// newClient returns a client of the default version, 37.0.
func newClient(endpoint string, base http.RoundTripper) *client {
	return &client{endpoint: endpoint, apiVersion: "37.0", http: http.Client{Transport: base, Timeout: 10 * time.Minute}}
}

// setToken takes a token instead of logging in, and tries it.
func (c *client) setToken(org, header, token string) error {
	c.authHeader, c.token = header, token // before the versions: that request carries it too
	if err := c.versions(); err != nil {
		return err
	}
	c.sysAdmin = strings.EqualFold(org, "system") // nobody asks the server
	_, err := c.do(c.xmlRequest(http.MethodGet, c.endpoint+"/api/org", "", nil))
	return err
}

// versions asks for the API versions, unless they are known.
func (c *client) versions() error {
	if c.loginURL != "" {
		return nil
	}
	text, err := c.do(c.xmlRequest(http.MethodGet, c.endpoint+"/api/versions", "", nil))
	if err != nil {
		return err
	}
	var doc struct {
		Info []struct{ Version, LoginUrl string } `xml:"VersionInfo"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return err
	}
	for _, v := range doc.Info {
		if v.Version == c.apiVersion {
			c.loginURL = v.LoginUrl
			return nil
		}
	}
	return fmt.Errorf("API version %s is not supported", c.apiVersion)
}

// authenticate is the login of the library itself, which has no place above a
// transport that logs in.
func (c *client) authenticate(user, password, org string) error {
	if err := c.versions(); err != nil {
		return err
	}
	if strings.EqualFold(org, "system") {
		c.loginURL += "/provider"
	}
	req, err := c.xmlRequest(http.MethodPost, c.loginURL, "", nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user+"@"+org, password)
	req.Header.Add("Accept", "application/*;version="+c.apiVersion)
	_, err = c.do(req, nil)
	return err
}

// disconnect deletes the login URL, not the session; two headers go out twice.
func (c *client) disconnect() error {
	req, err := c.xmlRequest(http.MethodDelete, c.loginURL, "", nil)
	if err != nil {
		return err
	}
	req.Header.Add("Accept", "application/xml;version="+c.apiVersion)
	req.Header.Add(c.authHeader, c.token)
	_, err = c.do(req, nil)
	return err
}

// xmlRequest makes a request of the XML API; url may be anywhere.
func (c *client) xmlRequest(method, url, contentType string, body []byte) (*http.Request, error) {
	req, err := c.request(method, url, body, "application/*+xml")
	if err == nil && contentType != "" {
		req.Header.Add("Content-Type", contentType)
	}
	return req, err
}

// openAPIRequest makes a request of the OpenAPI, which has a Content-Type even
// without a body.
func (c *client) openAPIRequest(method, url string, body []byte) (*http.Request, error) {
	req, err := c.request(method, url, body, "application/json")
	if err == nil {
		req.Header.Add("Content-Type", "application/json")
	}
	return req, err
}

// request makes a request without a context. Its body is in a bytes.Reader, so
// that net/http sets GetBody. Without a token it has no Accept header; one of 32
// characters at most is taken for a token of the older kind.
func (c *client) request(method, url string, body []byte, accept string) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, url, reader)
	if err != nil {
		return nil, err
	}
	if c.authHeader != "" && c.token != "" {
		req.Header.Add(c.authHeader, c.token)
		req.Header.Add("Accept", accept+";version="+c.apiVersion)
	}
	if len(c.token) > 32 {
		req.Header.Add("X-Vmware-Vcloud-Token-Type", "Bearer")
		req.Header.Add("Authorization", "bearer "+c.token)
	}
	req.Header.Set("User-Agent", "go-vcloud-director")
	req.Header.Set("X-VMWARE-VCLOUD-CLIENT-REQUEST-ID", strconv.FormatInt(c.requests.Add(1), 10))
	return req, nil
}

// do returns the body of a response of 2xx or 302; others are errors.
func (c *client) do(req *http.Request, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusFound {
		err = fmt.Errorf("API Error: %s", resp.Status)
	}
	return text, err
}
