package rig

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// Stub is a base transport that costs nothing.
type Stub struct{ resp http.Response }

// NewStub returns one.
func NewStub() *Stub {
	return &Stub{http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}}
}

// RoundTrip returns the same response each time.
func (s *Stub) RoundTrip(*http.Request) (*http.Response, error) { return &s.resp, nil }

// Func is a function as an http.RoundTripper.
type Func func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f Func) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// The sessions of Header and Cookie.
const (
	SessionHeader = "Vmware-Api-Session-Id"
	SessionID     = "0123456789abcdef0123456789abcdef"
	SessionCookie = "vmware_soap_session"
)

// Header is an Authenticator with a session of one header, as REST has it.
type Header struct{ vmsso.Defaults }

// Login sends nothing.
func (Header) Login(context.Context, http.RoundTripper, *url.URL, *vmsso.Token) (*vmsso.Session, error) {
	return &vmsso.Session{Header: http.Header{SessionHeader: {strings.Clone(SessionID)}}}, nil
}

// Logout sends nothing.
func (Header) Logout(context.Context, http.RoundTripper, *url.URL, *vmsso.Session) error { return nil }

// Expired says No.
func (Header) Expired(*http.Response) vmsso.Verdict { return vmsso.No }

// Cookie is Header with a session of one cookie, as SOAP has it.
type Cookie struct{ Header }

// Login sends nothing.
func (Cookie) Login(context.Context, http.RoundTripper, *url.URL, *vmsso.Token) (*vmsso.Session, error) {
	return &vmsso.Session{Cookies: []*http.Cookie{{Name: SessionCookie, Value: strings.Clone(SessionID)}}}, nil
}

// NewTransport is a transport that is logged in, with the zero values of what a
// Config need not have.
func NewTransport(b *testing.B, cfg vmsso.Config) *vmsso.Transport {
	b.Helper()
	if cfg.Endpoint == "" {
		cfg.Endpoint = "https://vc.example.test"
	}
	if cfg.Source == nil {
		cfg.Source = tokensource.Static(Token())
	}
	tr, err := vmsso.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tr.Close() })
	if _, err := tr.Session(context.Background()); err != nil {
		b.Fatal(err)
	}
	return tr
}

// NewRequest is a request with so many headers, ten at most.
func NewRequest(headers int) *http.Request {
	req, err := http.NewRequest(http.MethodGet, "https://vc.example.test/api/vcenter/vm", nil)
	if err != nil {
		panic(err)
	}
	names := []string{"Accept", "User-Agent", "X-Request-Id", "Accept-Language", "Accept-Encoding", "Cache-Control", "If-None-Match", "Traceparent", "Tracestate", "X-Forwarded-For"}
	for _, name := range names[:headers] {
		req.Header[name] = []string{"0123456789"}
	}
	return req
}

// ByHand is the least that keeps the contract of http.RoundTripper: the caller's
// request is not modified.
func ByHand(rt http.RoundTripper) Func {
	session := []string{SessionID}
	return func(req *http.Request) (*http.Response, error) {
		r := new(http.Request)
		*r = *req
		r.Header = maps.Clone(req.Header)
		r.Header[SessionHeader] = session
		return rt.RoundTrip(r)
	}
}

// ByClone does it the usual way.
func ByClone(rt http.RoundTripper) Func {
	return func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.Header.Set(SessionHeader, SessionID)
		return rt.RoundTrip(req)
	}
}

// Canned answers the requests of logins and logouts as servers do, and hands on
// the others. It remembers nothing, so that what memory is taken is the client's.
type Canned struct{ Next http.RoundTripper }

// What it answers over SOAP.
const (
	beginning      = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`
	end            = `</soapenv:Body></soapenv:Envelope>`
	serviceContent = beginning + `<RetrieveServiceContentResponse xmlns="urn:vim25"><returnval><about><apiVersion>8.0.3.0</apiVersion></about>` +
		`<sessionManager type="SessionManager">SessionManager</sessionManager></returnval></RetrieveServiceContentResponse>` + end
	loggedIn  = beginning + `<LoginByTokenResponse xmlns="urn:vim25"></LoginByTokenResponse>` + end
	loggedOut = beginning + `<LogoutResponse xmlns="urn:vim25"></LogoutResponse>` + end
)

// RoundTrip implements http.RoundTripper.
func (c Canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/api/session" {
		if req.Method == http.MethodDelete {
			return answer(req, http.StatusNoContent, "", ""), nil
		}
		return answer(req, http.StatusCreated, "application/json", `"`+SessionID+`"`), nil
	}
	switch head := soapMessage(req); {
	case strings.Contains(head, "<RetrieveServiceContent "):
		return answer(req, http.StatusOK, "text/xml", serviceContent), nil
	case strings.Contains(head, "<LoginByToken "):
		resp := answer(req, http.StatusOK, "text/xml", loggedIn)
		resp.Header.Set("Set-Cookie", SessionCookie+`="`+SessionID+`"; Path=/; HttpOnly; Secure`)
		return resp, nil
	case strings.Contains(head, "<Logout "):
		return answer(req, http.StatusOK, "text/xml", loggedOut), nil
	}
	return c.Next.RoundTrip(req)
}

func answer(req *http.Request, status int, mediaType, body string) *http.Response {
	if req.Body != nil {
		req.Body.Close()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {mediaType}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}
}

// soapMessage is that of a call which the library makes itself: it sets no
// User-Agent.
func soapMessage(req *http.Request) string {
	if req.GetBody == nil || req.Header["User-Agent"] != nil {
		return ""
	}
	body, err := req.GetBody()
	if err != nil {
		return ""
	}
	text, _ := io.ReadAll(body) // of memory
	return string(text)
}
