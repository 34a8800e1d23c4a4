package toyprotocol_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/examples/toyprotocol"
	"github.com/vmsso/vmsso/vmssotest"
)

// A roundTripper answers every request with one text, and counts.
type roundTripper struct {
	status int
	header http.Header
	body   io.Reader
	asked  []string
	read   int64 // bytes of the body
	closed int
}

func (rt *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	rt.asked = append(rt.asked, req.Method+" "+req.URL.String())
	return &http.Response{StatusCode: rt.status, Header: rt.header, Body: rt, Request: req}, nil
}

func (rt *roundTripper) Read(p []byte) (int, error) {
	n, err := rt.body.Read(p)
	rt.read += int64(n)
	return n, err
}

func (rt *roundTripper) Close() error {
	rt.closed++
	return nil
}

var endpoint = &url.URL{Scheme: "https", Host: "toy.example.test:8443", Path: "/sdk"}

// blanks is a body without an end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestLoginSaysWhatFailedAndWhatToDo(t *testing.T) {
	tok := &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   io.Reader
		want   error // nil: none of the kinds
		says   string
	}{
		{"refused", 401, nil, strings.NewReader(`{"error":"bad assertion"}`), vmsso.ErrRejected, `"bad assertion"`},
		{"refused without a word", 403, nil, strings.NewReader(""), vmsso.ErrRejected, "check that the system trusts the token's issuer"},
		{"refused as a session", 401, nil, strings.NewReader(`{"error":"no ticket"}`), vmsso.ErrRejected, "HTTP 401"},
		{"refused with an echo", 401, nil, strings.NewReader(`{"error":"` + strings.ReplaceAll(tok.Assertion, `"`, `'`) + `"}`), vmsso.ErrRejected, "HTTP 401"},
		{"locked", 403, nil, strings.NewReader(`{"error":"locked"}`), vmsso.ErrLocked, "wait until the lock ends"},
		{"full", 503, http.Header{"Retry-After": {"90"}}, strings.NewReader(`{"error":"full"}`), vmsso.ErrSessionLimit, "not tried again for 1m30s"},
		{"large", 431, nil, strings.NewReader(""), vmsso.ErrHeaderTooLarge, "fewer groups"},
		{"broken", 500, nil, strings.NewReader("<html>"), nil, "is this the URL of a toy system?"},
		{"a redirect", 307, http.Header{"Location": {"https://other.example.test/login"}}, strings.NewReader(""), nil, "give the final URL"},
		{"a login page", 200, nil, strings.NewReader("<html>"), nil, "is a proxy or login page in the way?"},
		{"cut", 200, nil, strings.NewReader(`{"ticket":"t-`), nil, "unexpected EOF"},
		{"nothing", 200, nil, strings.NewReader(""), nil, "EOF"},
		{"without end", 200, nil, blanks{}, nil, "EOF"},
		{"no ticket", 200, nil, strings.NewReader(`{}`), nil, "cannot be a header field"},
		{"a second header", 200, nil, strings.NewReader(`{"ticket":"t-1\r\nX: y"}`), nil, "cannot be a header field"},
		{"a long ticket", 200, nil, strings.NewReader(`{"ticket":"` + strings.Repeat("t", 1025) + `"}`), nil, "cannot be a header field"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt := &roundTripper{status: tc.status, header: tc.header, body: tc.body}
			s, err := (&toyprotocol.Authenticator{}).Login(t.Context(), rt, endpoint, tok)
			var le *vmsso.LoginError
			if s != nil || !errors.As(err, &le) || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, %v, want %v that says %q", s, err, tc.want, tc.says)
			}
			if tc.want == nil && errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("%v counts as a refusal of the token", err)
			}
			if le.Endpoint != "toy.example.test:8443" || le.Stage != "POST /login" || le.Status != tc.status {
				t.Errorf("%v does not tell where it failed", err)
			}
			if strings.Contains(err.Error(), tok.Assertion[:20]) {
				t.Errorf("%v shows the token", err)
			}
			if len(rt.asked) != 1 || rt.asked[0] != "POST https://toy.example.test:8443/login" {
				t.Errorf("asked %q, want one login", rt.asked)
			}
			if rt.closed != 1 || rt.read > 64<<10 {
				t.Errorf("the body was closed %d times after %d bytes, want once and 64 KiB at most", rt.closed, rt.read)
			}
		})
	}
}

