package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A seen is a request as it came to the server.
type seen struct {
	method, contentType, body string
	header                    http.Header
	length                    int64
}

// see lets the next request of an operation be seen.
func (l *lab) see(op string) *seen {
	s := &seen{}
	inject := l.services.Automation.Inject
	switch {
	case strings.Contains(op, "cloudapi"), strings.Contains(op, "transfer"):
		inject = l.cloud.Inject
	case !strings.Contains(op, "/api") && !strings.Contains(op, "/rest"):
		inject = l.services.VSphere.Inject
	}
	inject(op, 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			l.t.Error(err)
		}
		*s = seen{r.Method, r.Header.Get("Content-Type"), string(body), r.Header.Clone(), r.ContentLength}
	})
	return s
}

func TestRequest(t *testing.T) {
	l := newLab(t)
	file := l.write("data", "from\na file\n")
	large := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB
	for _, tt := range []struct {
		name  string
		args  []string
		stdin string
		op    string
		want  seen
	}{
		{"path", l.machine("/api/x?a=b%20c"), "unread", "GET /api/x", seen{method: "GET"}},
		{"full URL", l.machine(l.vcenter.URL + "/api/x"), "", "GET /api/x", seen{method: "GET"}},
		{"flags behind the path", l.machine("/api/x", "-X", "PATCH", "-s"), "", "PATCH /api/x", seen{method: "PATCH"}},
		{"data", l.machine("-d", `{"a":1}`, "/api/x"), "", "POST /api/x", seen{method: "POST", contentType: "application/json", body: `{"a":1}`, length: 7}},
		{"no data", l.machine("-d", "", "/api/x"), "", "POST /api/x", seen{method: "POST", contentType: "application/json"}},
		{"file", l.machine("-X", "PUT", "-d", "@"+file, "/api/x"), "", "PUT /api/x", seen{method: "PUT", contentType: "application/json", body: "from\na file\n", length: 12}},
		{"standard input", l.machine("-d", "@-", "/api/x"), "typed", "POST /api/x", seen{method: "POST", contentType: "application/json", body: "typed", length: 5}},
		{"long standard input", l.machine("-d", "@-", "/api/x"), large, "POST /api/x", seen{method: "POST", contentType: "application/json", body: large, length: 3 << 20}},
		{"header", l.machine("-H", "content-type: text/plain", "-d", "a", "/rest/x"), "", "POST /rest/x", seen{method: "POST", contentType: "text/plain", body: "a", length: 1}},
		{"SOAP from standard input", l.machine("/sdk"), demoMessage, "CurrentTime", seen{method: "POST", contentType: "text/xml; charset=utf-8", body: demoMessage, length: 185}},
		{"SOAP of another service", l.machine("/pbm/sdk"), "<x/>", "POST /pbm", seen{method: "POST", contentType: "text/xml; charset=utf-8", body: "<x/>", length: 4}},
		{"SOAP from the command line", l.machine("-d", demoMessage, "/sdk"), "unread", "CurrentTime", seen{method: "POST", contentType: "text/xml; charset=utf-8", body: demoMessage, length: 185}},
		{"a description", l.machine("/sdk/vimServiceVersions.xml"), "unread", "GET /sdk", seen{method: "GET"}},
		{"a file of a datastore", l.machine("/folder/a.vmx?dsName=x"), "", "GET /folder", seen{method: "GET"}},
		{"Director", l.bob("-d", "{}", "-H", "X: 1", "-H", "X: 2", "/cloudapi/1.0.0/x"), "", "POST /cloudapi/1.0.0/x", seen{method: "POST", contentType: "application/json", body: "{}", length: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.t, l.stdin = t, tt.stdin
			got := l.see(tt.op)
			l.ok(tt.args...)
			if got.method != tt.want.method || got.contentType != tt.want.contentType || got.body != tt.want.body || got.length != tt.want.length {
				t.Errorf("got %s, %q, %d bytes %.40q; want %s, %q, %d bytes %.40q", got.method, got.contentType, got.length, got.body,
					tt.want.method, tt.want.contentType, tt.want.length, tt.want.body)
			}
			if name := got.header.Get("User-Agent"); name != "vmcurl" {
				t.Errorf("User-Agent %q", name)
			}
			if got.header["Accept-Encoding"] != nil {
				t.Error("it asks for compression: what -o writes would not be what was sent")
			}
			if tt.name == "Director" && strings.Join(got.header["X"], ",") != "1,2" {
				t.Errorf("headers X %q, want both", got.header["X"])
			}
		})
	}
}

