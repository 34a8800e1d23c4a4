package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/internal/envelope"
)

const success = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><CurrentTimeResponse xmlns="urn:vim25"><returnval>2026-03-01T12:00:00Z</returnval></CurrentTimeResponse></soap:Body></soap:Envelope>`

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A body counts what is read and how often it is closed.
type body struct {
	io.Reader
	read   int64
	closed atomic.Int32
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	return n, err
}

func (b *body) Close() error { b.closed.Add(1); return nil }

// answer is one response to everything; headers are lines like "Name: value".
func answer(status int, b io.ReadCloser, headers ...string) roundTripper {
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: h, Body: b, Request: req}, nil
	}
}

func do(rt http.RoundTripper) (*envelope.Reply, error) {
	u, err := url.Parse("https://jo:s3cr3t@vc.example:8443/sdk?s3cr3t")
	if err != nil {
		return nil, err
	}
	c := envelope.Call{URL: u, Stage: "LoginByToken", Action: "urn:vim25/8.0.3.0", Message: []byte("<message/>")}
	return c.Do(context.Background(), rt)
}

func send(status int, contentType, message string) (*envelope.Reply, error) {
	return do(answer(status, io.NopCloser(strings.NewReader(message)), "Content-Type: "+contentType))
}

func TestRequestIsExactlyOneSOAPCall(t *testing.T) {
	var got []*http.Request
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		got, sent = append(got, req), append(sent, string(b))
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		http.SetCookie(w, &http.Cookie{Name: "vmware_soap_session", Value: "new"})
		_, _ = io.WriteString(w, success)
	}))
	defer server.Close()
	u, err := url.Parse(server.URL + "/sdk")
	if err != nil {
		t.Fatal(err)
	}
	c := envelope.Call{URL: u, Stage: "CurrentTime", Action: "urn:vim25/8.0.3.0", Message: []byte("<message/>"),
		Cookies: []*http.Cookie{{Name: "vmware_soap_session", Value: "old"}, {Name: "b", Value: "2"}}}
	reply, err := c.Do(context.Background(), http.DefaultTransport)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %d requests, %v, want one", len(got), err)
	}
	req := got[0]
	if req.Method != "POST" || req.URL.Path != "/sdk" || req.ContentLength != 10 || sent[0] != "<message/>" {
		t.Errorf("got %s %s, %d bytes: %q", req.Method, req.URL, req.ContentLength, sent[0])
	}
	want := http.Header{
		"Content-Type":    {"text/xml; charset=utf-8"},
		"Soapaction":      {`"urn:vim25/8.0.3.0"`},
		"Cookie":          {"vmware_soap_session=old; b=2"},
		"Content-Length":  {"10"},
		"Accept-Encoding": {"gzip"},               // by net/http
		"User-Agent":      {"Go-http-client/1.1"}, // by net/http
	}
	if diff := cmp.Diff(want, req.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if reply.Status != 200 || reply.Body == nil || reply.Body.Tag != "CurrentTimeResponse" || reply.Fault != nil || string(reply.Message) != success {
		t.Errorf("got %+v", reply)
	}
	if len(reply.Cookies) != 1 || reply.Cookies[0].Name != "vmware_soap_session" || reply.Cookies[0].Value != "new" {
		t.Errorf("got the cookies %v, want the new one", reply.Cookies)
	}
	if got := envelope.Find(reply.Body, "returnval"); got != "2026-03-01T12:00:00Z" {
		t.Errorf("returnval: got %q", got)
	}
}

func TestRedirectIsNotFollowedWithCredentials(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	location := strings.Replace(other.URL, "http://", "http://jo:s3cr3t@", 1) + "/s3cr3t?ticket=s3cr3t#s3cr3t"
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.Header().Set("Content-Type", "text/xml")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, success)
		}))
		u, _ := url.Parse(server.URL)
		_, err := (&envelope.Call{URL: u, Stage: "Issue", Message: []byte("<password/>")}).Do(context.Background(), http.DefaultTransport)
		server.Close()
		var le *vmsso.LoginError
		if !errors.As(err, &le) || le.Status != status || !strings.Contains(err.Error(), "redirected to "+strings.TrimPrefix(other.URL, "http://")+",") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%d: got %v, want an error that names the host alone", status, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the other host got %d requests, want none", n)
	}
	for _, location := range []string{"", "/s3cr3t", "https:s3cr3t", "%zz-s3cr3t", "?s3cr3t"} {
		_, err := do(answer(302, http.NoBody, "Location: "+location))
		if err == nil || !strings.Contains(err.Error(), "redirected to another path") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("Location %q: got %v, want an error without it", location, err)
		}
	}
}

// What comes back in place of a SOAP message.
func TestAnswersThatAreNoSuccessSayWhatIsWrong(t *testing.T) {
	const xml = "Content-Type: text/xml; charset=utf-8"
	tests := []struct {
		name    string
		status  int
		body    string
		headers []string
		say     string
		is      error
		retry   time.Duration
	}{
		{"a login page", 200, "<html>s3cr3t</html>", []string{"Content-Type: text/html; charset=utf-8"}, `no SOAP message but "text/html": is this URL right`, nil, 0},
		{"JSON", 401, `{"s3cr3t":1}`, []string{"Content-Type: application/json"}, `no SOAP message but "application/json"`, nil, 0},
		{"a text", 200, "s3cr3t", []string{"Content-Type: text/plain"}, `no SOAP message but "text/plain"`, nil, 0},
		{"nothing there", 404, "<html>s3cr3t</html>", []string{"Content-Type: text/html"}, `nothing is served at "`, nil, 0},
		{"a date", 503, "", []string{"Date: Sun, 01 Mar 2026 12:00:00 GMT", "Retry-After: Sun, 01 Mar 2026 12:02:00 GMT"}, "no SOAP message", nil, 2 * time.Minute},
		{"no type", 200, success, nil, `no SOAP message but ""`, nil, 0},
		{"a broken type", 200, success, []string{"Content-Type: ;;"}, `no SOAP message but ""`, nil, 0},
		{"MTOM", 200, success, []string{"Content-Type: multipart/related; boundary=a; type=\"application/xop+xml\""}, `no SOAP message but "multipart/related"`, nil, 0},
		{"a long type", 200, success, []string{"Content-Type: a/" + strings.Repeat("b", 5000)}, strings.Repeat("b", 100), nil, 0},
		{"full", 503, "<html>busy</html>", []string{"Content-Type: text/html", "Retry-After: 30"}, `no SOAP message but "text/html"`, nil, 30 * time.Second},
		{"full, in XML", 503, "<a/>", []string{xml, "Retry-After: 30"}, "no SOAP message", nil, 30 * time.Second},
		{"full of sessions", 503, "Out of HTTP sessions: Limited to 2000", []string{"Content-Type: text/plain", "Retry-After: 60"}, vmsso.ErrSessionLimit.Error(), vmsso.ErrSessionLimit, time.Minute},
		{"full of sessions, without a type", 503, "Out of HTTP sessions", nil, vmsso.ErrSessionLimit.Error(), vmsso.ErrSessionLimit, 0},
		{"those words with another status", 500, "Out of HTTP sessions", []string{"Content-Type: text/plain"}, "no SOAP message", nil, 0},
		{"too many requests", 429, "", []string{"Retry-After: 5"}, "no SOAP message", nil, 5 * time.Second},
		{"Retry-After without end", 429, "", []string{"Retry-After: 99999999999999999999"}, "no SOAP message", nil, time.Hour},
		{"Retry-After in the past", 503, "", []string{"Retry-After: -5"}, "no SOAP message", nil, 0},
		{"Retry-After that is none", 503, "", []string{"Retry-After: soon"}, "no SOAP message", nil, 0},
		{"Retry-After of another status", 500, "", []string{"Retry-After: 5"}, "no SOAP message", nil, 0},
		{"an empty answer", 200, "", []string{xml}, "the answer is no SOAP message", nil, 0},
		{"white space", 200, " \r\n", []string{xml}, "the answer is no SOAP message", nil, 0},
		{"not XML", 200, "s3cr3t <", []string{xml}, "not well-formed XML", nil, 0},
		{"cut", 200, success[:len(success)-20], []string{xml}, "not well-formed XML", nil, 0},
		{"cut in a tag", 200, success[:60], []string{xml}, "not well-formed XML", nil, 0},
		{"another document", 200, "<s3cr3t/>", []string{xml}, "no SOAP message", nil, 0},
		{"no Body", 200, "<Envelope/>", []string{xml}, "Body is empty", nil, 0},
		{"an empty Body", 200, "<Envelope><Body> </Body></Envelope>", []string{xml}, "Body is empty", nil, 0},
		{"a document type", 200, `<!DOCTYPE a [<!ENTITY s3cr3t "b">]>` + success, []string{xml}, "document type declaration", nil, 0},
		{"an external entity", 200, `<!DOCTYPE a SYSTEM "http://s3cr3t">` + success, []string{xml}, "document type declaration", nil, 0},
		{"an entity that nobody declared", 200, strings.Replace(success, "2026", "&s3cr3t;", 1), []string{xml}, "not well-formed XML", nil, 0},
		{"UTF-16", 200, "\xff\xfe<\x00a\x00/\x00>\x00", []string{xml}, "not well-formed XML", nil, 0},
		{"a success with the status of an error", 500, success, []string{xml}, "neither success nor a SOAP fault", nil, 0},
		{"a success with the status 202", 202, success, []string{xml}, "neither success nor a SOAP fault", nil, 0},
	}
	for _, tt := range tests {
		b := &body{Reader: strings.NewReader(tt.body)}
		reply, err := do(answer(tt.status, b, tt.headers...))
		var le *vmsso.LoginError
		if reply != nil || !errors.As(err, &le) {
			t.Errorf("%s: got %+v, %v, want a LoginError", tt.name, reply, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.say) || tt.is != nil && !errors.Is(err, tt.is) || le.RetryAfter != tt.retry {
			t.Errorf("%s: got %q, retry after %v, want %q, %v, %v", tt.name, err, le.RetryAfter, tt.say, tt.is, tt.retry)
		}
		if le.Endpoint != "vc.example:8443" || le.Stage != "LoginByToken" || le.Status != tt.status {
			t.Errorf("%s: got endpoint %q, stage %q, status %d", tt.name, le.Endpoint, le.Stage, le.Status)
		}
		if strings.Contains(err.Error(), "s3cr3t") || len(err.Error()) > 600 {
			t.Errorf("%s: the error quotes too much: %q", tt.name, err)
		}
		if n := b.closed.Load(); n != 1 {
			t.Errorf("%s: the response's body was closed %d times, want once", tt.name, n)
		}
	}
}

