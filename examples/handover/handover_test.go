package main

import (
	"crypto/x509"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// authority signs the tokens of all tests but the example.
var authority = sync.OnceValue(vmssotest.NewAuthority)

func trust() []*x509.Certificate { return []*x509.Certificate{authority().Certificate()} }

func source() vmsso.TokenSource {
	return tokensource.Static(&vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})
}

// A director is a Cloud Director with a transport, and another program.
type director struct {
	*vmssotest.Director
	url       string
	transport *vmsso.Transport
	other     *otherProgram
}

func newDirector(t *testing.T, cfg vmsso.Config) *director {
	t.Helper()
	d := &director{Director: vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: trust()})}
	server := vmssotest.Listen(d.Director)
	t.Cleanup(server.Close)
	d.url = server.URL
	base := server.Transport()
	t.Cleanup(base.CloseIdleConnections)
	cfg.Endpoint, cfg.Source, cfg.Auth, cfg.Base = server.URL, source(), &vcloud.Authenticator{Org: "Finance"}, base
	var err error
	if d.transport, err = vmsso.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.transport.Close() })
	d.other = &otherProgram{system: &system{server: server, method: "GET", path: "/api/org", accept: "application/*+xml;version=37.0"}}
	d.handOver(t)
	return d
}

func (d *director) handOver(t *testing.T) {
	t.Helper()
	s, err := d.transport.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.other.header, d.other.value, err = takeToken(s); err != nil {
		t.Fatal(err)
	}
}

// want lets the other program make its call.
func (d *director) want(t *testing.T, status, when string) {
	t.Helper()
	if got, err := d.other.call(t.Context()); err != nil || !strings.HasPrefix(got, status) {
		t.Errorf("%s: the other program gets %s, %v, want %s", when, got, err, status)
	}
}

// ask makes a call through the transport.
func (d *director) ask(t *testing.T, method, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

// Nobody logs in for the other program, and what the transport gets at its next
// login is another session.
func TestOtherProgramIsNotLoggedInAgain(t *testing.T) {
	d := newDirector(t, vmsso.Config{})
	d.want(t, "200", "at first")
	d.Kill()
	d.want(t, "401", "after the end of the session")
	if n := d.Logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	d.ask(t, "GET", "/api/org")
	d.want(t, "401", "after the transport's next login")
	d.handOver(t)
	d.want(t, "200", "with what it is given anew")
	if n := d.Logins(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestLogoutOfTheOtherProgramIsNoticed(t *testing.T) {
	d := newDirector(t, vmsso.Config{})
	d.other.method, d.other.path, d.other.accept = "DELETE", "/cloudapi/1.0.0/sessions/current", "application/json;version=37.0"
	d.want(t, "204", "its logout")
	d.ask(t, "GET", "/api/org")
	if n := d.Logins(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// With a store the session outlives Close, so that a program can hand it over and
// end; Logout is what ends it.
func TestStoreKeepsTheOtherProgramsSessionAlive(t *testing.T) {
	store, err := cookiejar.NewFileStore(filepath.Join(t.TempDir(), "sessions"))
	if err != nil {
		t.Fatal(err)
	}
	d := newDirector(t, vmsso.Config{Store: store, Identity: "alice in Finance"})
	if err := d.transport.Close(); err != nil {
		t.Fatal(err)
	}
	d.want(t, "200", "after Close")
	again, err := vmsso.New(vmsso.Config{
		Endpoint: d.url, Source: source(), Auth: &vcloud.Authenticator{Org: "Finance"}, Base: d.other.server.Transport(), Store: store, Identity: "alice in Finance",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer again.CloseIdleConnections()
	defer again.Close()
	if err := again.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.want(t, "401", "after Logout")
}

// vCenter sets its cookie in quotes. They are no part of the value, but of the
// header.
func TestQuotesOfTheCookie(t *testing.T) {
	for _, quoted := range []bool{false, true} {
		vsphere := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trust()})
		server := vmssotest.Listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if quoted {
				w = quotes{w}
			}
			vsphere.ServeHTTP(w, r)
		}))
		base := server.Transport()
		transport, err := vmsso.New(vmsso.Config{Endpoint: server.URL, Source: source(), Auth: &soap.Authenticator{}, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		s, err := transport.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := soapCookie(s)
		if err != nil {
			t.Fatal(err)
		}
		want := "vmware_soap_session=" + c.Value
		if quoted {
			want = `vmware_soap_session="` + c.Value + `"`
		}
		if strings.Contains(c.Value, `"`) || c.Quoted != quoted || cookieLine(c) != want {
			t.Errorf("quoted %t: value %s, line %s, want %s", quoted, c.Value, cookieLine(c), want)
		}
		other := &otherProgram{&system{server: server, method: "POST", path: "/sdk", body: currentTime}, "Cookie", cookieLine(c)}
		if got, err := other.call(t.Context()); err != nil || got != "200 OK" {
			t.Errorf("quoted %t: the other program gets %s, %v", quoted, got, err)
		}
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
		base.CloseIdleConnections()
		server.Close()
	}
}

// quotes puts the values of cookies in quotes.
type quotes struct{ http.ResponseWriter }

func (q quotes) WriteHeader(status int) {
	q.quote()
	q.ResponseWriter.WriteHeader(status)
}

func (q quotes) Write(b []byte) (int, error) {
	q.quote()
	return q.ResponseWriter.Write(b)
}

func (q quotes) quote() {
	for i, line := range q.Header()["Set-Cookie"] {
		q.Header()["Set-Cookie"][i] = unquoted.ReplaceAllString(line, `$1="$2"`)
	}
}

var unquoted = regexp.MustCompile(`^([^=]+)=([^;"]+)`)

func TestSessionOfAnotherSystemIsAnError(t *testing.T) {
	sessions := map[string]*vmsso.Session{
		"SOAP":         {Cookies: []*http.Cookie{{Name: "vmware_soap_session", Value: "s3cr3t"}}},
		"Automation":   {Header: http.Header{"Vmware-Api-Session-Id": {"s3cr3t"}}},
		"Director":     {Header: http.Header{"Authorization": {"Bearer s3cr3t"}}},
		"old Director": {Header: http.Header{"X-Vcloud-Authorization": {"s3cr3t"}}},
	}
	for name, take := range map[string]func(*vmsso.Session) (string, string, error){"SOAP": takeCookie, "Automation": takeID, "Director": takeToken} {
		for kind, s := range sessions {
			_, value, err := take(s)
			if ok := kind == name; ok != (err == nil) || ok != strings.Contains(value, "s3cr3t") {
				t.Errorf("%s of a session of %s: %v", name, kind, err)
			}
		}
	}
}
