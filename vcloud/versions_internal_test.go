package vcloud

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

// TestVersionsAreComparedByTheDocumentedRule: each of the list is higher than
// all before it.
func TestVersionsAreComparedByTheDocumentedRule(t *testing.T) {
	order := []string{"1.0", "1.5", "5.1", "5.5", "5.6", "5.10", "9.0", "20.0", "27.0", "29.0", "33.0", "38.0", "38.1", "39.0", "39.1", "40.0", "9.0.0", "9.0.1", "9.1", "9.1.0", "9.1.1", "9.10.0", "10.0.0"}
	for i, a := range order {
		for j, b := range order {
			x, ok := parseVersion(a)
			y, ok2 := parseVersion(b)
			if got, want := compare(x, y), cmp.Compare(i, j); !ok || !ok2 || got != want {
				t.Errorf("compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
	for _, none := range []string{"", "39", "39.", ".1", "39.0.0.0", "39.0-alpha", "-1.0", "+1.0", "a.b", "99999.0", "1 .0", "0x1.0"} {
		if n, ok := parseVersion(none); ok {
			t.Errorf("%q is read as %v", none, n)
		}
	}
}

const document = `<?xml version="1.0" encoding="UTF-8"?>
<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions">
<VersionInfo deprecated="false"><Version>38.1</Version><LoginUrl>https://h/cloudapi/1.0.0/sessions</LoginUrl><ProviderLoginUrl>https://h/cloudapi/1.0.0/sessions/provider</ProviderLoginUrl></VersionInfo>
<VersionInfo deprecated="true"><Version>5.6</Version><LoginUrl> https://h/api/sessions </LoginUrl><MediaTypeMapping><MediaType>x</MediaType></MediaTypeMapping></VersionInfo>
<VersionInfo><Version>next</Version><LoginUrl>https://h/x</LoginUrl></VersionInfo>
<AlphaVersion deprecated="false"><Version>99.0</Version><LoginUrl>https://h/x</LoginUrl></AlphaVersion>
</SupportedVersions>`

func TestVersionsDocument(t *testing.T) {
	v, err := parseVersions([]byte(document))
	if err != nil || len(v) != 2 {
		t.Fatalf("got %v, %v, want two versions", v, err)
	}
	old, current := v[0], v[1]
	if old.text != "5.6" || !old.deprecated || old.loginURL != "https://h/api/sessions" || old.provider != "" {
		t.Errorf("got %+v", old)
	}
	if current.text != "38.1" || current.deprecated || current.loginURL != "https://h/cloudapi/1.0.0/sessions" || current.provider != current.loginURL+"/provider" {
		t.Errorf("got %+v", current)
	}
	for _, bad := range []string{"", "<html></html>", "<SupportedVersions/>", `<SupportedVersions><AlphaVersion><Version>1.0</Version></AlphaVersion></SupportedVersions>`, "<SupportedVersions><VersionInfo>", `<!DOCTYPE x [<!ENTITY e "5.6">]><SupportedVersions><VersionInfo><Version>&e;</Version></VersionInfo></SupportedVersions>`} {
		if v, err := parseVersions([]byte(bad)); err == nil {
			t.Errorf("%.40q is read as %v", bad, v)
		}
	}
}

func TestSystemThatTellsNoVersions(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		say    string
	}{
		{404, "", "is this a Cloud Director?"},
		{401, "", "is this a Cloud Director?"},
		{200, "<html>Please log in</html>", "no list of API versions"},
		{302, "", "redirected to portal.example.test"},
	} {
		rt := roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tc.status, Header: http.Header{"Location": {"https://portal.example.test/?a=b"}}, Body: io.NopCloser(strings.NewReader(tc.body)), Request: req}, nil
		})
		_, err := getVersions(context.Background(), rt, &url.URL{Scheme: "https", Host: "h"})
		var le *vmsso.LoginError
		if !errors.As(err, &le) || le.Status != tc.status || !strings.Contains(err.Error(), tc.say) || errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("%d: got %v, want one that says %q", tc.status, err, tc.say)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestLoginWithoutAUsableURL(t *testing.T) {
	system := &url.URL{Scheme: "https", Host: "h"}
	for _, at := range []string{"", "/api/sessions", "https://", "%zz", "https://user@other/api/sessions", "ftp://h/api/sessions"} {
		a := &Authenticator{Org: "Finance"}
		if way, err := a.choose(versions{{text: "39.0", number: []int{39, 0}, loginURL: at}}, system); err == nil {
			t.Errorf("%q leads to %+v, want an error", at, way)
		}
	}
}

func TestExpiryIsReadFromTheToken(t *testing.T) {
	for _, tc := range []struct {
		token string
		want  int64 // 0: none
	}{
		{"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE4MDAwMDAwMDB9.c2ln", 1800000000}, // {"exp":1800000000}
		{"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOi0xfQ.c2ln", 0},                    // {"exp":-1}
		{"eyJhbGciOiJSUzI1NiJ9.e30.c2ln", 0},                               // {}
		{"a.b.c", 0},
		{"a.b", 0},
		{"", 0},
	} {
		got := expiry(tc.token)
		if tc.want == 0 && !got.IsZero() || tc.want != 0 && got.Unix() != tc.want {
			t.Errorf("%s: got %v, want %d", tc.token, got, tc.want)
		}
	}
}

func TestErrorsOfTheSystemAreRead(t *testing.T) {
	for _, tc := range []struct{ body, code, text string }{
		{`<Error xmlns="http://www.vmware.com/vcloud/v1.5" majorErrorCode="401" minorErrorCode="ACCESS_TO_RESOURCE_IS_FORBIDDEN" message="not allowed"/>`, "ACCESS_TO_RESOURCE_IS_FORBIDDEN", "not allowed"},
		{`{"minorErrorCode":"UNAUTHORIZED","message":"no","stackTrace":null}`, "UNAUTHORIZED", "no"},
		{"", "", ""},
		{"<html/>", "", ""},
		{"[]", "", ""},
	} {
		if code, text := readError([]byte(tc.body)); code != tc.code || text != tc.text {
			t.Errorf("%s: got %q, %q, want %q, %q", tc.body, code, text, tc.code, tc.text)
		}
	}
}

// FuzzVersions: whatever a server answers, there is an error or a sorted list of
// versions, and the token goes to no other origin.
func FuzzVersions(f *testing.F) {
	f.Add([]byte(document), "Finance", "")
	f.Add([]byte(strings.ReplaceAll(document, "https://h/", "https://h.evil.test/")), "", "38.1")
	f.Add([]byte(strings.ReplaceAll(document, "38.1", "9.0.0")), "System", "9.0.0")
	f.Add([]byte("<SupportedVersions/>"), "", "")
	f.Fuzz(func(t *testing.T, text []byte, org, wanted string) {
		v, err := parseVersions(text)
		if (err == nil) != (len(v) > 0) {
			t.Fatalf("%d versions, %v", len(v), err)
		}
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(v, func(a, b offer) int { return compare(a.number, b.number) }) {
			t.Errorf("not in order: %v", v)
		}
		a := &Authenticator{Org: org, Version: wanted}
		way, err := a.choose(v, &url.URL{Scheme: "https", Host: "h"})
		if err != nil {
			return
		}
		if wanted != "" && way.version != wanted {
			t.Errorf("chose version %s, want %s", way.version, wanted)
		}
		c := newCall(&url.URL{Scheme: "https", Host: "h"}, http.MethodPost, way)
		if u, err := url.Parse(c.URL.String()); err != nil || u.Scheme != "https" || u.Host != "h" {
			t.Errorf("the token would go to %v, %v", u, err)
		}
	})
}