func TestTypesThatSOAPServersSend(t *testing.T) {
	for _, contentType := range []string{"text/xml", "text/xml; charset=utf-8", `TEXT/XML;charset="UTF-8"`, "application/soap+xml; charset=utf-8; action=a", "application/xml"} {
		b := &body{Reader: strings.NewReader(success)}
		reply, err := do(answer(200, b, "Content-Type: "+contentType))
		if err != nil || reply.Body == nil || b.closed.Load() != 1 {
			t.Errorf("%s: got %+v, %v, closed %d times, want a reply and one Close", contentType, reply, err, b.closed.Load())
		}
	}
}

// A fault is an answer, whatever the status.
func TestFaultIsAReplyAndNoError(t *testing.T) {
	message := strings.Replace(soap11Fault, "%", "<faultcode>a:b</faultcode>", 1)
	for _, status := range []int{200, 400, 401, 500, 503} {
		reply, err := send(status, "text/xml", message)
		if err != nil || reply.Fault == nil || reply.Fault.Code != "b" || reply.Body != nil || reply.Status != status {
			t.Errorf("%d: got %+v, %v, want a fault", status, reply, err)
		}
	}
}

// endless is an answer of 10 GB.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	for i := range n {
		p[i] = ' '
	}
	e.left -= int64(n)
	return n, nil
}

