// Package envelope exchanges SOAP messages with the servers that a login talks
// to: it sends one, reads what comes back, and says what is wrong with it.
package envelope

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
)

// Soap11 is the namespace of SOAP 1.1.
const Soap11 = "http://schemas.xmlsoap.org/soap/envelope/"

// Message returns a SOAP 1.1 message without a header. The body is XML.
func Message(body string) []byte {
	return []byte(`<soap:Envelope xmlns:soap="` + Soap11 + `"><soap:Body>` + body + `</soap:Body></soap:Envelope>`)
}

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
	Cookies []*http.Cookie
	Message []byte         // the whole message, as it came
	Body    *etree.Element // the element in the message's Body
	Fault   *Fault

	ClockOffset time.Duration // see [call.Reply]

	retryAfter time.Duration
}

// Do sends the call once, as [call.Call.Do] does.
func (c *Call) Do(ctx context.Context, rt http.RoundTripper) (*Reply, error) {
	req := &call.Call{Method: http.MethodPost, URL: c.URL, Stage: c.Stage, Body: c.Message, Header: http.Header{
		"Content-Type": {"text/xml; charset=utf-8"},
		"Soapaction":   {`"` + c.Action + `"`},
	}}
	for _, k := range c.Cookies {
		(&http.Request{Header: req.Header}).AddCookie(k)
	}
	reply, err := req.Do(ctx, rt)
	if err != nil {
		return nil, err
	}
	mediaType, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	switch mediaType {
	case "text/xml", "application/soap+xml", "application/xml", "text/plain": // the last is vcsim's, which sets none
	default:
		return nil, req.Unexpected(reply, "SOAP message", mediaType)
	}
	body, err := Parse(reply.Body)
	if err != nil && mediaType == "text/plain" {
		return nil, req.Unexpected(reply, "SOAP message", mediaType)
	}
	if err != nil {
		return nil, req.Fail(reply, err)
	}
	r := &Reply{Status: reply.Status, Cookies: reply.Cookies, Message: reply.Body, ClockOffset: reply.ClockOffset, retryAfter: req.Fail(reply, nil).RetryAfter}
	switch {
	case body.Tag == "Fault":
		r.Fault = parseFault(body)
	case r.Status != http.StatusOK:
		return nil, req.Fail(reply, errors.New("neither success nor a SOAP fault"))
	default:
		r.Body = body
	}
	return r, nil
}

// Fail makes the error of a call whose answer is of no use: a fault, which is
// quoted without the secrets, or something that is not understood. The reply is
// nil if nothing was sent.
func (c *Call) Fail(reply *Reply, err error, secrets ...string) *vmsso.LoginError {
	le := &vmsso.LoginError{Endpoint: c.URL.Host, Stage: c.Stage, Err: err}
	if reply == nil {
		return le
	}
	le.Status, le.ClockOffset, le.RetryAfter = reply.Status, reply.ClockOffset, reply.retryAfter
	if reply.Fault != nil {
		le.Fault = reply.Fault.String(secrets...)
	}
	return le
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
