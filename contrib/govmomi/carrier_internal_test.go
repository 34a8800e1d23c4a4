package vmssogovmomi

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vmware/govmomi/vim25/soap"
)

const (
	envelopeStart = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/">`
	mention       = `<Body><Note><vcSessionCookie>text</vcSessionCookie></Note></Body></Envelope>`
)

// TestCarrierPutsTheSessionIntoTheHeader: in is what govmomi wrote, want what
// leaves; both are between envelopeStart and mention.
func TestCarrierPutsTheSessionIntoTheHeader(t *testing.T) {
	for name, tt := range map[string]struct{ cookie, in, want string }{
		"as govmomi writes it":     {"s-1", `<Header><vcSessionCookie>` + placeholder + `</vcSessionCookie></Header>`, `<Header><vcSessionCookie>s-1</vcSessionCookie></Header>`},
		"the session before":       {"s-2", `<Header><vcSessionCookie>s-1</vcSessionCookie></Header>`, `<Header><vcSessionCookie>s-2</vcSessionCookie></Header>`},
		"empty":                    {"s-1", `<Header><vcSessionCookie></vcSessionCookie></Header>`, `<Header><vcSessionCookie>s-1</vcSessionCookie></Header>`},
		"no place for a text":      {"s-1", `<Header><vcSessionCookie/></Header>`, `<Header><vcSessionCookie/></Header>`},
		"after others":             {"s-1", `<Header><operationID>7</operationID><a><b/></a><vcSessionCookie>x</vcSessionCookie></Header>`, `<Header><operationID>7</operationID><a><b/></a><vcSessionCookie>s-1</vcSessionCookie></Header>`},
		"with prefix, attributes":  {"s-1", `<Header> <v:vcSessionCookie xmlns:v="urn:v" a='/'>x</v:vcSessionCookie ></Header>`, `<Header> <v:vcSessionCookie xmlns:v="urn:v" a='/'>s-1</v:vcSessionCookie ></Header>`},
		"what XML must escape":     {`a<b&c`, `<Header><vcSessionCookie>x</vcSessionCookie></Header>`, `<Header><vcSessionCookie>a&lt;b&amp;c</vcSessionCookie></Header>`},
		"in quotes, as of vCenter": {`"s-1"`, `<Header><vcSessionCookie>x</vcSessionCookie></Header>`, `<Header><vcSessionCookie>s-1</vcSessionCookie></Header>`},
		"escaped before":           {"s-1", `<Header><vcSessionCookie>&#34;x&amp;</vcSessionCookie></Header>`, `<Header><vcSessionCookie>s-1</vcSessionCookie></Header>`},
		"deeper in the header":     {"s-1", `<Header><a><vcSessionCookie>x</vcSessionCookie></a></Header>`, `<Header><a><vcSessionCookie>x</vcSessionCookie></a></Header>`},
		"not a text":               {"s-1", `<Header><vcSessionCookie><a/></vcSessionCookie></Header>`, `<Header><vcSessionCookie><a/></vcSessionCookie></Header>`},
		"another element":          {"s-1", `<Header><myCookie>x</myCookie></Header>`, `<Header><myCookie>x</myCookie></Header>`},
		"no header":                {"s-1", ``, ``},
		"no session":               {"", `<Header><vcSessionCookie>of the caller</vcSessionCookie></Header>`, `<Header><vcSessionCookie>of the caller</vcSessionCookie></Header>`},
		"no session, placeholder":  {"", `<Header><vcSessionCookie>` + placeholder + `</vcSessionCookie></Header>`, `<Header><vcSessionCookie></vcSessionCookie></Header>`},
		"placeholder as session":   {placeholder, `<Header><vcSessionCookie>` + placeholder + `</vcSessionCookie></Header>`, `<Header><vcSessionCookie></vcSessionCookie></Header>`},
		"no XML":                   {"s-1", `<Header><vcSessionCookie>x</Header>`, `<Header><vcSessionCookie>x</Header>`},
		"longer than what is read": {"s-1", `<Header><a>` + strings.Repeat("a", headBytes) + `</a><vcSessionCookie>x</vcSessionCookie></Header>`, `<Header><a>` + strings.Repeat("a", headBytes) + `</a><vcSessionCookie>x</vcSessionCookie></Header>`},
	} {
		in, want := envelopeStart+tt.in+mention, envelopeStart+tt.want+mention
		for kind, body := range map[string]io.Reader{
			"known":  strings.NewReader(in),
			"stream": iotest.HalfReader(strings.NewReader(in)), // as govmomi's: of unknown length, to be read once
		} {
			req := newRequest(t, "text/xml; charset=utf-8", body)
			if tt.cookie != "" {
				req.Header.Set("Cookie", "a=b; "+soap.SessionCookieName+"="+tt.cookie)
			}
			sent := send(t, req)
			if got := read(t, sent.Body); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", name, kind, got, want)
			}
			if kind == "stream" {
				if sent.ContentLength != 0 || sent.GetBody != nil {
					t.Errorf("%s, stream: length %d, GetBody: %t", name, sent.ContentLength, sent.GetBody != nil)
				}
				continue
			}
			again, err := sent.GetBody()
			if err != nil || sent.ContentLength != int64(len(want)) {
				t.Fatalf("%s: GetBody: %v; length %d, want %d", name, err, sent.ContentLength, len(want))
			}
			if got := read(t, again); got != want {
				t.Errorf("%s, again: got\n%s\nwant\n%s", name, got, want)
			}
		}
	}
}

