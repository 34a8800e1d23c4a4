package faults_test

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// serveAt puts another vCenter in the place of a lab's.
func serveAt(l *lab, vsphere, sts http.Handler) {
	mux := http.NewServeMux()
	mux.Handle("/", vsphere)
	mux.Handle("/sts/", sts)
	l.net.Serve(vcHost, mux)
}

func newVSphere(by *vmssotest.Authority) *vmssotest.VSphere {
	return vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{by.Certificate()}})
}

// Fault 42: vCenter restarts, and its objects have other IDs than before. The program goes on: the outcome of the call shows that the session is gone,
// and login and logout ask for the session manager anew.
func TestSessionIsReplacedAfterARestartWithOtherObjects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, tr := l.soap(t, tokensource.Static(bearer()))
		must(t, currentTime, c)

		l.net.Stop(vcHost)
		if _, _, err := currentTime(t.Context(), c); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("while it is down: error %v", err)
		}
		after := newVSphere(authority())
		after.Inject("RetrieveServiceContent", -1, spoilt(func(a *httptest.ResponseRecorder) {
			text(a, strings.ReplaceAll(a.Body.String(), ">SessionManager<", ">manager-2<"))
		}))
		named := map[string]int{}
		for _, op := range []string{"LoginByToken", "Logout"} {
			after.Inject(op, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				body, _ := io.ReadAll(r.Body)
				if strings.Contains(string(body), ">manager-2<") {
					named[op]++
				}
				r.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(body), ">manager-2<", ">SessionManager<")))
				next.ServeHTTP(w, r)
			})
		}
		serveAt(l, after, l.sts)
		must(t, currentTime, c)
		expect(t, after, 1, 1)
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		expect(t, after, 1, 0)
		if named["LoginByToken"] != 1 || named["Logout"] != 1 {
			t.Errorf("the new session manager was named in %v, want once in both", named)
		}
	})
}

// Fault 43: another vCenter, with another token service, has the name from one moment to the next. Its refusal of the old session leads to one token and
// one login.
func TestSessionIsReplacedAtAnotherVCenterOfTheName(t *testing.T) {
	foreign()
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		must(t, currentTime, c)
		must(t, currentTime, c)
		other := newVSphere(foreign())
		sts := vmssotest.NewSTS(vmssotest.STSConfig{Authority: foreign(), Users: map[string]string{user: password}})
		serveAt(l, other, sts)
		for range 3 {
			must(t, currentTime, c)
		}
		expect(t, other, 1, 1)
		if other.Refused() != 0 || sts.Issued() != 1 || l.sts.Issued() != 1 || l.vsphere.Calls("CurrentTime") != 2 {
			t.Errorf("%d refused logins, %d and %d tokens, %d calls to the old vCenter, want 0, 1, 1 and 2",
				other.Refused(), sts.Issued(), l.sts.Issued(), l.vsphere.Calls("CurrentTime"))
		}
	})
}

// Fault 44: the server is upgraded in between, from the login path of before 7.0 U2 to today's, and back by a restored backup. Each login finds out which
// one it has, and the logout goes where the login went.
func TestLoginPathIsFoundAnewAfterAnUpgrade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		trust := []*x509.Certificate{authority().Certificate()}
		old := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust, Legacy: true})
		upgraded := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust})
		restored := vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust, Legacy: true})
		l := newLab(t)
		c, tr := l.rest(t, tokensource.Static(bearer()))
		for _, tc := range []struct {
			server     *vmssotest.Automation
			path, list string
		}{
			{old, "/rest/com/vmware/cis/session", "/rest/vcenter/vm"},
			{upgraded, "/api/session", "/api/vcenter/vm"},
			{restored, "/rest/com/vmware/cis/session", "/rest/vcenter/vm"},
		} {
			l.net.Serve(vcHost, tc.server)
			for range 2 {
				if status, text, err := do(t.Context(), c, http.MethodGet, vcURL+tc.list, nil, nil); status != 200 || err != nil {
					t.Fatalf("%s: status %d, error %v, answer %s", tc.list, status, err, text)
				}
			}
			if n := tc.server.Calls("POST " + tc.path); n != 1 {
				t.Errorf("%d logins at %s, want 1", n, tc.path)
			}
			expect(t, tc.server, 1, 1)
		}
		if err := tr.Close(); err != nil || restored.Calls("DELETE /rest/com/vmware/cis/session") != 1 {
			t.Errorf("Close: %v", err)
		}
		expect(t, restored, 1, 0)
	})
}
