package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestEachCredentialLogsIn once, and asks for what must not be on the command line.
func TestEachCredentialLogsIn(t *testing.T) {
	l := newLab(t)
	token := l.write("machine.xml", l.holderToken())
	both := l.write("both.pem", l.read(l.file("cert.pem"))+l.read(l.file("key.pem")))
	vcenter := []string{"-vcenter", l.vcenter.URL, "-ca", l.file("ca.pem")}
	director := []string{"-director", l.director.URL, "-ca", l.file("ca.pem")}
	cert := []string{"-cert", l.file("cert.pem"), "-key", l.file("key.pem")}
	viaSTS := []string{"-org", "Finance", "-sts", l.vcenter.URL, "-audience", demoEntityID}
	for _, tt := range []struct {
		name   string
		server []string
		who    []string
		env    map[string]string
		answer string // to the question for a password
	}{
		{name: "password in a file", server: vcenter, who: []string{"-user", demoUser, "-password-file", l.file("password")}},
		{name: "password in a variable", server: vcenter, who: []string{"--user", demoUser}, env: map[string]string{"VMCURL_PASSWORD": demoPassword}},
		{name: "password asked for", server: vcenter, who: []string{"-user", demoUser}, answer: demoPassword},
		{name: "certificate", server: vcenter, who: cert},
		{name: "certificate and key in one file", server: vcenter, who: []string{"-cert", both}},
		{name: "certificate and password", server: vcenter, who: append([]string{"-user", demoUser, "-password-file", l.file("password")}, cert...)},
		{name: "token with its key", server: vcenter, who: append([]string{"-token", token}, cert...)},
		{name: "variables of govc", env: map[string]string{
			"GOVC_URL": l.vcenter.URL, "GOVC_USERNAME": demoUser, "GOVC_PASSWORD": demoPassword, "GOVC_TLS_CA_CERTS": l.file("ca.pem"),
		}},
		{name: "variables of govc, the server too", server: vcenter, env: map[string]string{
			"GOVC_URL": l.vcenter.URL, "GOVC_CERTIFICATE": l.file("cert.pem"), "GOVC_PRIVATE_KEY": l.file("key.pem"),
		}},
		{name: "the server of govc", who: []string{"-user", demoUser, "-password-file", l.file("password")}, env: map[string]string{
			"GOVC_URL": l.vcenter.URL, "GOVC_TLS_CA_CERTS": l.file("ca.pem"),
		}},
		{name: "tenant, bearer token", server: director, who: []string{"-org", "Finance", "-token", l.file("token.xml")}},
		{name: "provider, bearer token", server: director, who: []string{"-token", l.file("token.xml")}},
		{name: "tenant, password of a vCenter", server: director, who: append([]string{"-user", demoUser, "-password-file", l.file("password")}, viaSTS...)},
		{name: "tenant, certificate of a vCenter", server: director, who: append(cert, viaSTS...)},
		{name: "tenant, variables", server: director, env: map[string]string{
			"GOVC_URL": l.vcenter.URL, "GOVC_USERNAME": demoUser, "GOVC_PASSWORD": demoPassword,
			"VCD_URL": l.director.URL + "/api", "VCD_ORG": "Finance", "VCD_SAML_ADFS_RPT_ID": demoEntityID,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &lab{demoServers: l.demoServers, t: t, cache: t.TempDir(), env: tt.env}
			if tt.answer != "" {
				l.answer = func(context.Context) (string, error) { return tt.answer, nil }
			}
			path, before := "/api/vcenter/vm", l.logins()
			if strings.Contains(strings.Join(tt.server, " "), "-director") {
				path = "/cloudapi/1.0.0/vms"
			}
			for range 2 { // the second time nobody is asked
				if got := l.ok(append(append(append([]string{}, tt.server...), tt.who...), path)...); !strings.Contains(got, vms) {
					t.Errorf("got %q, want the VMs", got)
				}
			}
			want := 0
			if tt.answer != "" {
				want = 1
			}
			if n := l.logins() - before; n != 1 || len(l.asked) != want {
				t.Errorf("%d logins, want 1; asked %q, want %d questions", n, l.asked, want)
			}
		})
	}
}

// holderToken is a holder-of-key token for the solution user's key.
func (l *lab) holderToken() string {
	l.t.Helper()
	pair, err := tls.LoadX509KeyPair(l.file("cert.pem"), l.file("key.pem"))
	if err != nil {
		l.t.Fatal(err)
	}
	base := l.vcenter.Transport()
	defer base.CloseIdleConnections()
	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: l.vcenter.URL, Certificate: &pair, Base: base})
	if err != nil {
		l.t.Fatal(err)
	}
	token, err := source.Token(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + token.Assertion + "\n"
}

