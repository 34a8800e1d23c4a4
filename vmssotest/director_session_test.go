package vmssotest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso/vmssotest"
)

// directorCall is a request with a session, described by its headers.
func directorCall(h http.Handler, op, body string, fields ...string) *httptest.ResponseRecorder {
	method, target, _ := strings.Cut(op, " ")
	r := httptest.NewRequest(method, "https://vcd.example.test"+target, strings.NewReader(body))
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return send(h, r)
}

func bearerOf(h http.Header) string { return "Bearer " + h.Get("X-Vmware-Vcloud-Access-Token") }

// jwtClaims reads the middle of a JWT.
func jwtClaims(t testing.TB, jwt string) (claims struct {
	Sub, Iss, JTI string
	Exp           int64
}) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", jwt)
	}
	for _, part := range parts {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		if part == parts[1] {
			if err := json.Unmarshal(data, &claims); err != nil {
				t.Fatal(err)
			}
		}
	}
	return claims
}

// Which headers carry a session, and which contradict each other. In the values JWT and TOKEN stand for those of the session, JWT2 and TOKEN2 for those
// of another that lives, DEADJWT and DEADTOKEN for those of one that is over.
var directorCredentials = []struct {
	op     string
	fields []string
	want   int
	reason string // "": none
}{
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "bearer JWT"}, 200, ""},
	{"GET /api/org", []string{"Accept", "application/*;version=39.0", "Authorization", "Bearer JWT"}, 200, ""},
	{"GET /cloudapi/1.0.0/vms", []string{"Accept", json37, "Authorization", "Bearer JWT"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "TOKEN"}, 200, ""},
	{"GET /cloudapi/1.0.0/vms", []string{"Accept", json37, "X-Vcloud-Authorization", "TOKEN"}, 200, ""},
	{"PUT /transfer/a", []string{"Accept", xml37, "Authorization", "Bearer JWT"}, 200, ""},

	// What belongs together.
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vcloud-Authorization", "TOKEN"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vcloud-Authorization", "JWT"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Access-Token", "JWT", "X-Vmware-Vcloud-Token-Type", "Bearer"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "vcloud_jwt=JWT; vcloud_session_id=TOKEN"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "a=b"}, 200, ""},

	// Nothing, or nothing that counts.
	{"GET /api/org", []string{"Accept", xml37}, 401, ""},
	{"GET /cloudapi/1.0.0/vms", []string{"Accept", json37}, 401, ""},
	{"PUT /transfer/a", nil, 401, ""},
	{"GET /api/unknown", []string{"Accept", xml37}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Cookie", "vcloud_jwt=JWT; vcloud_session_id=TOKEN"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "X-Vmware-Vcloud-Access-Token", "JWT"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "JWT"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", ""}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer vmsso"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer TOKEN"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Basic JWT"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Basic YTpi"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "JWT"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "vmsso"}, 401, ""},
	{"GET /api/org", []string{"Accept", "application/*+xml;version=38.0", "X-Vcloud-Authorization", "TOKEN"}, 401, ""},

	// A session that is over, with everything that belonged to it.
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer DEADJWT"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "DEADTOKEN"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer DEADJWT", "X-Vcloud-Authorization", "DEADTOKEN", "Cookie", "vcloud_jwt=DEADJWT"}, 401, ""},

	// What does not belong together.
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Authorization", "Bearer JWT"}, 400, "twice"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Authorization", "Bearer vmsso"}, 400, "twice"},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "TOKEN", "X-Vcloud-Authorization", "TOKEN"}, 400, "twice"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Access-Token", "JWT", "X-Vmware-Vcloud-Access-Token", "JWT"}, 400, "twice"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vcloud-Authorization", "vmsso"}, 400, "header X-Vcloud-Authorization"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vcloud-Authorization", "TOKEN2"}, 400, "header X-Vcloud-Authorization"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vcloud-Authorization", "DEADTOKEN"}, 400, "header X-Vcloud-Authorization"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Access-Token", "vmsso"}, 400, "header X-Vmware-Vcloud-Access-Token"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Access-Token", "JWT2"}, 400, "header X-Vmware-Vcloud-Access-Token"},
	{"GET /api/org", []string{"Accept", xml37, "X-Vcloud-Authorization", "TOKEN", "X-Vmware-Vcloud-Access-Token", "DEADJWT"}, 400, "header X-Vmware-Vcloud-Access-Token"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "vcloud_jwt=DEADJWT"}, 400, "cookie vcloud_jwt"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "vcloud_jwt=JWT; vcloud_session_id=TOKEN2"}, 400, "cookie vcloud_session_id"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "vcloud-token=1"}, 400, "cookie vcloud-token"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "Cookie", "vcloud_jwt=JWT; vcloud_jwt=JWT2"}, 400, "cookie vcloud_jwt"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer DEADJWT", "X-Vcloud-Authorization", "TOKEN"}, 400, "header X-Vcloud-Authorization"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Basic YTpi", "X-Vmware-Vcloud-Access-Token", "JWT"}, 400, "header X-Vmware-Vcloud-Access-Token"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", `SIGN token="YQ==",org="Finance"`}, 400, "which is no login"},
	{"GET /api/session", []string{"Accept", xml37, "Authorization", `Sign token="YQ=="`, "X-Vcloud-Authorization", "TOKEN"}, 400, "which is no login"},
	{"PUT /transfer/a", []string{"Authorization", `SIGN token="YQ==",org="Finance"`}, 400, "which is no login"},

	// What comes after authentication.
	{"GET /api/org", []string{"Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /api/org", []string{"Accept", json37, "Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /cloudapi/1.0.0/vms", []string{"Accept", xml37, "Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /cloudapi/1.0.0/vms", []string{"Accept", "application/*+json;version=37.0", "Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /api/org", []string{"Accept", "application/*+xml;version=31.0", "Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /api/org", []string{"Accept", "application/*+xml;version=31.0", "X-Vcloud-Authorization", "TOKEN"}, 406, "Accept"},
	{"PUT /transfer/a", []string{"Authorization", "Bearer JWT"}, 406, "Accept"},
	{"GET /api/org", []string{"Accept", "application/*+xml;version=31.0", "Authorization", "Bearer vmsso"}, 401, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "A93C9DB9-7471-3192-8d09-a8f7eeda85f9"}, 200, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "urn:vcloud:org:a93c9db9-7471-3192-8d09-a8f7eeda85f9"}, 401, "tenant context"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "a93c9db9-7471-3192-8d09-a8f7eeda85f"}, 401, "tenant context"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "a93c9db9-7471-3192-8d09-a8f7eeda85f9a"}, 401, "tenant context"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "a93c9db9-7471-3192-8d09-a8f7eeda85fg"}, 401, "tenant context"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "a93c9db9074710319208d090a8f7eeda85f9"}, 401, "tenant context"},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Vmware-Vcloud-Tenant-Context", "Finance"}, 401, "tenant context"},
	{"GET /api/admin", []string{"Accept", xml37, "Authorization", "Bearer JWT"}, 403, ""},
	{"GET /api/org", []string{"Accept", xml37, "Authorization", "Bearer JWT", "X-Fill", strings.Repeat("a", 8192)}, 431, "8192 are allowed"},
}

