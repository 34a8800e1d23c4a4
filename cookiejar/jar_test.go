package cookiejar

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// noon is the time at which the tables set their cookies.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// receive gives j the cookies of Set-Cookie header lines, as net/http reads them.
func receive(t testing.TB, j *Jar, from string, now time.Time, lines ...string) {
	t.Helper()
	resp := &http.Response{Header: http.Header{"Set-Cookie": lines}}
	j.setCookies(mustURL(t, from), resp.Cookies(), now)
}

// sent returns the Cookie header of a request to the URL: empty, if there is none.
func sent(t testing.TB, j *Jar, to string, now time.Time) string {
	t.Helper()
	req := &http.Request{Header: http.Header{}}
	for _, c := range j.cookies(mustURL(t, to), now) {
		req.AddCookie(c)
	}
	return req.Header.Get("Cookie")
}

func TestSessionCookieStaysAtItsOrigin(t *testing.T) {
	tests := []struct {
		endpoint, from, to string
		want               bool
	}{
		{"https://vc.example.com/sdk", "https://vc.example.com/sdk", "https://vc.example.com/sdk", true},
		{"https://vc.example.com", "https://vc.example.com/sdk", "https://vc.example.com/api", true},
		{"https://vc.example.com", "https://VC.Example.COM", "HTTPS://vc.example.com:443", true},
		{"https://vc.example.com:443", "https://vc.example.com:", "https://vc.example.com", true},
		{"http://127.0.0.1:80", "http://127.0.0.1", "http://127.0.0.1:80", true},
		{"https://user:secret@vc.example.com", "https://vc.example.com", "https://vc.example.com", true},
		{"https://[2001:DB8::1]:8443", "https://[2001:db8:0::1]:8443", "https://[2001:db8::0001]:8443", true},
		{"https://[fe80::1%25Eth0]", "https://[FE80::1%25Eth0]", "https://[fe80::1%25Eth0]:443", true},

		// Another port is another service, also of the same machine.
		{"https://vc.example.com", "https://vc.example.com", "https://vc.example.com:5480", false},
		{"https://vc.example.com:8443", "https://vc.example.com:8443", "https://vc.example.com:443", false},
		{"https://127.0.0.1:8989", "https://127.0.0.1:8989", "https://127.0.0.1:8990", false},
		{"https://vc.example.com", "https://vc.example.com:5480", "https://vc.example.com", false},
		// So is another scheme.
		{"https://vc.example.com", "https://vc.example.com", "http://vc.example.com", false},
		{"https://vc.example.com", "https://vc.example.com", "http://vc.example.com:443", false},
		{"https://vc.example.com", "http://vc.example.com", "https://vc.example.com", false},
		{"https://vc.example.com", "https://vc.example.com", "wss://vc.example.com", false},
		// And another host, whatever its name resolves to.
		{"https://vc.example.com", "https://vc.example.com", "https://esx.vc.example.com", false},
		{"https://vc.example.com", "https://vc.example.com", "https://example.com", false},
		{"https://vc.example.com", "https://evil.example.com", "https://vc.example.com", false},
		{"https://vc.example.com", "https://vc.example.com", "https://vc.example.com.", false},
		{"https://kelvin.example.com", "https://kelvin.example.com", "https://\u212Aelvin.example.com", false},
		{"https://[fe80::1%25Eth0]", "https://[fe80::1%25Eth0]", "https://[fe80::1%25eth0]", false},

		// These have no origin that could hold cookies.
		{"ftp://vc.example.com", "ftp://vc.example.com", "ftp://vc.example.com", false},
		{"/sdk", "/sdk", "/sdk", false},
		{"https:///sdk", "https:///sdk", "https:///sdk", false},
	}
	for _, tt := range tests {
		j := New(mustURL(t, tt.endpoint))
		receive(t, j, tt.from, noon(), "vmware_soap_session=abc; Path=/")
		if got := sent(t, j, tt.to, noon()) == "vmware_soap_session=abc"; got != tt.want {
			t.Errorf("jar of %s, set by %s, sent to %s: got %t, want %t", tt.endpoint, tt.from, tt.to, got, tt.want)
		}
	}
}