// TestBadCommandLine: each says what to do, in one line, and nothing is sent.
func TestBadCommandLine(t *testing.T) {
	l := newLab(t)
	user := func(args ...string) []string { return l.alice(l.file("password"), args...) }
	terminal := func(l *lab) { l.terminals = "stdin" }
	hok := l.write("hok.xml", l.holderToken())
	before := l.services.STS.Requests()
	for _, tt := range []struct {
		args []string
		want string
		with func(*lab)
	}{
		{args: nil, want: "which path? such as /api/vcenter/vm; -h has examples"},
		{args: []string{"-x"}, want: "not defined: -x; -h explains"},
		{args: []string{"-k", "/api"}, want: "trust with -thumbprint"},
		{args: []string{"-max-time", "soon", "/api"}, want: "no number of seconds"},
		{args: []string{"/api/x"}, want: "which server, and who are you? such as -vcenter"},
		{args: []string{"-user", "a", "/api/x"}, want: "which server? give -vcenter or -director, or set GOVC_URL"},
		{args: []string{"-user", "alice:secret", "/api/x"}, want: "-user takes the name alone"},
		{args: []string{"-vcenter", l.vcenter.URL, "/api/x"}, want: "who are you?"},
		{args: []string{"-vcenter", l.vcenter.URL, "/api/x"}, want: "the user in the environment is one of other.example.com: give -user", with: func(l *lab) {
			l.env = map[string]string{"GOVC_URL": "other.example.com", "GOVC_USERNAME": "a", "GOVC_PASSWORD": "b"}
		}},
		{args: []string{"-vcenter", "https://alice:secret@vc", "-user", "a", "/api/x"}, want: "a server's URL has no user name"},
		{args: []string{"-vcenter", "http://vc.example.com", "-user", "a", "/api/x"}, want: "http"},
		{args: user("-director", l.director.URL, "/api/x"), want: "-vcenter and -director are two servers"},
		{args: user("-org", "Finance", "/api/x"), want: "-org is an organization of Cloud Director"},
		{args: []string{"-director", l.director.URL, "-user", "a", "/api/x"}, want: "give one with -token, or -sts and -audience"},
		{args: []string{"-director", l.director.URL, "-user", "a", "-sts", l.vcenter.URL, "/api/x"}, want: "takes both: -sts"},
		{args: []string{"-director", l.director.URL, "-token", hok, "/api/x"}, want: "is a holder-of-key token: give its certificate and key too"},
		{args: []string{"-director", l.director.URL, "-token", l.file("key.pem"), "/api/x"}, want: "not a usable SAML 2.0 token"},
		{args: []string{"-vcenter", l.vcenter.URL, "-cert", "missing.pem", "/api/x"}, want: "-cert, -key: open missing.pem"},
		{args: []string{"-vcenter", l.vcenter.URL, "-key", "missing.pem", "-user", "a", "/api/x"}, want: "give -cert too"},
		{args: user("-ca", l.file("password"), "/api/x"), want: "there is no PEM certificate in"},
		{args: l.asMachine("-thumbprint", "AB:CD", "/api/x"), want: "64 hex digits"},
		{args: user("-thumbprint", thumbprint(l.vcenter.Certificate()), "/api/x"), want: "-ca and -thumbprint are two ways"},
		{args: user("-password-file", l.write("empty", "\n"), "/api/x"), want: "the password in"},
		{args: user("api/vcenter/vm"), want: "is no path, which begins with a slash"},
		{args: user("/api/x", "/api/y"), want: "there are two paths"},
		{args: user("https://other.example.com/api/x"), want: "https://other.example.com is not " + l.vcenter.URL},
		{args: user(strings.Replace(l.vcenter.URL, "https", "http", 1) + "/api/x"), want: "the session is for one scheme, host and port"},
		{args: user("//other.example.com/api/x"), want: "the session is for one scheme, host and port"},
		{args: user("/api/%zz"), want: "is not one of a URL"},
		{args: user("-H", "nonsense", "/api/x"), want: "a header is 'Name: value'"},
		{args: user("-H", "A: b\r\nC: d", "/api/x"), want: "no control characters"},
		{args: user("-H", "authorization: Bearer x", "/api/x"), want: "vmcurl sets this header by itself"},
		{args: user("-X", "G T", "/api/x"), want: "invalid method"},
		{args: user("-d", "@missing", "/api/x"), want: "-d: stat missing"},
		{args: user("-d", "a", "-d", "b", "/api/x"), want: "it is there twice"},
		{args: user("/sdk"), want: "the SOAP message for /sdk is empty"},
		{args: user("/sdk"), want: "/sdk takes a SOAP message: give it on standard input", with: terminal},
		{args: user("-logout", "/api/x"), want: "takes no path"},
		{args: user("-logout", "-no-store"), want: "without one there is none"},
		{args: user("-store", l.file("password"), "/api/x"), want: "-no-store nowhere"},
		{args: []string{"/api/x", "-demo"}, want: "it is the first argument"},
	} {
		other := &lab{demoServers: l.demoServers, t: t, cache: t.TempDir(), env: map[string]string{}}
		if tt.with != nil {
			tt.with(other)
		}
		r := other.run(tt.args...)
		if r.status != statusUsage || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "vmcurl: ") || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%q: got %d, %q, %q; want 2 and one line with %q", tt.args, r.status, r.stdout, r.stderr, tt.want)
		}
		if strings.Contains(r.stderr, "secret") {
			t.Errorf("%q: the message has the password: %q", tt.args, r.stderr)
		}
	}
	if got := l.services.STS.Requests() - before; got != 0 || l.logins() != 0 {
		t.Errorf("%d requests came", got)
	}
}

