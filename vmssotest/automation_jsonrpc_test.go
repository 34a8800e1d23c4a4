package vmssotest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rpcCall sends a request with a session in its securityCtx.
func rpcCall(h http.Handler, session, service, operation, input string) *httptest.ResponseRecorder {
	return serve(h, rpcHTTP(rpcText(service, operation, input, rpcContext(session))))
}

func rpcContext(session string) string {
	return `"schemeId":"com.vmware.vapi.std.security.session_id","sessionId":"` + session + `"`
}

// rpcSession logs in with a bearer token.
func rpcSession(t testing.TB, h http.Handler) string {
	t.Helper()
	l := newRPCLogin()
	l.bearer()
	w := serve(h, l.build(t))
	var answer struct {
		Result struct{ Output struct{ SECRET string } }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || len(answer.Result.Output.SECRET) != 32 {
		t.Fatalf("login: status %d, answer %s", w.Code, w.Body)
	}
	return answer.Result.Output.SECRET
}

const rpcUnauthenticatedAnswer = `{"jsonrpc":"2.0","id":"0","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.unauthenticated":{` +
	`"messages":[{"STRUCTURE":{"com.vmware.vapi.std.localizable_message":{"args":[],"default_message":"This method requires authentication.",` +
	`"id":"vapi.method.authentication.required","params":{"OPTIONAL":null},"localized":{"OPTIONAL":null}}}}],` +
	`"data":{"OPTIONAL":null},"error_type":{"OPTIONAL":"UNAUTHENTICATED"}}}}}}`

func TestRPCSession(t *testing.T) {
	now := testTime()
	v := newTestAutomation(func(c *AutomationConfig) { c.Now = func() time.Time { return now } })
	id := rpcSession(t, v)
	now = now.Add(30 * time.Minute)
	output := func(s string) string { return `{"jsonrpc":"2.0","id":"0","result":{"output":` + s + `}}` }
	failure := func(name, kind, message, op, id string) string {
		return `{"jsonrpc":"2.0","id":"0","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.` + name + `":{` +
			`"messages":[{"STRUCTURE":{"com.vmware.vapi.std.localizable_message":{"args":["` + op + `"],"default_message":"` + message + `",` +
			`"id":"` + id + `","params":{"OPTIONAL":null},"localized":{"OPTIONAL":null}}}}],` +
			`"data":{"OPTIONAL":null},"error_type":{"OPTIONAL":"` + kind + `"}}}}}}`
	}
	unknown := func(op string) string {
		return failure("operation_not_found", "OPERATION_NOT_FOUND", `Cannot find the operation '`+op+`'.`, op, "vapi.method.input.invalid.method")
	}
	invalid := func(op string) string {
		return failure("invalid_argument", "INVALID_ARGUMENT", `Invalid input of '`+op+`'.`, op, "vapi.method.input.invalid")
	}
	info := func(accessed string) string {
		return output(`{"STRUCTURE":{"com.vmware.cis.session.info":{"user":"alice@vsphere.local","created_time":"2026-05-04T12:00:00.000Z",` +
			`"last_accessed_time":"2026-05-04T` + accessed + `"}}}`)
	}
	vm := func(id, name, state string, cpus, memory int) string {
		return fmt.Sprintf(`{"STRUCTURE":{"com.vmware.vcenter.VM.summary":{"vm":%q,"name":%q,"power_state":%q,`+
			`"cpu_count":{"OPTIONAL":%d},"memory_size_MiB":{"OPTIONAL":%d}}}}`, id, name, state, cpus, memory)
	}
	const test = "com.vmware.vmssotest"
	for _, tt := range []struct{ service, operation, input, want string }{
		{"com.vmware.cis.session", "get", "", info("12:00:00.000Z")},
		{"com.vmware.cis.session", "get", "", info("12:30:00.000Z")},
		{"com.vmware.vcenter.VM", "list", "", output("[" + vm("vm-1", "web01", "POWERED_ON", 2, 4096) + "," + vm("vm-2", "web02", "POWERED_ON", 2, 4096) + "," +
			vm("vm-3", "db01", "POWERED_OFF", 4, 16384) + "]")},
		{test, "echo", `"value":{"OPTIONAL":[1.0,123456789012345678901,"\u00e9",null]}`, output("{\"OPTIONAL\":[1.0,123456789012345678901,\"\u00e9\",null]}")},
		{test, "echo", `"value":null`, output("null")},
		{test, "echo", `"Value":1`, invalid(test + " echo")},
		{test, "fill", `"bytes":0`, output(`""`)},
		{test, "fill", `"bytes":5`, output(`"aaaaa"`)},
		{test, "fill", `"bytes":-1`, invalid(test + " fill")},
		{test, "fill", `"bytes":"5"`, invalid(test + " fill")},
		{test, "fill", `"bytes":1.5`, invalid(test + " fill")},
		{test, "fill", ``, invalid(test + " fill")},
		{"com.vmware.cis.session", "list", "", unknown("com.vmware.cis.session list")},
		{"com.vmware.cis.Session", "get", "", unknown("com.vmware.cis.Session get")},
		{"com.vmware.vcenter.vm", "list", "", unknown("com.vmware.vcenter.vm list")},
		{"com.vmware.cis.session", "delete", "", output("null")},
		{"com.vmware.cis.session", "delete", "", rpcUnauthenticatedAnswer},
		{"com.vmware.cis.session", "list", "", rpcUnauthenticatedAnswer},
		{test, "fill", `"bytes":5`, rpcUnauthenticatedAnswer},
	} {
		w := rpcCall(v, id, tt.service, tt.operation, tt.input)
		if diff := cmp.Diff(tt.want, w.Body.String()); diff != "" || w.Code != http.StatusOK {
			t.Errorf("%s %s(%s): status %d (-want +got)\n%s", tt.service, tt.operation, tt.input, w.Code, diff)
		}
		want := ""
		if _, rest, failed := strings.Cut(tt.want, `"ERROR":{"`); failed {
			want, _, _ = strings.Cut(rest, `"`)
		}
		if got := w.Header().Get("vapi-error"); got != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: header %v, want vapi-error %q", tt.service, tt.operation, w.Header(), want)
		}
	}
	if v.Calls("com.vmware.cis.session get") != 2 || v.Calls(test+" echo") != 3 || v.Calls(rpcCreate) != 1 || v.Calls(rpcPost) != 0 {
		t.Error("calls are counted wrong")
	}
	if v.Sessions() != 0 || v.Logins() != 1 || v.Refused() != 0 || v.MaxConcurrentLogins() != 1 {
		t.Errorf("sessions %d, logins %d, refused %d, at a time %d", v.Sessions(), v.Logins(), v.Refused(), v.MaxConcurrentLogins())
	}
}