func TestTokenThatCannotWorkIsNotSent(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claims := vmssotest.Claims{Subject: "alice@vsphere.local"}
	bearer := authority().Issue(claims)
	claims.Holder = authority().Certificate()
	for name, tok := range map[string]*vmsso.Token{
		"no XML":          {Assertion: "alice"},
		"holder-of-key":   {Assertion: authority().Issue(claims)},
		"bearer, and key": {Assertion: bearer, Key: key},
	} {
		rt := &roundTripper{}
		s, err := (&toyprotocol.Authenticator{}).Login(t.Context(), rt, endpoint, tok)
		var le *vmsso.LoginError
		if s != nil || !errors.Is(err, vmsso.ErrUnsupportedToken) || !errors.As(err, &le) || le.Stage != "token" || len(rt.asked) != 0 {
			t.Errorf("%s: got %v, %v after %q, want ErrUnsupportedToken before anything is sent", name, s, err, rt.asked)
		}
	}
}

func TestProbeAndLogoutKnowADeadSession(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		dead   bool
		fails  bool // for another reason
	}{
		{204, "", false, false},
		{200, `{}`, false, false},
		{401, `{"error":"no ticket"}`, true, false},
		{401, `{"error":"not yours"}`, false, true},
		{500, "", false, true},
		{302, "", false, true},
	} {
		a := &toyprotocol.Authenticator{}
		for _, method := range []string{"GET", "DELETE"} {
			rt := &roundTripper{status: tc.status, body: strings.NewReader(tc.body)}
			s := &vmsso.Session{Header: http.Header{"Toy-Ticket": {"t-1"}}, Created: time.Now()}
			ask, wantErr := a.Probe, tc.dead || tc.fails
			if method == "DELETE" {
				ask, wantErr = a.Logout, tc.fails
			}
			err := ask(t.Context(), rt, endpoint, s)
			if (err != nil) != wantErr || errors.Is(err, vmsso.ErrNoSession) != (tc.dead && wantErr) {
				t.Errorf("%s, status %d, %q: got %v", method, tc.status, tc.body, err)
			}
			if len(rt.asked) != 1 || rt.asked[0] != method+" https://toy.example.test:8443/login" || rt.closed != 1 {
				t.Errorf("asked %q and closed %d bodies, want one %s", rt.asked, rt.closed, method)
			}
		}
	}
}

// A body that is looked at reads the same, and is closed as before.
func TestExpiredLeavesTheBodyAsItWas(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   vmsso.Verdict
	}{
		{401, `{"error":"no ticket"}`, vmsso.Yes},
		{401, `{"error":"not yours"}`, vmsso.No},
		{401, `{"error":"no ticket"` + strings.Repeat(" ", 2000) + `}`, vmsso.No}, // no answer of this system
		{401, "", vmsso.No},
		{403, `{"error":"no ticket"}`, vmsso.No},
		{200, `{"error":"no ticket"}`, vmsso.No},
	} {
		rt := &roundTripper{status: tc.status, body: strings.NewReader(tc.body)}
		resp := &http.Response{StatusCode: tc.status, Body: rt}
		if got := (&toyprotocol.Authenticator{}).Expired(resp); got != tc.want || rt.read > 512 && tc.status == 401 {
			t.Errorf("status %d, %q: verdict %d after %d bytes, want %d", tc.status, tc.body, got, rt.read, tc.want)
		}
		text, err := io.ReadAll(resp.Body)
		if string(text) != tc.body || err != nil || resp.Body.Close() != nil || rt.closed != 1 {
			t.Errorf("status %d: then the body is %q, %v, want %q; closed %d times", tc.status, text, err, tc.body, rt.closed)
		}
	}
}

// What is here can be written in any other module.
func TestPublicAPISuffices(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if strings.Contains(spec.Path.Value, "internal") {
				t.Errorf("%s imports %s", file, spec.Path.Value)
			}
		}
	}
}