// TestCarrierLeavesOthersAlone: what is no XML is not even read.
func TestCarrierLeavesOthersAlone(t *testing.T) {
	unread := iotest.ErrReader(errors.New("was read"))
	for _, kind := range []string{"", "application/json", "application/octet-stream", "text/xmlish"} {
		req := newRequest(t, kind, unread)
		if sent := send(t, req); sent.Body != req.Body {
			t.Errorf("%q: another body", kind)
		}
	}
	for _, kind := range []string{"text/xml", "Application/XML", "application/soap+xml; action=x"} {
		if _, err := carrierTo(new(http.Request)).RoundTrip(newRequest(t, kind, unread)); err == nil || err.Error() != "was read" {
			t.Errorf("%q: %v, want the error of the body", kind, err)
		}
	}
	if sent := send(t, newRequest(t, "text/xml", nil)); sent.Body != nil {
		t.Error("there is a body, where none was")
	}
}

// TestCarrierTakesThePlaceholderOut of the Cookie header, on a copy.
func TestCarrierTakesThePlaceholderOut(t *testing.T) {
	const ours = soap.SessionCookieName + "=" + placeholder
	for in, want := range map[string]string{
		ours:                         "",
		"a=b; " + ours:               "a=b",
		ours + ";c=d":                "c=d",
		"a=" + placeholder:           "a=" + placeholder, // somebody's own
		"vmware_soap_session=s-1":    "vmware_soap_session=s-1",
		ours + "; " + ours + "; x=y": "x=y",
	} {
		req := newRequest(t, "", nil)
		req.Header.Set("Cookie", in)
		sent := send(t, req)
		if got := sent.Header.Get("Cookie"); got != want || want == "" && sent.Header["Cookie"] != nil {
			t.Errorf("%s: got %q, want %q", in, sent.Header["Cookie"], want)
		}
		if got := req.Header.Get("Cookie"); got != in {
			t.Errorf("the caller's header is %s now", got)
		}
	}
}

// TestCarrierKeepsTheContract of http.RoundTripper.
func TestCarrierKeepsTheContract(t *testing.T) {
	in := envelopeStart + `<Header><vcSessionCookie>x</vcSessionCookie></Header>` + mention
	for name, unreadable := range map[string]bool{"sent": false, "cannot be read": true} {
		body := &closing{Reader: strings.NewReader(in)}
		if unreadable {
			body.Reader = io.MultiReader(strings.NewReader(in[:60]), iotest.ErrReader(io.ErrUnexpectedEOF))
		}
		req := newRequest(t, "text/xml", body)
		req.Body, req.ContentLength = body, int64(len(in))
		req.Header.Set("Cookie", soap.SessionCookieName+"=s-12345")
		var sent http.Request
		resp, err := carrierTo(&sent).RoundTrip(req)
		if (err != nil) != unreadable || (resp == nil) != unreadable {
			t.Fatalf("%s: %v, %v", name, resp, err)
		}
		if !unreadable {
			if resp.Request != req {
				t.Errorf("%s: the response is that of another request", name)
			}
			sent.Body.Close()
		}
		if req.Body != body || req.ContentLength != int64(len(in)) || !body.closed {
			t.Errorf("%s: closed: %t, length %d; want the request as it was, and its body closed", name, body.closed, req.ContentLength)
		}
	}
}

// FuzzCarry: whatever the message, nothing but the text of the element changes.
func FuzzCarry(f *testing.F) {
	for _, header := range []string{"", `<Header><vcSessionCookie>x</vcSessionCookie></Header>`, `<Header><a/><vcSessionCookie a="b"/></Header>`} {
		f.Add(envelopeStart+header+mention, "s-1")
	}
	f.Add(`<s:Envelope><s:Header><vcSessionCookie><![CDATA[x]]>&#65;</vcSessionCookie>`, "")
	f.Fuzz(func(t *testing.T, in, session string) {
		req := newRequest(t, "text/xml", strings.NewReader(in))
		if err := carry(req, session); err != nil {
			t.Fatal(err)
		}
		out := read(t, req.Body)
		if req.Body != nil && in != "" && req.ContentLength != int64(len(out)) {
			t.Errorf("length %d, want %d", req.ContentLength, len(out))
		}
		if out == in {
			return
		}
		text := escaped(session)
		i := strings.Index(out, ">"+text+"<")
		for ; i >= 0; i = next(out, ">"+text+"<", i) {
			before, after := out[:i+1], out[i+1+len(text):]
			if strings.HasPrefix(in, before) && strings.HasSuffix(in, after) && len(in) >= len(before)+len(after) && endsInElement(before) {
				return
			}
		}
		t.Errorf("of\n%s\nbecame\n%s", in, out)
	})
}

// next is the index of the next sub in s after i, or negative.
func next(s, sub string, i int) int {
	if n := strings.Index(s[i+1:], sub); n >= 0 {
		return i + 1 + n
	}
	return -1
}

// endsInElement tells whether a beginning of a message ends with the start tag of
// the element, in the header.
func endsInElement(before string) bool {
	d := xml.NewDecoder(strings.NewReader(before))
	var path []string
	for {
		tok, err := d.Token()
		if err != nil {
			return strings.Join(path, "/") == "Envelope/Header/"+sessionElement
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			path = append(path, tok.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

func newRequest(t *testing.T, kind string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://vc.example.test/pbm", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	return req
}

// send returns what a carrier makes of a request.
func send(t *testing.T, req *http.Request) *http.Request {
	t.Helper()
	var sent http.Request
	if _, err := carrierTo(&sent).RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	return &sent
}

func carrierTo(sent *http.Request) *carrier {
	return &carrier{roundTripper(func(r *http.Request) (*http.Response, error) {
		*sent = *r
		return &http.Response{Body: http.NoBody}, nil
	})}
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