// The session of a request is that of its header; without the header, that of its securityCtx.
func TestRPCSessionOfRequest(t *testing.T) {
	v := newTestAutomation(nil)
	id, dead := rpcSession(t, v), rpcSession(t, v)
	rpcCall(v, dead, "com.vmware.cis.session", "delete", "")
	scheme := func(s, id string) string { return `"schemeId":"` + vapiSecurity + s + `","sessionId":"` + id + `"` }
	for _, test := range []struct {
		name   string
		header []string
		ctx    string
		want   bool
	}{
		{"nothing", nil, "", false},
		{"securityCtx", nil, scheme("session_id", id), true},
		{"header", []string{id}, "", true},
		{"header and another scheme", []string{id}, scheme("no_authentication", ""), true},
		{"header and a dead session", []string{id}, scheme("session_id", dead), true},
		{"dead header and a session", []string{dead}, scheme("session_id", id), false},
		{"empty header and a session", []string{""}, scheme("session_id", id), false},
		{"two headers", []string{id, id}, scheme("session_id", id), false},
		{"dead session", nil, scheme("session_id", dead), false},
		{"no session", nil, scheme("session_id", ""), false},
		{"another scheme", nil, scheme("oauth", id), false},
		{"session is not a string", nil, `"schemeId":"` + vapiSecurity + `session_id","sessionId":["` + id + `"]`, false},
		{"no scheme", nil, `"sessionId":"` + id + `"`, false},
	} {
		r := rpcHTTP(rpcText("com.vmware.vcenter.VM", "list", "", test.ctx))
		r.Header[http.CanonicalHeaderKey(sessionHeader)] = test.header
		if w := serve(v, r); strings.Contains(w.Body.String(), "vm-1") != test.want || (w.Body.String() == rpcUnauthenticatedAnswer) == test.want {
			t.Errorf("%s: %s", test.name, w.Body)
		}
	}
	r := rpcHTTP(rpcText("com.vmware.vcenter.VM", "list", "", ""))
	r.AddCookie(&http.Cookie{Name: sessionHeader, Value: id})
	if w := serve(v, r); w.Body.String() != rpcUnauthenticatedAnswer {
		t.Errorf("cookie: %s", w.Body)
	}
}

// Sessions are those of REST, on a legacy server too.
func TestRPCSharesSessionsWithREST(t *testing.T) {
	v := newTestAutomation(func(c *AutomationConfig) { c.Legacy = true })
	id := rpcSession(t, v)
	if w := automationCall(v, id, "GET /rest/vcenter/vm", ""); w.Code != http.StatusOK {
		t.Errorf("REST with a session of JSON-RPC: status %d", w.Code)
	}
	if w := automationCall(v, id, "DELETE "+legacySession, ""); w.Code != http.StatusOK || v.Sessions() != 0 {
		t.Errorf("status %d, sessions %d", w.Code, v.Sessions())
	}
	if w := rpcCall(v, id, "com.vmware.vcenter.VM", "list", ""); w.Body.String() != rpcUnauthenticatedAnswer {
		t.Errorf("ended by REST: %s", w.Body)
	}
	v = newTestAutomation(nil)
	id = automationSession(t, v)
	if w := rpcCall(v, id, "com.vmware.vcenter.VM", "list", ""); !strings.Contains(w.Body.String(), "vm-3") {
		t.Errorf("JSON-RPC with a session of REST: %s", w.Body)
	}
	if v.Kill() != 1 {
		t.Error("not killed")
	}
	if w := rpcCall(v, id, "com.vmware.vcenter.VM", "list", ""); w.Body.String() != rpcUnauthenticatedAnswer {
		t.Errorf("killed: %s", w.Body)
	}
}

