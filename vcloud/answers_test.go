package vcloud_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vcloud"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// An answer is what a system says to the one request after the other.
type answer struct {
	status int
	header http.Header
	body   string
}

// answers first lists the versions, and then gives the answers.
func answers(asked *[]string, versions []string, list ...answer) roundTripper {
	return func(req *http.Request) (*http.Response, error) {
		a := answer{status: 599}
		if req.URL.Path == "/api/versions" {
			a = answer{200, nil, "<SupportedVersions>"}
			for _, v := range versions {
				login := "/api/sessions"
				if v >= "36" || v == "9.0.0" {
					login = "/cloudapi/1.0.0/sessions"
				}
				a.body += "<VersionInfo><Version>" + v + "</Version><LoginUrl>" + host + login + "</LoginUrl></VersionInfo>"
			}
			a.body += "</SupportedVersions>"
		} else {
			*asked = append(*asked, req.Method+" "+req.URL.Path+" "+req.Header.Get("Accept"))
			if len(list) > 0 {
				a, list = list[0], list[1:]
			}
		}
		if a.header == nil {
			a.header = http.Header{}
		}
		return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
	}
}

func withToken(token string) http.Header { return http.Header{"X-Vmware-Vcloud-Access-Token": {token}} }

func TestLoginReadsWhatSystemsAnswer(t *testing.T) {
	const (
		tenant = "POST /cloudapi/1.0.0/sessions application/json;version=39.0"
		legacy = "POST /api/sessions application/*+xml;version=37.0"
	)
	long := strings.Repeat("x", 16<<10+1)
	both := []string{"37.0", "39.0"}
	tok := bearer()
	for _, tc := range []struct {
		name     string
		a        *vcloud.Authenticator
		versions []string
		answers  []answer
		asked    string
		token    string // of the session
		want     error
		say      string
	}{
		{"success", &vcloud.Authenticator{}, both, []answer{{200, withToken("a.b.c"), "{}"}}, tenant, "a.b.c", nil, ""},
		{"success with 201", &vcloud.Authenticator{}, both, []answer{{201, withToken("a.b.c"), ""}}, tenant, "a.b.c", nil, ""},
		{"no token", &vcloud.Authenticator{}, both, []answer{{200, nil, "<html>"}}, tenant, "", nil, "is this a Cloud Director?"},
		{"a token that would be a second header", &vcloud.Authenticator{}, both, []answer{{200, withToken("a\r\nX: y"), ""}}, tenant, "", nil, "not usable"},
		{"a token with a blank", &vcloud.Authenticator{}, both, []answer{{200, withToken("a b"), ""}}, tenant, "", nil, "not usable"},
		{"a long token", &vcloud.Authenticator{}, both, []answer{{200, withToken(long), ""}}, tenant, "", nil, "not usable"},
		{"a long token of the older kind", &vcloud.Authenticator{}, both, []answer{{200, http.Header{"X-Vcloud-Authorization": {long}}, ""}}, tenant, "", nil, "not usable"},
		{"refused", &vcloud.Authenticator{Org: "Finance"}, both, []answer{{401, nil, ""}}, tenant, "", vmsso.ErrRejected, `organization "Finance"`},
		{"forbidden", &vcloud.Authenticator{}, both, []answer{{403, nil, `{"minorErrorCode":"NOPE","message":"no"}`}}, tenant, "", vmsso.ErrRejected, "NOPE: no"},
		{"the token echoed", &vcloud.Authenticator{}, both, []answer{{403, nil, `{"message":"` + strings.ReplaceAll(tok.Assertion[:150], `"`, "'") + `"}`}}, tenant, "", vmsso.ErrRejected, "[redacted]"},
		{"busy", &vcloud.Authenticator{}, both, []answer{{503, nil, ""}}, tenant, "", nil, "HTTP 503"},
		{"redirected", &vcloud.Authenticator{}, both, []answer{{307, http.Header{"Location": {"https://evil.test/?token=x"}}, ""}}, tenant, "", nil, "redirected to evil.test"},
		{"not there, then success", &vcloud.Authenticator{}, both, []answer{{404, nil, ""}, {200, withToken("a.b.c"), ""}}, tenant + ", " + legacy, "a.b.c", nil, ""},
		{"neither is there", &vcloud.Authenticator{}, both, []answer{{404, nil, ""}, {404, nil, ""}}, tenant + ", " + legacy, "", nil, "HTTP 404"},
		{"the older one is not there, and is not asked twice", &vcloud.Authenticator{Version: "35.0"}, []string{"35.0"}, []answer{{404, nil, ""}}, "POST /api/sessions application/*+xml;version=35.0", "", nil, "HTTP 404"},
		{"a path of one's own is not there", &vcloud.Authenticator{LoginPath: "/x/sessions"}, both, []answer{{404, nil, ""}}, "POST /x/sessions application/*;version=39.0", "", nil, "HTTP 404"},
		{"VCF Automation has no older one", &vcloud.Authenticator{}, []string{"9.0.0"}, []answer{{404, nil, ""}}, "POST /cloudapi/1.0.0/sessions application/json;version=9.0.0", "", nil, "HTTP 404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			s, err := tc.a.Login(t.Context(), answers(&asked, tc.versions, tc.answers...), endpoint, tok)
			if got := strings.Join(asked, ", "); got != tc.asked {
				t.Errorf("asked %s, want %s", got, tc.asked)
			}
			if tc.token != "" {
				if err != nil || s.Header.Get("Authorization") != "Bearer "+tc.token {
					t.Errorf("got %v, %v, want a session", s, err)
				}
				return
			}
			if s != nil || failed(err) == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.say) || strings.Contains(err.Error(), "token=x") {
				t.Errorf("got %v, %v, want %v that says %q", s, err, tc.want, tc.say)
			}
			if tc.want == nil && errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("%v counts as a refusal of the token", err)
			}
		})
	}
}