func TestAnswerWithoutEndIsNotReadToItsEnd(t *testing.T) {
	b := &body{Reader: &endless{10 << 30}}
	_, err := do(answer(200, b, "Content-Type: text/xml"))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("longer than %d bytes", call.MaxReply)) {
		t.Errorf("got %v, want an error that names the limit", err)
	}
	if b.read > call.MaxReply+1 || b.closed.Load() != 1 {
		t.Errorf("%d bytes were read, closed %d times, want %d at most and one Close", b.read, b.closed.Load(), call.MaxReply+1)
	}
	most := success + strings.Repeat(" ", call.MaxReply-len(success))
	if reply, err := send(200, "text/xml", most); err != nil || reply.Body == nil {
		t.Errorf("an answer of just the limit: got %v", err)
	}
}

var errReset = errors.New("connection reset by peer")

func TestAnswerThatBreaksOffIsAnError(t *testing.T) {
	b := &body{Reader: io.MultiReader(strings.NewReader(success), &failing{})}
	reply, err := do(answer(200, b, "Content-Type: text/xml"))
	var le *vmsso.LoginError
	if reply != nil || !errors.As(err, &le) || le.Status != 200 || !errors.Is(err, errReset) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("got %+v, %v, want a LoginError that wraps the cause", reply, err)
	}
	if b.closed.Load() != 1 {
		t.Errorf("closed %d times, want once", b.closed.Load())
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errReset }

