package vmssogovmomi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
)

const (
	// placeholder stands for the session in govmomi's cookie jar. It is no secret,
	// and leaves with no request.
	placeholder = "vmsso-keeps-the-session"

	// sessionElement is where PBM, VSLM and others look for the session.
	sessionElement = "vcSessionCookie"

	// headBytes of a message are searched for the element, which govmomi writes
	// first.
	headBytes = 64 << 10
)

// A carrier carries the session from the Cookie header into the SOAP header. It
// stands below the transport that sets the cookie, so that a request which is sent
// again has the new session in both.
type carrier struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (k *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	r := new(http.Request)
	*r = *req
	r.Header = withoutPlaceholder(req.Header)
	if r.Body != nil && r.Body != http.NoBody && isXML(r.Header) {
		session := ""
		for _, cookie := range r.CookiesNamed(soap.SessionCookieName) {
			session = cookie.Value
		}
		if err := carry(r, session); err != nil {
			req.Body.Close()
			return nil, err
		}
	}
	resp, err := k.next.RoundTrip(r)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

// CloseIdleConnections closes those of the transport below.
func (k *carrier) CloseIdleConnections() {
	if c, ok := k.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// withoutPlaceholder returns h, or a copy if it has the placeholder.
func withoutPlaceholder(h http.Header) http.Header {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, placeholder) }) {
		return h
	}
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != soap.SessionCookieName+"="+placeholder {
				kept = append(kept, pair)
			}
		}
	}
	h = maps.Clone(h)
	delete(h, "Cookie")
	if len(kept) > 0 {
		h["Cookie"] = []string{strings.Join(kept, "; ")}
	}
	return h
}

func isXML(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/xml" || kind == "application/xml" || strings.HasSuffix(kind, "+xml")
}

// carry puts the session into the element of r's message, if there is one. With no
// session it takes the placeholder out, and leaves to the caller what is his own.
func carry(r *http.Request, session string) error {
	head, value, err := find(r.Body)
	if err != nil {
		return err
	}
	have := string(head[value.start:value.end])
	text := escaped(session)
	if !value.found || have == text || session == "" && have != placeholder {
		text = have
	}
	next := slices.Concat(head[:value.start], []byte(text), head[value.end:])
	body, again := r.Body, r.GetBody
	r.Body = follow(next, body)
	if r.ContentLength > 0 {
		r.ContentLength += int64(len(next) - len(head))
	}
	if again != nil {
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			if _, err := io.CopyN(io.Discard, body, int64(len(head))); err != nil {
				body.Close()
				return nil, err
			}
			return follow(next, body), nil
		}
	}
	return nil
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return b.String()
}

// follow is a body that begins with head and goes on with rest, which it closes.
func follow(head []byte, rest io.ReadCloser) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
}

// A span is where in a message the text of an element is.
type span struct {
	found      bool
	start, end int64
}

// find reads as much of a message as it takes to find the text of the element, and
// returns that. It is an error if the message cannot be read; one that is no SOAP
// has no such element.
func find(body io.Reader) (head []byte, text span, err error) {
	c := &copier{src: io.LimitReader(body, headBytes)}
	text = locate(xml.NewDecoder(c))
	switch {
	case c.err != nil:
		return nil, span{}, c.err
	case text.found && bytes.HasSuffix(c.read[:text.start], []byte("/>")): // <vcSessionCookie/> has no place for a text
		text = span{}
	}
	return c.read, text, nil
}

// locate walks to /Envelope/Header/vcSessionCookie.
func locate(d *xml.Decoder) span {
	for _, name := range []string{"Envelope", "Header", sessionElement} {
		if !enter(d, name) {
			return span{}
		}
	}
	start := d.InputOffset()
	for {
		end := d.InputOffset()
		tok, err := d.Token()
		if err != nil {
			return span{}
		}
		switch tok.(type) {
		case xml.EndElement:
			return span{true, start, end}
		case xml.CharData:
		default:
			return span{} // not a text alone
		}
	}
}

// enter goes into the next element of this name, and tells whether there is one.
// It must be the first, but for the children of the header.
func enter(d *xml.Decoder, name string) bool {
	for {
		tok, err := d.Token()
		if err != nil {
			return false
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return false
		case xml.StartElement:
			if tok.Name.Local == name {
				return true
			}
			if name != sessionElement || d.Skip() != nil {
				return false
			}
		}
	}
}

// A copier keeps what is read.
type copier struct {
	src  io.Reader
	read []byte
	err  error // but for io.EOF
}

// Read implements [io.Reader].
func (c *copier) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.read = append(c.read, p[:n]...)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