func TestLinksBeyondMeasureAreLeftOut(t *testing.T) {
	for size, want := range map[int]int{100: 1, 64 << 10: 0} {
		header := withToken("a.b.c")
		header.Set("Link", "<https://h/"+strings.Repeat("x", size)+`>;rel="entityResolver"`)
		var asked []string
		raw, err := (&vcloud.Authenticator{}).Login(t.Context(), answers(&asked, []string{"39.0"}, answer{200, header, `{"user":{"name":"bob"}}`}), endpoint, bearer())
		if err != nil {
			t.Fatal(err)
		}
		if s, err := vcloud.ReadSession(raw); err != nil || len(s.Links) != want {
			t.Errorf("%d bytes: %v, links %.40q, want %d", size, err, s.Links, want)
		}
	}
}

func TestProbeAndLogout(t *testing.T) {
	var asked []string
	a := &vcloud.Authenticator{}
	s, err := a.Login(t.Context(), answers(&asked, []string{"39.0"}, answer{200, withToken("eyJ.s3cr3t-s3cr3t-s3cr3t.x"), ""}), endpoint, bearer())
	if err != nil {
		t.Fatal(err)
	}
	other := errors.New("another error than ErrNoSession")
	for _, tc := range []struct {
		status        int
		probe, logout error
	}{
		{200, nil, nil},
		{204, nil, nil},
		{401, vmsso.ErrNoSession, nil},
		{403, other, other},
		{404, other, nil},
		{500, other, other},
	} {
		for name, f := range map[string]struct {
			call func(http.RoundTripper) error
			want error
		}{
			"GET":    {func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, tc.probe},
			"DELETE": {func(rt http.RoundTripper) error { return a.Logout(t.Context(), rt, endpoint, s) }, tc.logout},
		} {
			asked = nil
			err := f.call(answers(&asked, nil, answer{tc.status, nil, `{"message":"Bearer eyJ.s3cr3t-s3cr3t-s3cr3t.x is not welcome"}`}))
			if len(asked) != 1 || asked[0] != name+" /cloudapi/1.0.0/sessions/current application/json;version=39.0" {
				t.Errorf("asked %q", asked)
			}
			ok := err == nil
			if f.want != nil {
				ok = err != nil && errors.Is(err, vmsso.ErrNoSession) == (f.want == vmsso.ErrNoSession)
			}
			if !ok {
				t.Errorf("%s, %d: got %v, want %v", name, tc.status, err, f.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error holds the token: %v", err)
			}
		}
	}
}