func TestCookieOfAnotherDomainIsRejected(t *testing.T) {
	tests := []struct {
		endpoint, domain string
		want             bool
	}{
		{"https://vc.example.com", "", true},
		{"https://vc.example.com", "vc.example.com", true},
		{"https://vc.example.com", ".vc.example.com", true},
		{"https://vc.example.com", "VC.Example.Com", true},
		{"https://10.0.0.1", "10.0.0.1", true},
		{"https://[2001:db8::1]", "2001:DB8:0::1", true},

		{"https://vc.example.com", "example.com", false},
		{"https://vc.example.com", ".example.com", false},
		{"https://vc.example.com", "com", false},
		{"https://vc.example.com", "esx.vc.example.com", false},
		{"https://vc.example.com", "evil.com", false},
		{"https://vc.example.com", "..vc.example.com", false},
		{"https://vc.example.com", ".", false},
		{"https://vc.example.com", "vc.example.com:443", false},
		{"https://10.0.0.1", "0.0.1", false},
	}
	for _, tt := range tests {
		j, u := New(mustURL(t, tt.endpoint)), mustURL(t, tt.endpoint)
		j.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1", Domain: tt.domain}})
		if got := len(j.Cookies(u)) == 1; got != tt.want {
			t.Errorf("Domain=%q from %s: kept %t, want %t", tt.domain, tt.endpoint, got, tt.want)
		}
	}
}

func TestSecureCookieNeverTravelsOverHTTP(t *testing.T) {
	tests := []struct{ endpoint, line, want string }{
		{"https://vc.example.com", "a=1; Secure", "a=1"},
		{"https://vc.example.com", "a=1", "a=1"},
		{"http://127.0.0.1:8989", "a=1", "a=1"},
		{"http://127.0.0.1:8989", "a=1; Secure", ""},
	}
	for _, tt := range tests {
		j := New(mustURL(t, tt.endpoint))
		receive(t, j, tt.endpoint, noon(), tt.line)
		if got := sent(t, j, tt.endpoint, noon()); got != tt.want {
			t.Errorf("%q from %s: sent %q, want %q", tt.line, tt.endpoint, got, tt.want)
		}
	}
}