func TestDirectorCredentials(t *testing.T) {
	d := newDirector(nil)
	dead := logIn(t, d, nil)
	d.Kill()
	live, other := logIn(t, d, nil), logIn(t, d, nil)
	names := strings.NewReplacer(
		"DEADJWT", dead.Get("X-Vmware-Vcloud-Access-Token"), "DEADTOKEN", dead.Get("X-Vcloud-Authorization"),
		"JWT2", other.Get("X-Vmware-Vcloud-Access-Token"), "TOKEN2", other.Get("X-Vcloud-Authorization"),
		"JWT", live.Get("X-Vmware-Vcloud-Access-Token"), "TOKEN", live.Get("X-Vcloud-Authorization"))
	for _, test := range directorCredentials {
		var fields []string
		for i := 0; i < len(test.fields); i += 2 {
			fields = append(fields, test.fields[i], names.Replace(test.fields[i+1]))
		}
		before := len(d.Reasons())
		w := directorCall(d, test.op, "", fields...)
		if w.Code != test.want {
			t.Errorf("%s with %q: status %d, want %d", test.op, test.fields, w.Code, test.want)
		}
		if w.Code == 401 && (w.Body.Len() > 0 || w.Header().Get("Content-Length") != "0") {
			t.Errorf("%s with %q: 401 with a body: %s", test.op, test.fields, w.Body)
		}
		got := strings.Join(d.Reasons()[before:], "; ")
		if !strings.Contains(got, test.reason) || (got == "") != (test.reason == "") {
			t.Errorf("%s with %q: reason %q, want %q", test.op, test.fields, got, test.reason)
		}
	}
	if d.Refused() != 0 || d.Sessions() != 2 {
		t.Errorf("refused %d, sessions %d: only logins can be refused, and no request ends a session", d.Refused(), d.Sessions())
	}
}