// TestPKCS12 is that of openssl, with a password that is in a file or asked for.
func TestPKCS12(t *testing.T) {
	const file, password = "../../tokensource/testdata/modern.p12", "pässwörd €"
	pair, err := tokensource.LoadPKCS12(file, password)
	if err != nil {
		t.Fatal(err)
	}
	authority := vmssotest.NewAuthority()
	mux := http.NewServeMux()
	mux.Handle("/sts/", vmssotest.NewSTS(vmssotest.STSConfig{Authority: authority, SolutionUsers: map[string]*x509.Certificate{"test": pair.Leaf}}))
	automation := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	mux.Handle("/", automation)
	server := vmssotest.Listen(mux)
	defer server.Close()
	l := newLab(t)
	args := []string{"-vcenter", server.URL, "-thumbprint", thumbprint(server.Certificate()), "-p12", file, "/api/vcenter/vm"}

	l.answer = func(context.Context) (string, error) { return "wrong", nil }
	if r := l.run(args...); r.status != statusUsage || !strings.Contains(r.stderr, "the password is not the file's") {
		t.Errorf("wrong password: status %d, stderr %q; want 2 and why", r.status, r.stderr)
	}
	l.answer = func(context.Context) (string, error) { return password, nil }
	l.ok(args...)
	if got := l.asked[len(l.asked)-1]; got != "Password of "+file+": " {
		t.Errorf("asked %q", got)
	}
	l.cache = t.TempDir()
	l.ok(append([]string{"-password-file", l.write("p", password+"\n")}, args...)...)
	if got := automation.Logins(); got != 2 {
		t.Errorf("%d logins, want 2", got)
	}
}

// TestSessionIsKeptBetweenRuns: one login for five runs, and none is left after
// -logout, which needs no password.
func TestSessionIsKeptBetweenRuns(t *testing.T) {
	l := newLab(t)
	l.stdin = demoMessage
	for _, args := range [][]string{l.machine("/api/vcenter/vm"), l.machine("/sdk"), l.alice(l.file("password"), "/sdk"), l.bob("/api/org")} {
		before, tokens := l.logins(), l.services.STS.Issued()
		for range 5 {
			l.ok(args...)
		}
		if got, tokens := l.logins()-before, l.services.STS.Issued()-tokens; got != 1 || tokens > 1 {
			t.Errorf("%v: %d logins with %d tokens, want 1", args, got, tokens)
		}
	}
	if got := l.sessions(); got != 4 {
		t.Fatalf("%d sessions, want 4: two of backup, one of alice, one of bob", got)
	}
	issued := l.services.STS.Issued()
	for _, tt := range []struct {
		args []string
		left int
	}{
		{l.machine("-logout"), 2}, // both of them
		{[]string{"-vcenter", l.vcenter.URL, "-ca", l.file("ca.pem"), "-user", demoUser, "-logout"}, 1},
		{l.bob("-logout"), 0},
	} {
		for range 2 { // the second time there is none to end
			l.ok(tt.args...)
			if got := l.sessions(); got != tt.left {
				t.Errorf("%v: %d sessions left, want %d", tt.args, got, tt.left)
			}
		}
	}
	if got := l.services.STS.Issued() - issued; got != 0 || l.asked != nil {
		t.Errorf("%d tokens were got, asked %q; want none", got, l.asked)
	}
}

// TestNobodyGetsAnothersSession: another user, certificate or organization is
// another login.
func TestNobodyGetsAnothersSession(t *testing.T) {
	l := newLab(t)
	both := append(l.machine("/api/vcenter/vm"), "-user", demoUser, "-password-file", l.file("password"))
	provider := []string{"-director", l.director.URL, "-ca", l.file("ca.pem"), "-token", l.file("token.xml"), "/cloudapi/1.0.0/vms"}
	for i, args := range [][]string{
		l.machine("/api/vcenter/vm"), l.alice(l.file("password"), "/api/vcenter/vm"), both, l.bob("/cloudapi/1.0.0/vms"), provider,
	} {
		for range 2 {
			if l.ok(args...); l.logins() != i+1 {
				t.Errorf("%q: %d logins, want %d", args, l.logins(), i+1)
			}
		}
	}
	l.ok(append(provider, "-org", "system")...)
	l.ok(append(provider, "-director", strings.ToUpper(l.director.URL))...)
	if got := l.logins(); got != 5 {
		t.Errorf("%d logins, want 5: the provider under other names is one", got)
	}
}