func TestNetworkErrorIsALoginError(t *testing.T) {
	reply, err := do(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errReset }))
	var le *vmsso.LoginError
	if reply != nil || !errors.As(err, &le) || le.Status != 0 || le.Endpoint != "vc.example:8443" || le.Stage != "LoginByToken" || !errors.Is(err, errReset) {
		t.Errorf("got %+v, %v, want a LoginError that wraps the cause", reply, err)
	}
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("the error quotes the URL: %q", err)
	}
}

func TestCallIsSentUnderTheCallersContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errReset)
	c := envelope.Call{URL: &url.URL{Scheme: "https", Host: "vc.example"}, Stage: "Issue"}
	_, err := c.Do(ctx, roundTripper(func(req *http.Request) (*http.Response, error) { return nil, context.Cause(req.Context()) }))
	if !errors.Is(err, errReset) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

// vcsim names no type, which net/http then takes for text.
func TestSoapMessageOfAnUnknownTypeIsRead(t *testing.T) {
	reply, err := do(answer(200, &body{Reader: strings.NewReader(success)}, "Content-Type: text/plain; charset=utf-8"))
	if err != nil || reply.Body == nil || reply.Body.Tag != "CurrentTimeResponse" {
		t.Errorf("got %v, %v, want the message", reply, err)
	}
}

func TestErrorsTellHowTheServersClockStands(t *testing.T) {
	date := time.Now().Add(-12 * time.Minute).UTC().Format(http.TimeFormat)
	c := &envelope.Call{URL: &url.URL{Scheme: "https", Host: "vc.example.test"}, Stage: "Issue"}
	fault := `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>InvalidTimeRange</faultcode><faultstring>too late</faultstring></Fault></Body></Envelope>`
	reply, err := c.Do(t.Context(), answer(500, &body{Reader: strings.NewReader(fault)}, "Content-Type: text/xml", "Date: "+date))
	if err != nil {
		t.Fatal(err)
	}
	le := c.Fail(reply, vmsso.ErrClockSkew)
	if off := (le.ClockOffset + 12*time.Minute).Abs(); off > 2*time.Second || !strings.Contains(le.Error(), "the server's clock is 1") || !strings.Contains(le.Error(), "behind") {
		t.Errorf("offset %v, %q, want 12 minutes behind", le.ClockOffset, le)
	}
}