func TestExpiry(t *testing.T) {
	tests := []struct {
		line  string
		after time.Duration // how long after the response the request is made
		want  string
	}{
		{"a=1", 100 * 365 * 24 * time.Hour, "a=1"},
		{"a=1; Max-Age=60", 59 * time.Second, "a=1"},
		{"a=1; Max-Age=60", 60 * time.Second, ""},
		{"a=1; Max-Age=0", 0, ""}, // net/http reads 0 as "delete now"
		{"a=1; Max-Age=-5", 0, ""},
		{"a=1; Max-Age=9223372036854775807", time.Hour, "a=1"},
		{"a=1; Expires=Sun, 01 Mar 2026 12:01:00 GMT", 59 * time.Second, "a=1"},
		{"a=1; Expires=Sun, 01 Mar 2026 12:01:00 GMT", time.Minute, ""},
		{"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0, ""},
		{"a=1; Expires=nonsense", time.Hour, "a=1"},
		// Max-Age goes before Expires.
		{"a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", time.Second, "a=1"},
		{"a=1; Max-Age=60; Expires=Sun, 01 Mar 2026 13:00:00 GMT", 2 * time.Minute, ""},
	}
	for _, tt := range tests {
		j := New(mustURL(t, "https://vc.example.com"))
		receive(t, j, "https://vc.example.com", noon(), tt.line)
		if got := sent(t, j, "https://vc.example.com", noon().Add(tt.after)); got != tt.want {
			t.Errorf("%q after %v: sent %q, want %q", tt.line, tt.after, got, tt.want)
		}
	}
}

func TestServerDeletesItsCookie(t *testing.T) {
	for _, line := range []string{"a=; Max-Age=0", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=; Expires=Mon, 01 Jan 1500 00:00:00 GMT"} {
		j := New(mustURL(t, "https://vc.example.com"))
		receive(t, j, "https://vc.example.com", noon(), "a=1", "b=2")
		receive(t, j, "https://vc.example.com", noon(), line)
		if got := sent(t, j, "https://vc.example.com", noon()); got != "b=2" {
			t.Errorf("after %q: sent %q, want b=2", line, got)
		}
	}
	j := New(mustURL(t, "https://vc.example.com"))
	j.SetCookies(mustURL(t, "https://vc.example.com"), []*http.Cookie{{Name: "a", Value: "1"}})
	j.SetCookies(mustURL(t, "https://vc.example.com"), []*http.Cookie{{Name: "a", MaxAge: -1}})
	if got := j.All(); got != nil {
		t.Errorf("after MaxAge -1: got %v, want none", got)
	}
}

func TestNewestCookieOfANameAndPathWins(t *testing.T) {
	j := New(mustURL(t, "https://vc.example.com/sdk"))
	receive(t, j, "https://vc.example.com/sdk", noon(), "first=1", "s=old", "s=other; Path=/sdk")
	receive(t, j, "https://vc.example.com/sdk", noon(), "last=1", "s=new")
	if got, want := sent(t, j, "https://vc.example.com/sdk", noon()), "s=other; first=1; s=new; last=1"; got != want {
		t.Errorf("sent %q, want %q: the longest path first, then the place of the first cookie", got, want)
	}
}

func TestPath(t *testing.T) {
	tests := []struct {
		from, path, to string
		want           bool
	}{
		{"/sdk", "", "/", true}, // the directory of /sdk
		{"/sdk", "", "/api", true},
		{"", "", "", true},
		{"/sdk/vimService", "", "/sdk", true},
		{"/sdk/vimService", "", "/sdk/other", true},
		{"/sdk/vimService", "", "/api", false},
		{"/sdk", "/sdk", "/sdk", true},
		{"/sdk", "/sdk", "/sdk/vimService", true},
		{"/sdk", "/sdk", "/sdktunnel", false},
		{"/sdk", "/sdk/", "/sdk", false},
		{"/sdk", "/sdk/", "/sdk/vimService", true},
		{"/sdk", "/SDK", "/sdk", false},
		{"/sdk", "relative", "/api", true}, // no path: the default applies
		{"/sdk", "/api", "/sdk", false},
	}
	for _, tt := range tests {
		j := New(mustURL(t, "https://vc.example.com"))
		j.SetCookies(mustURL(t, "https://vc.example.com"+tt.from), []*http.Cookie{{Name: "a", Value: "1", Path: tt.path}})
		if got := len(j.Cookies(mustURL(t, "https://vc.example.com"+tt.to))) == 1; got != tt.want {
			t.Errorf("Path=%q from %q: sent to %q %t, want %t", tt.path, tt.from, tt.to, got, tt.want)
		}
	}
}

func TestMalformedCookiesAreRejected(t *testing.T) {
	tests := []struct {
		cookie *http.Cookie
		want   bool
	}{
		{&http.Cookie{Name: "a", Value: "1"}, true},
		{&http.Cookie{Name: "a", Value: ""}, true},
		{&http.Cookie{Name: "a", Value: "1", Quoted: true}, true},
		{&http.Cookie{Name: strings.Repeat("n", 1000), Value: strings.Repeat("v", 3095), Path: "/"}, true},

		{nil, false},
		{&http.Cookie{Name: "", Value: "1"}, false},
		{&http.Cookie{Name: "a b", Value: "1"}, false},
		{&http.Cookie{Name: "a\r\nX", Value: "1"}, false},
		{&http.Cookie{Name: "a", Value: "1\r\nX-Evil: 1"}, false},
		{&http.Cookie{Name: "a", Value: "1; b=2"}, false},
		{&http.Cookie{Name: "a", Value: `1"2`}, false},
		{&http.Cookie{Name: "a", Value: "\x00"}, false},
		{&http.Cookie{Name: "a", Value: "\u00e9"}, false},
		{&http.Cookie{Name: "a", Value: "1", Path: "/;x"}, false},
		{&http.Cookie{Name: strings.Repeat("n", 1000), Value: strings.Repeat("v", 3096), Path: "/"}, false},
	}
	for _, tt := range tests {
		u := mustURL(t, "https://vc.example.com")
		j := New(u)
		j.SetCookies(u, []*http.Cookie{tt.cookie})
		if got := len(j.All()) == 1; got != tt.want {
			t.Errorf("%.60q: kept %t, want %t", tt.cookie, got, tt.want)
		}
	}
}

func TestFloodDoesNotPushOutTheSession(t *testing.T) {
	u := mustURL(t, "https://vc.example.com")
	j := New(u)
	receive(t, j, u.String(), noon(), "short=1; Max-Age=60", "session=1")
	for i := range 200 {
		receive(t, j, u.String(), noon(), fmt.Sprintf("flood%d=1", i))
	}
	if got := len(j.all(noon())); got != maxCookies {
		t.Errorf("the jar holds %d cookies, want %d", got, maxCookies)
	}
	receive(t, j, u.String(), noon(), "session=2")
	if got := sent(t, j, u.String(), noon()); !strings.Contains(got, "session=2; flood0=1") {
		t.Errorf("the session was lost or not replaced: %q", got)
	}
	// An expired cookie makes room.
	receive(t, j, u.String(), noon().Add(time.Hour), "late=1")
	if got := sent(t, j, u.String(), noon().Add(time.Hour)); !strings.HasSuffix(got, "late=1") {
		t.Errorf("no room for a cookie although one has expired: %q", got)
	}
}

func TestSavedSessionIsRestored(t *testing.T) {
	endpoint := mustURL(t, "https://vc.example.com:8443/sdk")
	j := New(endpoint)
	receive(t, j, "https://vc.example.com:8443/ui/login", noon(),
		`vmware_soap_session="abc"; Domain=vc.example.com; Path=/; HttpOnly; Secure; SameSite=Strict`,
		"JSESSIONID=xyz; Max-Age=600")
	saved := j.all(noon())
	want := []*http.Cookie{
		{Name: "vmware_soap_session", Value: "abc", Quoted: true, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode},
		{Name: "JSESSIONID", Value: "xyz", Path: "/ui", Expires: noon().Add(10 * time.Minute)},
	}
	if diff := cmp.Diff(want, saved); diff != "" {
		t.Fatalf("All (-want +got):\n%s", diff)
	}

	restored := New(endpoint)
	restored.setCookies(endpoint, saved, noon().Add(5*time.Minute))
	if diff := cmp.Diff(want, restored.all(noon().Add(5*time.Minute))); diff != "" {
		t.Errorf("the restored jar differs (-want +got):\n%s", diff)
	}
	if got := restored.all(noon().Add(11 * time.Minute)); len(got) != 1 {
		t.Errorf("being saved has prolonged a cookie: %d of 1 left", len(got))
	}
	saved[0].Value = "changed"
	if got, want := sent(t, j, endpoint.String(), noon()), `vmware_soap_session="abc"`; got != want {
		t.Errorf("the jar shares memory with what All returned: sent %q, want %q", got, want)
	}
}

func TestJarWithoutOriginStaysEmpty(t *testing.T) {
	u := mustURL(t, "https://vc.example.com")
	for name, j := range map[string]*Jar{"zero": {}, "nil endpoint": New(nil), "no host": New(&url.URL{Scheme: "https"})} {
		j.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
		j.SetCookies(nil, []*http.Cookie{{Name: "a", Value: "1"}})
		if c, all := j.Cookies(u), j.All(); c != nil || all != nil {
			t.Errorf("%s: got %v and %v, want none", name, c, all)
		}
	}
	if got := New(u).Cookies(nil); got != nil {
		t.Errorf("Cookies(nil) = %v, want none", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	u := mustURL(t, "https://vc.example.com")
	j := New(u)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 100 {
				j.SetCookies(u, []*http.Cookie{{Name: fmt.Sprintf("c%d", i), Value: "1"}})
				j.Cookies(u)[0].Value = "mine to change"
				j.All()[0].Value = "mine too"
				_ = fmt.Sprint(j)
			}
		})
	}
	wg.Wait()
	for _, c := range j.All() {
		if c.Value != "1" {
			t.Errorf("%s has become %q, want 1", c.Name, c.Value)
		}
	}
}