func TestRPCSessionEndsWhenIdle(t *testing.T) {
	now := testTime()
	v := newTestAutomation(func(c *AutomationConfig) { c.Now = func() time.Time { return now }; c.Idle = time.Minute })
	id := rpcSession(t, v)
	for i, pause := range []time.Duration{time.Minute, time.Minute, time.Minute + 1} {
		now = now.Add(pause)
		if w := rpcCall(v, id, "com.vmware.vcenter.VM", "list", ""); (w.Body.String() == rpcUnauthenticatedAnswer) != (i == 2) {
			t.Errorf("call %d: %s", i, w.Body)
		}
	}
}

func TestRPCPlainErrors(t *testing.T) {
	v := newTestAutomation(func(c *AutomationConfig) { c.PlainErrors = true })
	w := rpcCall(v, "x", "com.vmware.vcenter.VM", "list", "")
	if w.Body.String() != rpcUnauthenticatedAnswer || len(w.Header()) != 1 {
		t.Errorf("header %v, answer %s", w.Header(), w.Body)
	}
}

// A signed request logs in again until its timestamp ends: the protocol has nothing against that.
func TestRPCLoginReplayed(t *testing.T) {
	now := testTime()
	v := newTestAutomation(func(c *AutomationConfig) { c.Now = func() time.Time { return now }; c.Tolerance = -1 })
	l := newRPCLogin()
	for i, pause := range []time.Duration{0, 0, 10 * time.Minute, time.Millisecond} {
		now = now.Add(pause)
		if serve(v, l.build(t)); v.Logins() != min(i+1, 3) {
			t.Errorf("login %d: logins %d, reasons %q", i, v.Logins(), v.Reasons())
		}
	}
}

func TestRPCInject(t *testing.T) {
	v := newTestAutomation(nil)
	v.Inject(rpcCreate, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		writeString(w, `{"jsonrpc":"2.0","id":"0","error":{"code":-32600,"message":"Invalid Request."}}`)
	})
	if w := serve(v, newRPCLogin().build(t)); !strings.Contains(w.Body.String(), "-32600") || v.Logins() != 0 {
		t.Errorf("answer %s", w.Body)
	}
	id := rpcSession(t, v)
	v.Inject("com.vmware.vcenter.VM list", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, withBody(r, []byte(rpcText("com.vmware.vmssotest", "echo", `"value":7`, rpcContext(id)))))
	})
	if w := rpcCall(v, id, "com.vmware.vcenter.VM", "list", ""); !strings.Contains(w.Body.String(), `"output":7`) {
		t.Errorf("answer %s", w.Body)
	}
}

// Logins of both protocols that are in flight at one time are counted together.
func TestRPCConcurrentLogins(t *testing.T) {
	v := newTestAutomation(nil)
	var meet sync.WaitGroup
	meet.Add(2)
	v.Inject("", 2, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		meet.Done()
		meet.Wait()
		next.ServeHTTP(w, r)
	})
	var wg sync.WaitGroup
	for _, r := range []*http.Request{newRPCLogin().build(t), newAutomationLogin().build(t)} {
		wg.Go(func() { serve(v, r) })
	}
	wg.Wait()
	if rpcCall(v, "", "com.vmware.vcenter.VM", "list", ""); v.MaxConcurrentLogins() != 2 || v.Logins() != 2 {
		t.Errorf("at a time %d, logins %d, reasons %q", v.MaxConcurrentLogins(), v.Logins(), v.Reasons())
	}
}

// countingWriter counts an answer; it breaks after limit bytes.
type countingWriter struct {
	header   http.Header
	n, limit int64
}

func (c *countingWriter) Header() http.Header { return c.header }
func (c *countingWriter) WriteHeader(int)     {}
func (c *countingWriter) Write(b []byte) (int, error) {
	if c.n += int64(len(b)); c.limit > 0 && c.n > c.limit {
		return 0, http.ErrHandlerTimeout
	}
	return len(b), nil
}

// Gigabytes are answered from a small piece, and not after the client has gone.
func TestRPCFillInPieces(t *testing.T) {
	v := newTestAutomation(nil)
	ctx := rpcContext(rpcSession(t, v))
	fill := func(limit int64) int64 {
		w := &countingWriter{header: http.Header{}, limit: limit}
		v.ServeHTTP(w, rpcHTTP(rpcText("com.vmware.vmssotest", "fill", `"bytes":5000000001`, ctx)))
		return w.n
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if n, want := fill(0), int64(5000000001+len(`{"jsonrpc":"2.0","id":"0","result":{"output":""}}`)); n != want {
		t.Errorf("%d bytes, want %d", n, want)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 2<<20 {
		t.Errorf("%d bytes of memory", after.TotalAlloc-before.TotalAlloc)
	}
	if n := fill(1 << 20); n > 2<<20 {
		t.Errorf("%d bytes to a client that has gone", n)
	}
}
