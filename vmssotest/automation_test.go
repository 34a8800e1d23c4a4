package vmssotest

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	apiUnauthenticated = `{"error_type":"UNAUTHENTICATED","messages":[{"args":[],"default_message":"This method requires authentication.","id":"vapi.method.authentication.required"}]}`

	restUnauthenticated = `{"type":"com.vmware.vapi.std.errors.unauthenticated","value":{"messages":[{"args":[],"default_message":"This method requires authentication.","id":"vapi.method.authentication.required"}]}}`
)

// automationCall sends a request with a session.
func automationCall(h http.Handler, session, op, body string) *httptest.ResponseRecorder {
	method, target, _ := strings.Cut(op, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if session != "" {
		r.Header.Set(sessionHeader, session)
	}
	return serve(h, r)
}

// automationSession logs in with a bearer token.
func automationSession(t testing.TB, h http.Handler) string {
	t.Helper()
	a := newAutomationLogin()
	a.bearer()
	var id string
	w := serve(h, a.build(t))
	if err := json.Unmarshal(w.Body.Bytes(), &id); err != nil || w.Code != http.StatusCreated || len(id) != 32 {
		t.Fatalf("login: status %d, answer %s", w.Code, w.Body)
	}
	return id
}

func TestAutomationSession(t *testing.T) {
	now := testTime()
	v := newTestAutomation(func(c *AutomationConfig) { c.Now = func() time.Time { return now } })
	id := automationSession(t, v)
	now = now.Add(30 * time.Minute)
	const vms = `[{"vm":"vm-1","name":"web01","power_state":"POWERED_ON","cpu_count":2,"memory_size_MiB":4096},` +
		`{"vm":"vm-2","name":"web02","power_state":"POWERED_ON","cpu_count":2,"memory_size_MiB":4096},` +
		`{"vm":"vm-3","name":"db01","power_state":"POWERED_OFF","cpu_count":4,"memory_size_MiB":16384}]`
	info := func(accessed string) string {
		return `{"user":"alice@vsphere.local","created_time":"2026-05-04T12:00:00.000Z","last_accessed_time":"2026-05-04T` + accessed + `"}`
	}
	for _, test := range []struct {
		op, body string
		status   int
		want     string
	}{
		{"GET /api/session", "", 200, info("12:00:00.000Z")},
		{"GET /api/session", "", 200, info("12:30:00.000Z")},
		{"POST /rest/com/vmware/cis/session?~action=get", "", 200, `{"value":` + info("12:30:00.000Z") + `}`},
		{"GET /api/vcenter/vm", "", 200, vms},
		{"GET /rest/vcenter/vm", "", 200, `{"value":` + vms + `}`},
		{"POST /api/echo", "\x00 any", 200, "\x00 any"},
		{"PUT /api/content/a/b", "12345", 201, "5"},
		{"GET /api/content/a", "", 404, `{"error_type":"NOT_FOUND","messages":[{"args":[],"default_message":"Not found.","id":"com.vmware.vapi.rest.httpNotFound"}]}`},
		{"GET /rest/x", "", 404, `{"type":"com.vmware.vapi.std.errors.not_found","value":{"messages":[{"args":[],"default_message":"Not found.","id":"com.vmware.vapi.rest.httpNotFound"}]}}`},
		{"POST /rest/com/vmware/cis/session?~action=x", "", 404, ""},
		{"GET /sdk", "", 404, "404 page not found\n"},
		{"DELETE /api/session", "", 204, ""},
		{"GET /api/vcenter/vm", "", 401, apiUnauthenticated},
		{"GET /rest/vcenter/vm", "", 401, restUnauthenticated},
		{"DELETE /api/session", "", 401, apiUnauthenticated},
		{"GET /api/unknown", "", 401, apiUnauthenticated},
	} {
		w := automationCall(v, id, test.op, test.body)
		if w.Code != test.status {
			t.Errorf("%s: status %d, want %d", test.op, w.Code, test.status)
		}
		if diff := cmp.Diff(test.want, w.Body.String()); diff != "" && test.want != "" {
			t.Errorf("%s: (-want +got)\n%s", test.op, diff)
		}
	}
	if v.Calls("GET /api/vcenter/vm") != 2 || v.Calls("POST /rest/com/vmware/cis/session?~action=get") != 1 || v.Calls("POST "+legacySession) != 0 || v.Calls("") != 0 {
		t.Error("calls are counted wrong")
	}
	if v.Sessions() != 0 || v.Logins() != 1 || v.Refused() != 0 || v.MaxConcurrentLogins() != 1 {
		t.Errorf("sessions %d, logins %d, refused %d, at a time %d", v.Sessions(), v.Logins(), v.Refused(), v.MaxConcurrentLogins())
	}
}

func TestAutomationLegacy(t *testing.T) {
	v := newTestAutomation(func(c *AutomationConfig) { c.Legacy = true })
	a := newAutomationLogin()
	if w := serve(v, a.build(t)); w.Code != http.StatusNotFound || v.Refused() != 0 || v.MaxConcurrentLogins() != 0 {
		t.Errorf("status %d, refused %d, at a time %d", w.Code, v.Refused(), v.MaxConcurrentLogins())
	}
	a.target = legacySession
	w := serve(v, a.build(t))
	var answer struct{ Value string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || v.Sessions() != 1 {
		t.Fatalf("status %d, answer %s, reasons %q", w.Code, w.Body, v.Reasons())
	}
	if got, want := w.Header().Get("Set-Cookie"), sessionHeader+"="+answer.Value+"; Path=/rest; HttpOnly"; got != want {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
	if w := automationCall(v, answer.Value, "GET /rest/vcenter/vm", ""); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	if w := automationCall(v, answer.Value, "GET /api/session", ""); w.Code != http.StatusNotFound {
		t.Errorf("GET /api/session: status %d", w.Code)
	}
	if w := automationCall(v, answer.Value, "DELETE "+legacySession, ""); w.Code != http.StatusOK || v.Sessions() != 0 {
		t.Errorf("status %d, sessions %d", w.Code, v.Sessions())
	}
	a.nonce = nonceAt(testTime().Add(time.Millisecond), "1")
	a.header.Set(headerAuthn, "true")
	if w := serve(v, a.build(t)); w.Code != http.StatusOK || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("status %d, Set-Cookie %q", w.Code, w.Header().Get("Set-Cookie"))
	}
	a.header.Set("Cookie", sessionHeader+"=1")
	if w := serve(v, a.build(t)); w.Code != http.StatusUnauthorized || w.Body.String() != restUnauthenticated {
		t.Errorf("status %d, answer %s", w.Code, w.Body)
	}
}

func TestAutomationSessionEnds(t *testing.T) {
	now := testTime()
	v := newTestAutomation(func(c *AutomationConfig) { c.Now = func() time.Time { return now }; c.Idle = time.Minute })
	status := func(id string) int { return automationCall(v, id, "GET /api/vcenter/vm", "").Code }
	id := automationSession(t, v)
	now = now.Add(time.Minute)
	if got := status(id); got != 200 {
		t.Errorf("after a minute: status %d", got)
	}
	now = now.Add(time.Minute + 1)
	if got := status(id); got != 401 || v.Sessions() != 0 {
		t.Errorf("idle for too long: status %d, sessions %d", got, v.Sessions())
	}
	id = automationSession(t, v)
	if v.Kill() != 1 || v.Kill() != 0 || status(id) != 401 || v.Sessions() != 0 {
		t.Error("killed session lives")
	}
	if status("") != 401 || status("x") != 401 {
		t.Error("a session that never was is accepted")
	}
	id = automationSession(t, v)
	r := httptest.NewRequest("GET", "/api/vcenter/vm", nil)
	r.AddCookie(&http.Cookie{Name: sessionHeader, Value: id})
	if w := serve(v, r); w.Code != 401 {
		t.Errorf("cookie only: status %d", w.Code)
	}
	r.Header[http.CanonicalHeaderKey(sessionHeader)] = []string{id, id}
	if w := serve(v, r); w.Code != 401 {
		t.Errorf("two headers: status %d", w.Code)
	}
}

// The milliseconds of the nonces of one key strictly increase; those of another key are its own.
func TestAutomationNonces(t *testing.T) {
	v := newTestAutomation(func(c *AutomationConfig) { c.Trust = append(c.Trust, otherAuthority().Certificate()) })
	bob := NewKeyPair("bob", otherKey()).Leaf
	alice2 := NewKeyPair("alice, renewed", clientKey()).Leaf
	for i, test := range []struct {
		holder *x509.Certificate
		key    *rsa.PrivateKey
		ms     time.Duration
		reason string
	}{
		{clientCertificate(), clientKey(), 0, ""},
		{clientCertificate(), clientKey(), 0, "used again"},
		{alice2, clientKey(), 0, "used again"},
		{bob, otherKey(), 0, ""},
		{clientCertificate(), clientKey(), 5, ""},
		{clientCertificate(), clientKey(), 4, "before the last"},
		{clientCertificate(), otherKey(), 9, "not by the holder"}, // refused: its nonce is not noted
		{clientCertificate(), clientKey(), 6, ""},
		{bob, otherKey(), 1, ""},
	} {
		a := withClaims(authority(), Claims{Holder: test.holder})
		a.key, a.nonce = test.key, nonceAt(testTime().Add(test.ms*time.Millisecond), fmt.Sprint(i))
		before := v.Refused()
		w := serve(v, a.build(t))
		switch {
		case test.reason == "" && w.Code != http.StatusCreated:
			t.Errorf("%d: status %d, reasons %q", i, w.Code, v.Reasons())
		case test.reason != "" && (v.Refused() != before+1 || !strings.Contains(v.Reasons()[before], test.reason)):
			t.Errorf("%d: status %d, reasons %q", i, w.Code, v.Reasons())
		}
	}
}

// When there are too many keys, those are forgotten whose nonces are too old to come again.
func TestAutomationNoncesBounded(t *testing.T) {
	n := nonces{last: map[[32]byte]int64{}}
	for i := range maxSessions {
		n.last[[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}] = int64(i)
	}
	if err := n.accept(clientCertificate(), maxSessions, maxSessions-10); err != nil || len(n.last) != 11 {
		t.Errorf("%d keys are kept, want 11: %v", len(n.last), err)
	}
}

// Of logins with the same nonce that come at once, one is accepted.
func TestAutomationReplayAtOnce(t *testing.T) {
	v := newTestAutomation(nil)
	var wg sync.WaitGroup
	for range 8 {
		r := newAutomationLogin().build(t)
		wg.Go(func() { serve(v, r) })
	}
	wg.Wait()
	if v.Logins() != 1 || v.Refused() != 7 || v.Sessions() != 1 {
		t.Errorf("logins %d, refused %d, sessions %d", v.Logins(), v.Refused(), v.Sessions())
	}
}

func TestAutomationInject(t *testing.T) {
	v := newTestAutomation(nil)
	v.Inject("POST /api/session", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	a := newAutomationLogin()
	a.body = "{}"
	if w := serve(v, a.build(t)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
	v.Inject("", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		next.ServeHTTP(w, r)
	})
	if w := serve(v, a.build(t)); w.Code != http.StatusCreated {
		t.Errorf("status %d, reasons %q", w.Code, v.Reasons())
	}
	v.Inject("", 0, nil)
	v.Inject("PUT /api/content/x", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
	if w := automationCall(v, automationSession(t, v), "PUT /api/content/x", strings.Repeat("a", maxMessage+1)); w.Body.String() != fmt.Sprint(maxMessage+1) {
		t.Errorf("status %d, answer %s", w.Code, w.Body)
	}
}

func TestAutomationLargeBodies(t *testing.T) {
	v := newTestAutomation(nil)
	id, large := automationSession(t, v), strings.Repeat("a", maxMessage+1)
	if w := automationCall(v, id, "POST /api/echo", large); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("echo: status %d", w.Code)
	}
	if w := automationCall(v, "", "POST /api/session", large); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("login: status %d", w.Code)
	}
	v.Inject("", 1, func(http.ResponseWriter, *http.Request, http.Handler) { t.Error("called") })
	if w := automationCall(v, id, "POST /api/echo", large); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("injected: status %d", w.Code)
	}
}

// Over a real connection, of either version of HTTP: many Authorization lines arrive as they were sent, and the Host is that of the client.
func TestAutomationOverTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		v := NewAutomation(AutomationConfig{Trust: []*x509.Certificate{authority().Certificate()}})
		server := Listen(v)
		transport := server.Transport()
		transport.ForceAttemptHTTP2 = h2
		host := strings.TrimPrefix(server.URL, "https://")
		a := withClaims(authority(), Claims{Holder: clientCertificate(), NotBefore: time.Now()})
		a.nonce, a.body, a.host, a.line = nonceAt(time.Now(), "1"), "{}", host, chunks(1024)
		a.signedHost, a.port, _ = strings.Cut(host, ":")
		r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+apiSession, bytes.NewReader([]byte(a.body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = a.build(t).Header
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusCreated || (resp.ProtoMajor == 2) != h2 {
			t.Errorf("%s: status %d, reasons %q", resp.Proto, resp.StatusCode, v.Reasons())
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

func TestNewAutomationPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nobody is trusted, no panic")
		}
	}()
	NewAutomation(AutomationConfig{})
}