// FuzzSetCookies keeps the promises of Jar for whatever a server answers.
func FuzzSetCookies(f *testing.F) {
	f.Add(`vmware_soap_session="0123456789abcdef"; Path=/; HttpOnly; Secure`, "https://vc.example.com/sdk")
	f.Add("a=1; Domain=.example.com; Max-Age=99999999999", "http://10.0.0.1:8080/")
	f.Add("vmware-api-session-id=x; Path=/api; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://[2001:db8::1%25eth0]:1/a/b")
	f.Fuzz(func(t *testing.T, line, from string) {
		u, err := url.Parse(from)
		if err != nil {
			return // no URL, no jar
		}
		j := New(u)
		j.setCookies(u, (&http.Response{Header: http.Header{"Set-Cookie": {line}}}).Cookies(), noon())
		all := j.all(noon())
		if len(all) > 1 {
			t.Fatalf("one header made %d cookies", len(all))
		}
		for _, c := range all {
			if err := c.Valid(); err != nil || c.Domain != "" || !strings.HasPrefix(c.Path, "/") {
				t.Errorf("kept %#v: %v", c, err)
			}
			again := New(u)
			again.setCookies(u, all, noon())
			if diff := cmp.Diff(all, again.all(noon())); diff != "" {
				t.Errorf("not restored (-saved +restored):\n%s", diff)
			}
		}
	})
}