// The headers of a login, by version: what there is to go on with.
func TestDirectorLoginHeaders(t *testing.T) {
	const newCookies, oldCookies = "vcloud_jwt=JWT; Path=/; HttpOnly; Secure, vcloud_session_id=TOKEN; Path=/; HttpOnly; Secure", "vcloud-token=TOKEN; Path=/; Secure"
	for _, test := range []struct {
		version, path, accept string
		jwt, token            bool
		cookies               string
	}{
		{"5.1", "/api/sessions", "application/*+xml", false, true, oldCookies},
		{"9.0", "/api/sessions", "application/*+xml", false, true, oldCookies},
		{"29.0", "/api/sessions", "application/*+xml", false, true, oldCookies},
		{"30.0", "/api/sessions", "application/*+xml", true, true, newCookies},
		{"37.0", "/api/sessions", "application/*+xml", true, true, newCookies},
		{"37.0", tenants, "application/json", true, false, newCookies},
		{"9.0.0", tenants, "application/json", true, false, newCookies},
	} {
		d := newDirector(versions(test.version))
		h := logIn(t, d, at(test.path, "Finance", test.accept+";version="+test.version))
		jwt, token, kind := h.Get("X-Vmware-Vcloud-Access-Token"), h.Get("X-Vcloud-Authorization"), h.Get("X-Vmware-Vcloud-Token-Type")
		if (jwt != "") != test.jwt || (kind == "Bearer") != test.jwt || (len(token) == 32) != test.token {
			t.Errorf("%s %s: JWT %q, type %q, token %q", test.version, test.path, jwt, kind, token)
		}
		if !test.token {
			token = jwtClaims(t, jwt).JTI
		}
		cookies := strings.Join(h["Set-Cookie"], ", ")
		if want := strings.NewReplacer("JWT", jwt, "TOKEN", token).Replace(test.cookies); cookies != want {
			t.Errorf("%s %s: cookies %q, want %q", test.version, test.path, cookies, want)
		}
		// The id of a session of /cloudapi is no X-Vcloud-Authorization.
		want := 200
		if !test.token {
			want = 401
		}
		if w := directorCall(d, "GET /api/org", "", "Accept", "application/*;version="+test.version, "X-Vcloud-Authorization", token); w.Code != want {
			t.Errorf("%s %s: with the token: status %d, want %d", test.version, test.path, w.Code, want)
		}
	}
}

func TestDirectorSessionEnds(t *testing.T) {
	now := noon()
	d := newDirector(func(c *vmssotest.DirectorConfig) {
		c.Now, c.Idle, c.Lifetime = func() time.Time { return now }, time.Minute, 150*time.Second+999*time.Millisecond // exp has no fraction
	})
	var h http.Header
	status := func() int {
		return directorCall(d, "GET /api/org", "", "Accept", xml37, "Authorization", bearerOf(h)).Code
	}
	h = logIn(t, d, nil)
	if got, want := jwtClaims(t, h.Get("X-Vmware-Vcloud-Access-Token")).Exp, noon().Add(150*time.Second).Unix(); got != want {
		t.Errorf("exp %d, want %d", got, want)
	}
	for range 2 { // each request extends the session
		now = now.Add(time.Minute)
		if got := status(); got != 200 {
			t.Errorf("after %s: status %d", now.Sub(noon()), got)
		}
	}
	now = now.Add(30*time.Second - 1)
	if got := status(); got != 200 {
		t.Errorf("before exp: status %d", got)
	}
	now = now.Add(1)
	if got := status(); got != 401 || d.Sessions() != 1 {
		t.Errorf("at exp: status %d, sessions %d", got, d.Sessions())
	}
	if w := directorCall(d, "GET /api/org", "", "Accept", xml37, "Authorization", bearerOf(h), "X-Vcloud-Authorization", h.Get("X-Vcloud-Authorization")); w.Code != 401 {
		t.Errorf("at exp, with all headers: status %d", w.Code)
	}
	if w := directorCall(d, "GET /api/org", "", "Accept", xml37, "X-Vcloud-Authorization", h.Get("X-Vcloud-Authorization")); w.Code != 200 {
		t.Errorf("at exp, without the JWT: status %d", w.Code)
	}
	h = logIn(t, d, nil)
	now = now.Add(time.Minute + 1)
	if got := status(); got != 401 || d.Sessions() != 0 {
		t.Errorf("idle for too long: status %d, sessions %d", got, d.Sessions())
	}
	h = logIn(t, d, nil)
	if d.Kill() != 1 || d.Kill() != 0 || status() != 401 || d.Sessions() != 0 {
		t.Error("a killed session lives")
	}
	h = logIn(t, d, nil)
	now = now.Add(time.Minute) // a request that is answered with 404 or 406 extends the session too
	if w := directorCall(d, "GET /api/unknown", "", "Authorization", bearerOf(h)); w.Code != 406 {
		t.Errorf("status %d", w.Code)
	}
	now = now.Add(time.Minute)
	if got := status(); got != 200 {
		t.Errorf("status %d", got)
	}
}