// TestEndedSessionIsReplaced, and -logout does not mind one.
func TestEndedSessionIsReplaced(t *testing.T) {
	l := newLab(t)
	file := l.write("body.json", `{"n":1}`)
	for range 3 {
		if got := l.ok(l.machine("-d", "@"+file, "/api/echo")...); got != `{"n":1}` {
			t.Errorf("got %q", got)
		}
		l.services.Automation.Kill()
	}
	if got := l.services.Automation.Logins(); got != 3 {
		t.Errorf("%d logins, want 3", got)
	}
	l.ok(l.machine("-logout")...)
}

// TestParallelRunsMakeOneLogin, each as a process would.
func TestParallelRunsMakeOneLogin(t *testing.T) {
	l := newLab(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if r := l.run(l.alice(l.file("password"), "/api/vcenter/vm")...); r.status != 0 {
				t.Errorf("status %d, stderr %q", r.status, r.stderr)
			}
		})
	}
	all.Wait()
	if got := l.services.Automation.Logins(); got != 1 || l.services.STS.Issued() != 1 {
		t.Errorf("%d logins with %d tokens, want 1", got, l.services.STS.Issued())
	}
}

func TestNoStoreLogsOut(t *testing.T) {
	l := newLab(t)
	l.ok(l.machine("-no-store", "/api/vcenter/vm")...)
	if files, err := os.ReadDir(l.cache); err != nil || len(files) > 0 || l.sessions() != 0 || l.logins() != 1 {
		t.Errorf("%d sessions after %d logins, files %v; want 0, 1, none", l.sessions(), l.logins(), files)
	}
}

// TestWrongPasswordIsSentOnce, however often it is tried, over SOAP or REST, one
// after the other or at once; the right one is sent at once.
func TestWrongPasswordIsSentOnce(t *testing.T) {
	l := newLab(t)
	wrong := l.write("wrong", "hunter2-hunter2")
	l.stdin = demoMessage
	var all sync.WaitGroup
	for range 2 {
		for _, path := range []string{"/api/vcenter/vm", "/sdk"} {
			all.Go(func() {
				r := l.run(l.alice(wrong, path)...)
				if r.status != statusDenied || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "vmcurl: ") {
					t.Errorf("status %d, stderr %q; want 67 and one line", r.status, r.stderr)
				}
			})
		}
	}
	all.Wait()
	if got := l.run(l.alice(wrong, "/api/vcenter/vm")...); got.status != statusDenied || !strings.Contains(got.stderr, "nothing was sent") {
		t.Errorf("again: status %d, stderr %q; want 67 and that nothing was sent", got.status, got.stderr)
	}
	if got := l.services.STS.Failures(); got != 1 {
		t.Errorf("the wrong password was sent %d times, want once", got)
	}
	if got := l.ok(l.alice(l.file("password"), "/api/vcenter/vm")...); !strings.Contains(got, vms) {
		t.Errorf("the right password: got %q", got)
	}
	err := filepath.WalkDir(l.cache, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(l.read(path), "hunter2") {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTwoWrongPasswordsAreEnough for three minutes, in which five lock an account.
func TestTwoWrongPasswordsAreEnough(t *testing.T) {
	l := newLab(t)
	for _, password := range []string{"first", "first", "second", "third", demoPassword} {
		if r := l.run(l.alice(l.write("p", password), "/api/vcenter/vm")...); r.status != statusDenied {
			t.Errorf("%s: got %+v, want 67", password, r)
		}
	}
	if got := l.services.STS.Failures(); got != 2 || l.services.STS.Issued() != 0 || l.services.STS.Locked(demoUser) {
		t.Errorf("%d wrong passwords and %d right ones were sent, want 2 and none", got, l.services.STS.Issued())
	}
}

// TestNobodyIsAskedInVain: not for a server that is not trusted or not there.
func TestNobodyIsAskedInVain(t *testing.T) {
	l := newLab(t)
	if r := l.run("-vcenter", l.vcenter.URL, "-user", demoUser, "/api/vcenter/vm"); r.status != statusNotTrusted || l.asked != nil {
		t.Errorf("status %d, asked %q; want 60 and no question", r.status, l.asked)
	}
	if r := l.run("-vcenter", closedPort(t), "-user", demoUser, "/api/vcenter/vm"); r.status != statusNoConnect || l.asked != nil {
		t.Errorf("status %d, asked %q; want 7 and no question", r.status, l.asked)
	}
}
