// Package call sends the requests of a login and bounds what comes back.
package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/retry"
)

// MaxReply bounds a reply, decompressed, in bytes.
const MaxReply = 4 << 20

// A Call is one request.
type Call struct {
	Method string
	URL    *url.URL
	Stage  string // names the call in errors
	Header http.Header
	Body   []byte

	// MaxHeader is how many bytes of header the server takes, request line
	// included; 0: not known.
	MaxHeader int
}

// A Reply is an answer that is no redirect, read to its end.
type Reply struct {
	Status  int
	Header  http.Header
	Cookies []*http.Cookie
	Body    []byte

	// ClockOffset is how far the server's clock is ahead, 0 if it does not tell.
	// It is as exact as its Date, a second, and as the time that the answer took.
	ClockOffset time.Duration
}

// Do sends the call once. It follows no redirect. Each error is a
// [*vmsso.LoginError] whose stage is the call's.
func (c *Call) Do(ctx context.Context, rt http.RoundTripper) (*Reply, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, c.URL.String(), bytes.NewReader(c.Body))
	if err != nil {
		return nil, c.Fail(nil, err)
	}
	req.Header = c.Header
	if size := headerSize(req); c.MaxHeader > 0 && size > c.MaxHeader {
		return nil, c.Fail(nil, fmt.Errorf("%w: the request would have a header of %d bytes, the limit is %d; nothing was sent", vmsso.ErrHeaderTooLarge, size, c.MaxHeader))
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, c.Fail(nil, err)
	}
	defer resp.Body.Close()
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, Cookies: resp.Cookies()}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		reply.ClockOffset = date.Sub(time.Now().Truncate(time.Second))
	}
	reply.Body, err = io.ReadAll(io.LimitReader(resp.Body, MaxReply+1))
	switch {
	case err != nil:
		return nil, c.Fail(reply, fmt.Errorf("the answer broke off: %w", err))
	case len(reply.Body) > MaxReply:
		return nil, c.Fail(reply, fmt.Errorf("the answer is longer than %d bytes", MaxReply))
	case reply.Status >= 300 && reply.Status < 400:
		return nil, c.Fail(reply, fmt.Errorf("redirected to %s, which is not followed with credentials: give the final URL", target(reply.Header)))
	case reply.Status == http.StatusServiceUnavailable && bytes.Contains(reply.Body, []byte("Out of HTTP sessions")):
		return nil, c.Fail(reply, vmsso.ErrSessionLimit)
	case reply.Status == http.StatusRequestHeaderFieldsTooLarge:
		return nil, c.Fail(reply, fmt.Errorf("%w: the server refused one of %d bytes", vmsso.ErrHeaderTooLarge, headerSize(req)))
	}
	return reply, nil
}

// headerSize is the size of the request's header in HTTP/1.1, with what
// net/http adds to it.
func headerSize(req *http.Request) int {
	const added = len("User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\nContent-Length: 12345678\r\n\r\n")
	var fields counter
	_ = req.Header.Write(&fields) // a counter does not fail
	return len(req.Method+" "+req.URL.RequestURI()+" HTTP/1.1\r\nHost: "+req.URL.Host+"\r\n") + int(fields) + added
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Field checks that a value which a server sent can become one of our header
// fields.
func Field(value string) error {
	const most = 16 << 10
	switch {
	case value == "":
		return errors.New("it is empty")
	case len(value) > most:
		return fmt.Errorf("it is longer than %d bytes", most)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("it has a blank, a control character or one that is not ASCII")
	}
	return nil
}

// Fail makes the error of this call, with what the reply tells, which may be nil.
func (c *Call) Fail(reply *Reply, err error) *vmsso.LoginError {
	le := &vmsso.LoginError{Endpoint: c.URL.Host, Stage: c.Stage, Err: err}
	if reply == nil {
		return le
	}
	le.Status, le.ClockOffset = reply.Status, reply.ClockOffset
	if reply.Status == http.StatusServiceUnavailable || reply.Status == http.StatusTooManyRequests {
		wait, _ := retry.After(reply.Header, time.Now())
		le.RetryAfter = min(wait, time.Hour)
	}
	return le
}

// Unexpected is the error of a reply of the wrong media type: the answer of
// something else than the server that was meant.
func (c *Call) Unexpected(reply *Reply, wanted, mediaType string) *vmsso.LoginError {
	if reply.Status == http.StatusNotFound {
		return c.Fail(reply, errors.New("nothing is served at "+strconv.Quote(c.URL.Path)+": is this URL right?"))
	}
	return c.Fail(reply, errors.New("no "+wanted+" but "+strconv.Quote(Quote(mediaType))+": is this URL right, or is a proxy or login page in the way?"))
}

// target names where a redirect goes by its host alone: paths and queries may
// hold secrets.
func target(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil || u.Host == "" {
		return "another path"
	}
	return Quote(u.Host)
}

// piece is how much of a secret betrays it, in bytes.
const piece = 16

// Quote cuts what a server said to about 200 bytes and redacts the secrets. Of
// a long text it looks at the beginning only, less what may be the beginning of
// a secret.
func Quote(s string, secrets ...string) string {
	const most, look = 200, 1024
	if len(s) > look {
		s = Redact(s[:look], secrets...)
		s = s[:max(len(s)-piece, 0)]
	} else {
		s = Redact(s, secrets...)
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}

// Redact removes each secret from s, and each piece of 16 bytes or more of one:
// servers cut what they echo.
func Redact(s string, secrets ...string) string {
	const hidden = "[redacted]"
	for _, secret := range secrets {
		if len(secret) < 3 {
			continue // it would blot out the text and hide nothing
		}
		s = strings.ReplaceAll(s, secret, hidden)
		for i := 0; i+piece <= len(s); i++ {
			n := piece
			if !strings.Contains(secret, s[i:i+n]) {
				continue
			}
			for i+n < len(s) && strings.Contains(secret, s[i:i+n+1]) {
				n++
			}
			s = s[:i] + hidden + s[i+n:]
			i += len(hidden) - 1
		}
	}
	return s
}
