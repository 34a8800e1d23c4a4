package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
)

// A talk is what -v tells: > what is sent, < what comes back, * what it is for.
// No secret is in it: no body, and no header that may hold one.
type talk struct {
	verbose, silent bool

	mu  sync.Mutex // guards out
	out io.Writer
}

func (t *talk) write(lines ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.out, strings.Join(lines, "\n")+"\n")
}

func (t *talk) say(format string, args ...any) {
	if t.verbose {
		t.write("* " + fmt.Sprintf(format, args...))
	}
}

// trace tells of logins. A session is named by a hash.
func (t *talk) trace() *vmsso.Trace {
	return &vmsso.Trace{
		LoginStart: func() { t.say("there is no session: logging in") },
		Restored:   func(session string) { t.say("session %s of an earlier run", session) },
		LoginDone: func(took time.Duration, session string, err error) {
			if err == nil {
				t.say("logged in after %v: session %s", took.Round(time.Millisecond), session)
			}
		},
		Expired: func(session string) { t.say("the server has ended session %s", session) },
		Replay:  func(method, path string) { t.say("%s %s is sent again in the new session", method, path) },
		Logout: func(session string, err error) {
			if err != nil {
				t.say("could not log out of session %s: %s", session, plain(err))
				return
			}
			t.say("logged out of session %s", session)
		},
		StoreFault: func(op string, err error) {
			if !t.silent {
				t.write("vmcurl: warning: the session is not kept: " + plain(err))
			}
		},
	}
}

// over returns a RoundTripper that tells of each request, those of a login too.
func (t *talk) over(base http.RoundTripper) http.RoundTripper {
	if !t.verbose {
		return base
	}
	return &overheard{base, t}
}

type overheard struct {
	base http.RoundTripper
	talk *talk
}

func (o *overheard) RoundTrip(req *http.Request) (*http.Response, error) {
	lines := []string{fmt.Sprintf("> %s %s", req.Method, req.URL.RequestURI()), "> Host: " + req.URL.Host}
	o.talk.write(prefixed(lines, "> ", req.Header)...)
	resp, err := o.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	o.talk.write(prefixed([]string{fmt.Sprintf("< %s %s", resp.Proto, resp.Status)}, "< ", resp.Header)...)
	return resp, nil
}

func prefixed(lines []string, prefix string, h http.Header) []string {
	for _, line := range headerLines(h) {
		lines = append(lines, prefix+line)
	}
	return lines
}

// headerLines are the fields in the order of their names, without secrets.
func headerLines(h http.Header) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			lines = append(lines, name+": "+redacted(name, value))
		}
	}
	return lines
}

// redacted returns the value unless the name is one of those that go with secrets:
// Authorization, Set-Cookie, Vmware-Api-Session-Id, X-Vmware-Vcloud-Access-Token,
// and whatever else is called like that.
func redacted(name, value string) string {
	lower := strings.ToLower(name)
	switch lower {
	case "www-authenticate", "x-vmware-vcloud-token-type":
		return value
	case "location":
		before, _, _ := strings.Cut(value, "?")
		return before + strings.Repeat("?[redacted]", min(1, len(value)-len(before)))
	}
	for _, part := range []string{"auth", "cookie", "session", "token", "secret", "password", "key", "ticket", "signature"} {
		if strings.Contains(lower, part) {
			return fmt.Sprintf("[redacted, %d bytes]", len(value))
		}
	}
	return value
}
