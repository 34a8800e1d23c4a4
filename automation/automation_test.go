package automation_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answers returns the answers one after the other and notes what was asked.
func answers(asked *[]string, list ...string) roundTripper {
	return func(req *http.Request) (*http.Response, error) {
		*asked = append(*asked, req.Method+" "+req.URL.RequestURI())
		if len(list) == 0 {
			return nil, errors.New("no answer is left")
		}
		status, body, _ := strings.Cut(list[0], " ")
		list = list[1:]
		code := map[string]int{"200": 200, "201": 201, "204": 204, "401": 401, "403": 403, "404": 404, "405": 405, "500": 500, "503": 503}[status]
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	}
}

func vectorToken(t *testing.T) *vmsso.Token {
	t.Helper()
	text, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		t.Fatal(err)
	}
	return &vmsso.Token{Assertion: strings.TrimSpace(string(text))}
}

var endpoint = &url.URL{Scheme: "https", Host: "vc.example.test", Path: "/sdk"}

func TestLoginReadsWhatServersAnswer(t *testing.T) {
	const (
		unauthenticated = `{"error_type":"UNAUTHENTICATED","messages":[{"args":[],"default_message":"This method requires authentication.","id":"vapi.method.authentication.required"}]}`
		oldStyle        = `{"type":"com.vmware.vapi.std.errors.unauthenticated","value":{"messages":[{"args":[],"default_message":"This method requires authentication.","id":"vapi.method.authentication.required"}]}}`
		full            = `{"error_type":"SERVICE_UNAVAILABLE","messages":[{"default_message":"User session count is limited to 550","id":"com.vmware.vapi.endpoint.failedToLoginMaxUserSessionCountReached"}]}`
		api, rest       = "POST /api/session", "POST /rest/com/vmware/cis/session"
	)
	for _, tc := range []struct {
		name    string
		answers []string
		asked   string
		id      string // of the session
		want    error
		says    string
	}{
		{"api", []string{`201 "abc"`}, api, "abc", nil, ""},
		{"api with 200", []string{`200 "abc"`}, api, "abc", nil, ""},
		{"before 7.0U2", []string{"404 ", `200 {"value":"abc"}`}, api + " " + rest, "abc", nil, ""},
		{"method not allowed", []string{"405 ", `200 {"value":"abc"}`}, api + " " + rest, "abc", nil, ""},
		{"neither", []string{"404 ", "404 "}, api + " " + rest, "", nil, "HTTP 404"},
		{"refused", []string{"401 " + unauthenticated}, api, "", vmsso.ErrRejected, "vapi.method.authentication.required: This method requires authentication."},
		{"refused without a word", []string{"401 "}, api, "", vmsso.ErrRejected, "delegatable"},
		{"refused by rest", []string{"404 ", "401 " + oldStyle}, api + " " + rest, "", vmsso.ErrRejected, "This method requires authentication."},
		{"forbidden", []string{"403 "}, api, "", vmsso.ErrRejected, "HTTP 403"},
		{"too many sessions", []string{"503 " + full}, api, "", vmsso.ErrSessionLimit, "limited to 550"},
		{"broken", []string{"500 <html>"}, api, "", nil, "HTTP 500"},
		{"no JSON", []string{"201 <html>"}, api, "", nil, "no session ID"},
		{"another JSON", []string{`201 {"value":"abc"}`}, api, "", nil, "no session ID"},
		{"no value", []string{"404 ", `200 {}`}, api + " " + rest, "", nil, "not usable"},
		{"null", []string{`201 null`}, api, "", nil, "not usable"},
		{"empty", []string{`201 ""`}, api, "", nil, "not usable"},
		{"a second header", []string{`201 "abc\r\nX: y"`}, api, "", nil, "not usable"},
		{"not ASCII", []string{`201 "äbc"`}, api, "", nil, "not usable"},
		{"long", []string{`201 "` + strings.Repeat("x", 16<<10+1) + `"`}, api, "", nil, "not usable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			a := &automation.Authenticator{}
			s, err := a.Login(t.Context(), answers(&asked, tc.answers...), endpoint, vectorToken(t))
			if got := strings.Join(asked, " "); got != tc.asked {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
			if tc.id != "" {
				if err != nil || s.Header.Get("Vmware-Api-Session-Id") != tc.id || len(s.Cookies) != 0 {
					t.Errorf("got %v, %v, want the session %s", s, err, tc.id)
				}
				return
			}
			var le *vmsso.LoginError
			if s != nil || !errors.As(err, &le) || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || le.Endpoint != "vc.example.test" {
				t.Errorf("got %v, %v, want %v that says %q", s, err, tc.want, tc.says)
			}
			if tc.want == nil && errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("%v counts as a refusal of the token", err)
			}
		})
	}
}

func TestProbeAndLogoutUseThePathOfTheLogin(t *testing.T) {
	for _, tc := range []struct {
		login         []string
		probe, logout string
	}{
		{[]string{`201 "abc"`}, "GET /api/session", "DELETE /api/session"},
		{[]string{"404 ", `200 {"value":"abc"}`}, "POST /rest/com/vmware/cis/session?~action=get", "DELETE /rest/com/vmware/cis/session"},
	} {
		var asked []string
		a := &automation.Authenticator{}
		s, err := a.Login(t.Context(), answers(&asked, tc.login...), endpoint, vectorToken(t))
		if err != nil {
			t.Fatal(err)
		}
		asked = nil
		for _, step := range []struct {
			answer string
			f      func(http.RoundTripper) error
			want   error
		}{
			{"200 {}", func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, nil},
			{"401 {}", func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, vmsso.ErrNoSession},
			{"204 ", func(rt http.RoundTripper) error { return a.Logout(t.Context(), rt, endpoint, s) }, nil},
			{"401 {}", func(rt http.RoundTripper) error { return a.Logout(t.Context(), rt, endpoint, s) }, nil},
		} {
			if err := step.f(answers(&asked, step.answer)); !errors.Is(err, step.want) || step.want == nil && err != nil {
				t.Errorf("%s: got %v, want %v", step.answer, err, step.want)
			}
		}
		if got, want := strings.Join(asked, ", "), strings.Join([]string{tc.probe, tc.probe, tc.logout, tc.logout}, ", "); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if err := a.Probe(t.Context(), answers(&asked, "500 "), endpoint, s); err == nil || errors.Is(err, vmsso.ErrNoSession) {
			t.Errorf("a broken server: %v, want an error that is not ErrNoSession", err)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		method, uri string
		want        vmsso.Class
	}{
		{"POST", "/api/session", vmsso.OwnLogin},
		{"GET", "/api/session", vmsso.Normal},
		{"DELETE", "/api/session", vmsso.OwnLogout},
		{"POST", "/rest/com/vmware/cis/session", vmsso.OwnLogin},
		{"POST", "/rest/com/vmware/cis/session?~action=get", vmsso.Normal},
		{"DELETE", "/rest/com/vmware/cis/session", vmsso.OwnLogout},
		{"DELETE", "/api/vcenter/vm/vm-1", vmsso.Normal},
		{"POST", "/api/session/more", vmsso.Normal},
		{"GET", "/api/vcenter/vm", vmsso.Normal},
	} {
		req, err := http.NewRequest(tc.method, "https://vc.example.test"+tc.uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&automation.Authenticator{}).Classify(req, nil); got != tc.want {
			t.Errorf("%s %s: class %d, want %d", tc.method, tc.uri, got, tc.want)
		}
	}
}