func TestHelpFitsOnAScreen(t *testing.T) {
	for _, arg := range []string{"-h", "-help", "--help"} {
		l := &lab{t: t}
		if got := l.ok(arg); got != usage {
			t.Errorf("%s: got %q, want the usage", arg, got)
		}
	}
	lines := strings.Split(usage, "\n")
	for _, line := range lines {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if len(lines) > 40 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestOutFile has its name only when it is whole.
func TestOutFile(t *testing.T) {
	l := newLab(t)
	out := filepath.Join(t.TempDir(), "out")
	get := l.machine("-o", out, "/folder/big.vmdk?dsName=x")
	send := func(declared, sent int) {
		l.services.VSphere.Inject("GET /folder", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(bytes.Repeat([]byte("x"), sent))
			if sent < declared {
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}
		})
	}
	left := func() string {
		files, err := filepath.Glob(out + "*")
		if err != nil {
			t.Error(err)
		}
		return strings.ReplaceAll(strings.Join(files, " "), out, "out")
	}

	send(1000, 10)
	if r := l.run(get...); r.status != statusFailed || left() != "" || !strings.Contains(r.stderr, "after 10 bytes of") {
		t.Errorf("broken off: got %+v, files %q; want 1 and none", r, left())
	}
	send(1000, 1000)
	if got := l.ok(get...); got != "" || len(l.read(out)) != 1000 || left() != "out" {
		t.Errorf("whole: stdout %q, files %q, %d bytes; want none, out, 1000", got, left(), len(l.read(out)))
	}
	send(1000, 10)
	if r := l.run(get...); r.status != statusFailed || len(l.read(out)) != 1000 || left() != "out" {
		t.Errorf("broken off again: got %+v, files %q; want 1, and the file as it was", r, left())
	}
	if r := l.run(l.machine("-f", "-o", out, "/api/nothing")...); r.status != statusHTTP || len(l.read(out)) != 1000 {
		t.Errorf("404: got %+v; want 22, and the file as it was", r)
	}
	if err := os.WriteFile(out+".part", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := l.run(l.machine("-o", out, "/api/vcenter/vm")...); r.status != statusFailed || !strings.Contains(r.stderr, "out.part is there") {
		t.Errorf("another writes it: got %+v, want 1", r)
	}
	if got := l.ok(l.machine("-o", os.DevNull, "/api/vcenter/vm")...) + l.ok(l.machine("-o", "-", "/api/vcenter/vm")...); !strings.Contains(got, vms) {
		t.Errorf("device, and standard output: got %q", got)
	}
	if r := l.run(l.machine("-o", t.TempDir(), "/api/vcenter/vm")...); r.status != statusUsage {
		t.Errorf("a directory: got %+v, want 2", r)
	}
}

func TestIncludeHeaders(t *testing.T) {
	l := newLab(t)
	l.services.Automation.Inject("GET /api/vcenter/vm", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Set-Cookie", "session=geheim")
		w.Header().Set("Location", "/ui?ticket=geheim")
		w.Header().Set("Date", "today")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "body")
	})
	const want = "HTTP/2.0 302 Found\r\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\nDate: today\r\n" +
		"Location: /ui?[redacted]\r\nSet-Cookie: [redacted, 14 bytes]\r\n\r\nbody"
	if got := l.ok(l.machine("-i", "/api/vcenter/vm")...); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
