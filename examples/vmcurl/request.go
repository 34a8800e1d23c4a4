package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// newRequest makes the request of the command line, which knows nothing of logins.
func (o *options) newRequest(ctx context.Context, a *account, sys *system) (*http.Request, error) {
	u, err := o.target(a.origin)
	if err != nil {
		return nil, err
	}
	soap := !a.director && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/sdk") // of vSphere, or of another service such as /pbm/sdk
	data := o.data
	if soap && data == nil && (o.method == "" || o.method == http.MethodPost) {
		if sys.isTerminal(sys.stdin) {
			return nil, usagef("%s takes a SOAP message: give it on standard input, <message.xml, or with -d @message.xml", u.Path)
		}
		data = new("@-")
	}
	method := o.method
	if method == "" && data != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, usagef("-X: %w", err)
	}
	req.Header = o.header.Clone()
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "vmcurl")
	}
	if data == nil {
		return req, nil
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
		if soap {
			req.Header.Set("Content-Type", "text/xml; charset=utf-8")
		}
	}
	if err := setBody(req, *data, sys.stdin); err != nil {
		return nil, err
	}
	if soap && req.ContentLength == 0 {
		return nil, usagef("the SOAP message for %s is empty: give it on standard input, <message.xml, or with -d @message.xml", u.Path)
	}
	return req, nil
}

// target reads the path, or a URL of the same origin: the session is for that
// origin, and a request to another one would go without it.
func (o *options) target(origin *url.URL) (*url.URL, error) {
	if strings.HasPrefix(o.path, "/") && !strings.HasPrefix(o.path, "//") {
		u, err := url.Parse(o.path)
		if err != nil {
			return nil, usagef("the path %q is not one of a URL: write a blank as %%20, a %% as %%25", o.path)
		}
		u.Scheme, u.Host, u.Fragment = origin.Scheme, origin.Host, ""
		return u, nil
	}
	u, err := url.Parse(o.path)
	switch {
	case err != nil || u.Host == "":
		return nil, usagef("%q is no path, which begins with a slash such as /api/vcenter/vm; flags stand before their values; -h explains", o.path)
	case u.User != nil:
		return nil, usagef("a URL with a user name or password is not used: give -user")
	case !sameOrigin(u, origin):
		return nil, usagef("%s is not %s: the session is for one scheme, host and port; call another server with its own -vcenter or -director", u.Scheme+"://"+u.Host, origin)
	}
	u.Host, u.Fragment = origin.Host, ""
	return u, nil
}

// readAhead is how much of standard input is read before anything is sent, so that
// most requests have a length and can be sent again in a new session.
const readAhead = 1 << 20

// setBody sends data, or the file that it names. Nothing of it is changed, and a
// file is not read into memory.
func setBody(req *http.Request, data string, stdin io.Reader) error {
	file, isFile := strings.CutPrefix(data, "@")
	switch {
	case data == "@-":
		head, more, err := readSome(req.Context(), stdin)
		if err != nil {
			return err
		}
		setBytes(req, head)
		if more {
			req.Body, req.GetBody, req.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(head), stdin)), nil, -1
		}
	case isFile:
		return setFile(req, file)
	default:
		setBytes(req, []byte(data))
	}
	return nil
}

func setBytes(req *http.Request, data []byte) {
	req.ContentLength = int64(len(data))
	req.GetBody = func() (io.ReadCloser, error) {
		if len(data) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	req.Body, _ = req.GetBody()
}

func setFile(req *http.Request, name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: give -d @- for standard input", name)
	}
	if err != nil {
		return usagef("-d: %w", err)
	}
	if info.Size() == 0 {
		setBytes(req, nil)
		return nil
	}
	req.ContentLength = info.Size()
	req.GetBody = func() (io.ReadCloser, error) { return os.Open(name) }
	if req.Body, err = req.GetBody(); err != nil {
		return usagef("-d: %w", err)
	}
	return nil
}

// readSome reads the beginning, and tells whether there may be more. An interrupt
// ends it, although nothing ends the reading of a terminal.
func readSome(ctx context.Context, r io.Reader) (head []byte, more bool, err error) {
	done := make(chan struct{})
	go func() { // ends with the input, or with the program
		defer close(done)
		head, err = io.ReadAll(io.LimitReader(r, readAhead))
	}()
	select {
	case <-done:
		if err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
		return head, len(head) == readAhead, err
	case <-ctx.Done():
		return nil, false, cmp.Or(context.Cause(ctx), errors.New("interrupted"))
	}
}
