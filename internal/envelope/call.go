// Package envelope exchanges SOAP messages with the servers that a login talks
// to: it sends one, bounds and reads what comes back, and says what is wrong
// with it.
package envelope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso"
)

// MaxReply bounds a reply, decompressed, in bytes.
const MaxReply = 4 << 20

// Soap11 is the namespace of SOAP 1.1.
const Soap11 = "http://schemas.xmlsoap.org/soap/envelope/"

// A Call is one SOAP 1.1 request.
type Call struct {
	URL     *url.URL
	Stage   string // names the call in errors
	Action  string // SOAPAction, without quotes
	Message []byte
	Cookies []*http.Cookie
}

// A Reply is what the server answered: either Body or Fault is set.
type Reply struct {
	Status  int
	Header  http.Header
	Cookies []*http.Cookie
	Message []byte         // the whole message, as it came
	Body    *etree.Element // the element in the message's Body
	Fault   *Fault
}

// Do sends the call once. It follows no redirect. Each error is a
// [*vmsso.LoginError] whose stage is the call's.
func (c *Call) Do(ctx context.Context, rt http.RoundTripper) (*Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL.String(), bytes.NewReader(c.Message))
	if err != nil {
		return nil, c.fail(nil, err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", `"`+c.Action+`"`)
	for _, k := range c.Cookies {
		req.AddCookie(k)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, c.fail(nil, err)
	}
	defer resp.Body.Close()
	message, err := io.ReadAll(io.LimitReader(resp.Body, MaxReply+1))
	if err != nil {
		return nil, c.fail(resp, fmt.Errorf("the answer broke off: %w", err))
	}
	if len(message) > MaxReply {
		return nil, c.fail(resp, fmt.Errorf("the answer is longer than %d bytes", MaxReply))
	}
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, Cookies: resp.Cookies(), Message: message}
	if err := reply.read(); err != nil {
		return nil, c.fail(resp, err)
	}
	return reply, nil
}

// fail makes the error of a call that got no SOAP message in reply.
func (c *Call) fail(resp *http.Response, err error) error {
	le := &vmsso.LoginError{Endpoint: c.URL.Host, Stage: c.Stage, Err: err}
	if resp != nil {
		le.Status = resp.StatusCode
		if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests {
			s, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			le.RetryAfter = time.Duration(min(max(s, 0), 3600)) * time.Second
		}
	}
	return le
}

// read finds the Body's element or the fault in the reply.
func (r *Reply) read() error {
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case r.Status >= 300 && r.Status < 400:
		return fmt.Errorf("redirected to %s, which is not followed with credentials: give the final URL", target(r.Header))
	case r.Status == http.StatusServiceUnavailable && bytes.Contains(r.Message, []byte("Out of HTTP sessions")):
		return vmsso.ErrSessionLimit
	case mediaType != "text/xml" && mediaType != "application/soap+xml" && mediaType != "application/xml":
		return fmt.Errorf("no SOAP message but %q: is this URL right, or is a proxy or login page in the way?", quote(mediaType, nil))
	}
	body, err := Parse(r.Message)
	switch {
	case err != nil:
		return err
	case body.Tag == "Fault":
		r.Fault = parseFault(body)
	case r.Status != http.StatusOK:
		return errors.New("neither success nor a SOAP fault")
	default:
		r.Body = body
	}
	return nil
}

// target names where a redirect goes by its host alone: paths and queries may
// hold secrets.
func target(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil || u.Host == "" {
		return "another path"
	}
	return quote(u.Host, nil)
}

// Parse returns the first element in the Body of a SOAP message. A document
// type declaration is refused.
func Parse(message []byte) (*etree.Element, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil {
		return nil, errors.New("the answer is not well-formed XML")
	}
	for _, t := range doc.Child {
		if _, ok := t.(*etree.Directive); ok {
			return nil, errors.New("the answer has a document type declaration")
		}
	}
	root := doc.Root()
	if root == nil || root.Tag != "Envelope" {
		return nil, errors.New("the answer is no SOAP message")
	}
	body := child(root, "Body")
	if body == nil || len(body.ChildElements()) == 0 {
		return nil, errors.New("the answer's Body is empty")
	}
	return body.ChildElements()[0], nil
}

// Find returns the text of the element at the path of local names below e, and
// "" if there is none.
func Find(e *etree.Element, path ...string) string {
	for _, tag := range path {
		if e = child(e, tag); e == nil {
			return ""
		}
	}
	return strings.TrimSpace(e.Text())
}
