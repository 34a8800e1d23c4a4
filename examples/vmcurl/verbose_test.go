package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A spy collects what must not be shown.
type spy struct {
	mu      sync.Mutex // guards secrets
	secrets []string
}

func (s *spy) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(` =";,`, r) }) {
			if len(part) > 15 {
				s.secrets = append(s.secrets, part)
			}
		}
	}
}

// watch sees the requests and answers of a server.
func (s *spy) watch(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	for _, name := range []string{"Authorization", "Cookie", "Vmware-Api-Session-Id", "X-Vcloud-Authorization"} {
		s.add(r.Header[name]...)
	}
	for _, name := range []string{"Set-Cookie", "X-Vcloud-Authorization", "X-Vmware-Vcloud-Access-Token"} {
		s.add(rec.Header()[name]...)
	}
	if r.Method == http.MethodPost && r.URL.Path == "/api/session" { // of REST: the session's ID
		s.add(rec.Body.String())
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// TestNoOutputShowsASecret: not what -v tells, not what -i shows, no error.
func TestNoOutputShowsASecret(t *testing.T) {
	l := newLab(t)
	s := &spy{}
	_, signature, _ := strings.Cut(l.read(l.file("token.xml")), "SignatureValue>")
	s.add(signature[:100])
	l.services.STS.Inject("", -1, s.watch)
	l.services.Automation.Inject("", -1, s.watch)
	l.services.VSphere.Inject("", -1, s.watch)
	l.cloud.Inject("", -1, s.watch)
	l.stdin = demoMessage
	wrong := l.write("wrong", "hunter2-hunter2-hunter2")
	var out strings.Builder
	for range 2 {
		for _, args := range [][]string{
			l.machine("-v", "-i", "/api/vcenter/vm"),
			l.machine("-v", "-i", "/sdk"),
			l.alice(l.file("password"), "-v", "-i", "/sdk"),
			l.alice(wrong, "-v", "-store", t.TempDir(), "/sdk"),
			l.bob("-v", "-i", "/api/org"),
			l.bob("-v", "-i", "/cloudapi/1.0.0/sessions/current"),
		} {
			r := l.run(args...)
			out.WriteString(r.stdout + r.stderr)
		}
		l.services.Automation.Kill()
		l.services.VSphere.Kill()
		l.cloud.Kill()
	}
	for _, args := range [][]string{l.machine("-v", "-logout"), l.bob("-v", "-logout")} {
		r := l.run(args...)
		out.WriteString(r.stdout + r.stderr)
	}
	if len(s.secrets) < 20 {
		t.Fatalf("%d secrets were seen: this test proves nothing", len(s.secrets))
	}
	s.secrets = append(s.secrets, demoPassword, "hunter2", "SAML:2.0:assertion")
	for _, secret := range s.secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the output shows %.60q", secret)
		}
	}
}

// TestVerbose tells what is sent and why.
func TestVerbose(t *testing.T) {
	l := newLab(t)
	l.run(l.machine("/api/vcenter/vm")...)
	r := l.run(l.machine("-v", "-H", "X-Note: a", "/api/vcenter/vm")...)
	want := `* session ID of an earlier run
> GET /api/vcenter/vm
> Host: HOST
> User-Agent: vmcurl
> Vmware-Api-Session-Id: [redacted, 32 bytes]
> X-Note: a
< HTTP/2.0 200 OK
< Content-Length: 281
< Content-Type: application/json
< Date: DATE
`
	if got := l.steady(r.stderr); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	l.services.Automation.Kill()
	r = l.run(l.machine("-v", "/api/vcenter/vm")...)
	got := regexp.MustCompile(`(?m)^[<>] (.*: .*|HTTP.*)\n`).ReplaceAllString(l.steady(r.stderr), "")
	want = `* session ID of an earlier run
> GET /api/vcenter/vm
* the server has ended session ID
* there is no session: logging in
> POST /sts/STSService
> POST /api/session
* logged in after TOOK: session ID
* GET /api/vcenter/vm is sent again in the new session
> GET /api/vcenter/vm
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r = l.run(l.machine("-v", "-logout")...)
	got = regexp.MustCompile(`(?m)^[<>] (.*: .*|HTTP.*)\n`).ReplaceAllString(l.steady(r.stderr), "")
	if want := "> DELETE /api/session\n* logged out of session ID\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// steady replaces what differs from run to run.
func (l *lab) steady(s string) string {
	s = strings.ReplaceAll(s, strings.TrimPrefix(l.vcenter.URL, "https://"), "HOST")
	s = regexp.MustCompile(`session [0-9a-f]{12}\b`).ReplaceAllString(s, "session ID")
	s = regexp.MustCompile(`Date: .*`).ReplaceAllString(s, "Date: DATE")
	return regexp.MustCompile(`after [0-9.]+m?s`).ReplaceAllString(s, "after TOOK")
}

func TestRedacted(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"Accept", "text/html", "text/html"},
		{"Authorization", "Bearer abc", "[redacted, 10 bytes]"},
		{"Proxy-Authorization", "Basic abc", "[redacted, 9 bytes]"},
		{"Cookie", "a=b", "[redacted, 3 bytes]"},
		{"Set-Cookie", "a=b", "[redacted, 3 bytes]"},
		{"Vmware-Api-Session-Id", "abc", "[redacted, 3 bytes]"},
		{"X-Vcloud-Authorization", "abc", "[redacted, 3 bytes]"},
		{"X-Vmware-Vcloud-Access-Token", "abc", "[redacted, 3 bytes]"},
		{"X-Vmware-Vcloud-Token-Type", "Bearer", "Bearer"},
		{"Www-Authenticate", "SIGN realm=x", "SIGN realm=x"},
		{"X-My-Secret", "abc", "[redacted, 3 bytes]"},
		{"Location", "https://vc/ui", "https://vc/ui"},
		{"Location", "https://vc/ui?ticket=abc", "https://vc/ui?[redacted]"},
	} {
		if got := redacted(tt.name, tt.value); got != tt.want {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}