// The defaults: half an hour idle, an hour for the JWT.
func TestDirectorDefaults(t *testing.T) {
	now := noon()
	d := newDirector(func(c *vmssotest.DirectorConfig) { c.Now = func() time.Time { return now } })
	h := logIn(t, d, nil)
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{30 * time.Minute, 200}, {30*time.Minute - 1, 200}, {1, 401}} {
		now = now.Add(test.after)
		if w := directorCall(d, "GET /api/org", "", "Accept", xml37, "Authorization", bearerOf(h)); w.Code != test.want {
			t.Errorf("at %s: status %d, want %d", now.Sub(noon()), w.Code, test.want)
		}
	}
	h = logIn(t, d, nil)
	now = now.Add(30*time.Minute + 1)
	if w := directorCall(d, "GET /api/org", "", "Accept", xml37, "Authorization", bearerOf(h)); w.Code != 401 {
		t.Errorf("idle for more than half an hour: status %d", w.Code)
	}
}

func TestDirectorLogout(t *testing.T) {
	const own = tenants + "/urn:vcloud:session:"
	for _, test := range []struct {
		op, accept string
		want       int
	}{
		{"DELETE /api/session", xml37, 204},
		{"DELETE /api/session", "application/*+xml;version=38.0", 404},
		{"DELETE " + tenants + "/current", "application/json;version=38.0", 204},
		{"DELETE " + own + "ID", json37, 204},
		{"DELETE " + own + "ID2", json37, 404},
		{"DELETE " + tenants, json37, 405},
		{"DELETE " + provider, json37, 405},
		{"DELETE /api/sessions", xml37, 405},
	} {
		var ids []string
		d := newDirector(func(c *vmssotest.DirectorConfig) {
			c.OnLogin = func(l vmssotest.DirectorLogin) { ids = append(ids, l.Session) }
		})
		h, _ := logIn(t, d, nil), logIn(t, d, nil)
		op := strings.NewReplacer("ID2", ids[1], "ID", ids[0]).Replace(test.op)
		w := directorCall(d, op, "", "Accept", test.accept, "Authorization", bearerOf(h))
		left := 2
		if test.want == 204 {
			left = 1
		}
		if w.Code != test.want || d.Sessions() != left || d.Calls(op) != 1 {
			t.Errorf("%s: status %d, want %d; %d sessions are left", op, w.Code, test.want, d.Sessions())
		}
		again := directorCall(d, "GET /api/session", "", "Accept", xml37, "Authorization", bearerOf(h))
		if (again.Code == 401) != (left == 1) {
			t.Errorf("%s: then status %d", op, again.Code)
		}
	}
}

// Logins at once are counted, and so are the sessions.
func TestDirectorConcurrentLogins(t *testing.T) {
	d := newDirector(nil)
	var both sync.WaitGroup
	both.Add(2)
	d.Inject("POST /api/sessions", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		both.Done()
		both.Wait()
		next.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	for range 2 {
		r := newSignIn().build(t)
		wg.Go(func() { send(d, r) })
	}
	wg.Wait()
	if d.MaxConcurrentLogins() != 2 || d.Logins() != 2 || d.Sessions() != 2 || d.Calls("POST /api/sessions") != 2 {
		t.Errorf("at a time %d, logins %d, sessions %d", d.MaxConcurrentLogins(), d.Logins(), d.Sessions())
	}
}

func TestDirectorInject(t *testing.T) {
	d := newDirector(nil)
	d.Inject("POST /api/sessions", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if w := send(d, newSignIn().build(t)); w.Code != http.StatusServiceUnavailable || d.Refused() != 0 {
		t.Errorf("status %d", w.Code)
	}
	auth := bearerOf(logIn(t, d, nil))
	read := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		next.ServeHTTP(w, r)
	}
	const large = 4<<20 + 1
	d.Inject("", -1, read)
	for _, test := range []struct{ op, body, want string }{
		{"POST /api/echo", "body", "body"},
		{"PUT /transfer/a", "body", "0"},
	} {
		if w := directorCall(d, test.op, test.body, "Accept", xml37, "Authorization", auth); w.Body.String() != test.want {
			t.Errorf("%s: status %d, answer %q", test.op, w.Code, w.Body)
		}
	}
	if w := directorCall(d, "POST /api/echo", strings.Repeat("a", large), "Accept", xml37, "Authorization", auth); w.Code != 413 {
		t.Errorf("status %d", w.Code)
	}
	d.Inject("", 0, nil)
	d.Inject("PUT /transfer/a/b", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
	if w := directorCall(d, "PUT /transfer/a/b", strings.Repeat("a", large), "Accept", xml37, "Authorization", auth); w.Body.String() != fmt.Sprint(large) {
		t.Errorf("status %d, answer %q", w.Code, w.Body)
	}
	d.Inject("", 1, func(http.ResponseWriter, *http.Request, http.Handler) { t.Error("called") })
	if w := directorCall(d, "GET /api/org", "", "X-Fill", strings.Repeat("a", 8192)); w.Code != 431 {
		t.Errorf("status %d: a header that is too large comes before everything else", w.Code)
	}
}
