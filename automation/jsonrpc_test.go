package automation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
)

const unauthenticatedRPC = `{"jsonrpc":"2.0","id":"1","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.unauthenticated":{"messages":[{"STRUCTURE":{"com.vmware.vapi.std.localizable_message":{"id":"vapi.method.authentication.required","default_message":"This method requires authentication.","args":[],"params":{"OPTIONAL":null},"localized":{"OPTIONAL":null}}}}],"data":{"OPTIONAL":null},"error_type":{"OPTIONAL":"UNAUTHENTICATED"}}}}}}`

func TestLoginByJSONRPCReadsWhatServersAnswer(t *testing.T) {
	const (
		full    = `{"jsonrpc":"2.0","id":"1","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.service_unavailable":{"messages":[{"STRUCTURE":{"com.vmware.vapi.std.localizable_message":{"id":"com.vmware.vapi.endpoint.failedToLoginMaxUserSessionCountReached","default_message":"User session count is limited to 550","args":["550"]}}}]}}}}}`
		unknown = `{"jsonrpc":"2.0","id":"1","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.operation_not_found":{"messages":[]}}}}}`
		denied  = `{"jsonrpc":"2.0","id":"1","result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.unauthorized":{"messages":[]}}}}}`
	)
	for _, tc := range []struct {
		name, answer string
		id           string // of the session
		want         error
		says         string
	}{
		{"success", `200 {"jsonrpc":"2.0","id":"1","result":{"output":{"SECRET":"abc"}}}`, "abc", nil, ""},
		{"members in another order", `200 {"result":{"output":{"SECRET":"abc"}},"id":"1","jsonrpc":"2.0"}`, "abc", nil, ""},
		{"refused", "200 " + unauthenticatedRPC, "", vmsso.ErrRejected, "vapi.method.authentication.required: This method requires authentication."},
		{"no right", "200 " + denied, "", vmsso.ErrRejected, "unauthorized"},
		{"too many sessions", "200 " + full, "", vmsso.ErrSessionLimit, "limited to 550"},
		{"another error", "200 " + unknown, "", nil, "operation_not_found"},
		{"an error of the protocol", `200 {"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"Method not found."}}`, "", nil, "JSON-RPC error -32601: Method not found."},
		{"an invalid request that is not signed", `200 {"jsonrpc":"2.0","id":"1","error":{"code":-32600,"message":"Invalid Request."}}`, "", nil, "takes the request for invalid"},
		{"unauthorized by HTTP", "401 ", "", vmsso.ErrRejected, "delegatable"},
		{"forbidden by HTTP", "403 ", "", vmsso.ErrRejected, "HTTP 403"},
		{"not there", "404 ", "", nil, "HTTP 404"},
		{"broken", "500 <html>", "", nil, "HTTP 500"},
		{"a login page", "200 <html>", "", nil, "no JSON-RPC answer"},
		{"another JSON", `200 {"value":"abc"}`, "", nil, "no JSON-RPC answer"},
		{"a list", `200 []`, "", nil, "no JSON-RPC answer"},
		{"no output", `200 {"result":{}}`, "", nil, "no session ID"},
		{"null", `200 {"result":{"output":null}}`, "", nil, "no session ID"},
		{"no secret", `200 {"result":{"output":"abc"}}`, "", nil, "no session ID"},
		{"empty", `200 {"result":{"output":{"SECRET":""}}}`, "", nil, "not usable"},
		{"a second header", `200 {"result":{"output":{"SECRET":"abc\r\nX: y"}}}`, "", nil, "not usable"},
		{"the token echoed", `200 {"jsonrpc":"2.0","id":"1","error":{"code":-32600,"message":"` + strings.ReplaceAll(vectorToken(t).Assertion[:150], `"`, "'") + `"}}`, "", nil, "[redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			a := &automation.Authenticator{Protocol: automation.JSONRPC}
			s, err := a.Login(t.Context(), answers(&asked, tc.answer), endpoint, vectorToken(t))
			if got := strings.Join(asked, " "); got != "POST /api" {
				t.Errorf("asked %q, want POST /api", got)
			}
			if tc.id != "" {
				if err != nil || s.Header.Get("Vmware-Api-Session-Id") != tc.id || len(s.Cookies) != 0 {
					t.Errorf("got %v, %v, want the session %s", s, err, tc.id)
				}
				return
			}
			var le *vmsso.LoginError
			if s != nil || !errors.As(err, &le) || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || le.Stage != "com.vmware.cis.session.create" {
				t.Errorf("got %v, %v, want %v that says %q", s, err, tc.want, tc.says)
			}
			if tc.want == nil && errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("%v counts as a refusal of the token", err)
			}
		})
	}
}

func TestProbeAndLogoutOverJSONRPC(t *testing.T) {
	a := &automation.Authenticator{Protocol: automation.JSONRPC}
	var asked []string
	s, err := a.Login(t.Context(), answers(&asked, `200 {"result":{"output":{"SECRET":"abc"}}}`), endpoint, vectorToken(t))
	if err != nil {
		t.Fatal(err)
	}
	type wire struct {
		Params struct {
			ServiceID, OperationID string
			Ctx                    struct {
				AppCtx      struct{ OpID string }
				SecurityCtx struct{ SchemeID, SessionID string }
			}
		}
	}
	for _, tc := range []struct {
		operation, answer string
		f                 func(http.RoundTripper) error
		want              error
	}{
		{"get", `200 {"result":{"output":{"STRUCTURE":{}}}}`, func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, nil},
		{"get", "200 " + unauthenticatedRPC, func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, vmsso.ErrNoSession},
		{"get", "401 ", func(rt http.RoundTripper) error { return a.Probe(t.Context(), rt, endpoint, s) }, vmsso.ErrNoSession},
		{"delete", `200 {"result":{"output":null}}`, func(rt http.RoundTripper) error { return a.Logout(t.Context(), rt, endpoint, s) }, nil},
		{"delete", "200 " + unauthenticatedRPC, func(rt http.RoundTripper) error { return a.Logout(t.Context(), rt, endpoint, s) }, nil},
	} {
		var body []byte
		var header http.Header
		rt := answers(&asked, tc.answer)
		err := tc.f(roundTripper(func(req *http.Request) (*http.Response, error) {
			body, _ = io.ReadAll(req.Body)
			header = req.Header
			return rt(req)
		}))
		if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
			t.Errorf("%s, %.20s: got %v, want %v", tc.operation, tc.answer, err, tc.want)
		}
		var w wire
		if err := json.Unmarshal(body, &w); err != nil {
			t.Fatal(err)
		}
		p := w.Params
		if p.ServiceID != "com.vmware.cis.session" || p.OperationID != tc.operation || p.Ctx.SecurityCtx.SchemeID != "com.vmware.vapi.std.security.session_id" || p.Ctx.SecurityCtx.SessionID != "abc" {
			t.Errorf("%s: sent %s", tc.operation, body)
		}
		for name, want := range map[string]string{"Vapi-Service": p.ServiceID, "Vapi-Operation": p.OperationID, "Vapi-Ctx-Opid": p.Ctx.AppCtx.OpID, "Vmware-Api-Session-Id": "abc", "Content-Type": "application/json"} {
			if got := header.Get(name); got != want || got == "" {
				t.Errorf("%s: header %s is %q, want %q", tc.operation, name, got, want)
			}
		}
	}
	for _, broken := range []string{"500 ", `200 {"error":{"code":-32600}}`, "200 <html>"} {
		if err := a.Probe(t.Context(), answers(&asked, broken), endpoint, s); err == nil || errors.Is(err, vmsso.ErrNoSession) {
			t.Errorf("%s: got %v, want an error that is not ErrNoSession", broken, err)
		}
	}
}

func TestClassifyJSONRPC(t *testing.T) {
	const scheme = "com.vmware.vapi.std.security."
	request := func(service, operation string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":%q,"operationId":%q,"input":{"STRUCTURE":{}},"ctx":{}},"id":"0"}`, service, operation)
	}
	cut := func(scheme string) string { // the service stands behind what is cut off, as in requests of Java programs
		return `{"params":{"ctx":{"securityCtx":{"schemeId":"` + scheme + `","samlToken":"` + strings.Repeat("x", 5000)
	}
	for _, tc := range []struct {
		name   string
		header http.Header
		head   string
		want   vmsso.Class
	}{
		{"create by header", http.Header{"Vapi-Service": {"com.vmware.cis.session"}, "Vapi-Operation": {"create"}}, "", vmsso.OwnLogin},
		{"delete by header", http.Header{"Vapi-Service": {"com.vmware.cis.session"}, "Vapi-Operation": {"delete"}}, "", vmsso.OwnLogout},
		{"get by header", http.Header{"Vapi-Service": {"com.vmware.cis.session"}, "Vapi-Operation": {"get"}}, "", vmsso.Normal},
		{"another create by header", http.Header{"Vapi-Service": {"com.vmware.vcenter.VM"}, "Vapi-Operation": {"create"}}, "", vmsso.Normal},
		{"create by body", nil, request("com.vmware.cis.session", "create"), vmsso.OwnLogin},
		{"delete by body", nil, request("com.vmware.cis.session", "delete"), vmsso.OwnLogout},
		{"another create by body", nil, request("com.vmware.vcenter.VM", "create"), vmsso.Normal},
		{"mentioned elsewhere", nil, `{"params":{"input":{"serviceId":"com.vmware.cis.session","operationId":"create"},"serviceId":"x","operationId":"y"}}`, vmsso.Normal},
		{"cut, with a bearer token", nil, cut(scheme + "saml_bearer_token"), vmsso.OwnLogin},
		{"cut, with a holder-of-key token", nil, cut(scheme + "saml_hok_token"), vmsso.OwnLogin},
		{"cut, with a password", nil, cut(scheme + "user_pass"), vmsso.OwnLogin},
		{"cut, with a session", nil, cut(scheme + "session_id"), vmsso.Normal},
		{"a call that brings its token", nil, `{"params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list","ctx":{"securityCtx":{"schemeId":"` + scheme + `saml_bearer_token"}}}}`, vmsso.Normal},
		{"a call that brings its token, which comes first", nil, `{"params":{"ctx":{"securityCtx":{"schemeId":"` + scheme + `saml_bearer_token"}},"serviceId":"com.vmware.vcenter.VM","operationId":"list"}}`, vmsso.Normal},
		{"no JSON", nil, "<html>", vmsso.Normal},
		{"no body", nil, "", vmsso.Normal},
		{"a deep one", nil, strings.Repeat(`{"a":`, 100_000), vmsso.Normal},
		{"a deep list", nil, strings.Repeat(`[`, 1<<20), vmsso.Normal},
	} {
		req, err := http.NewRequest("POST", "https://vc.example.test/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range tc.header {
			req.Header[name] = values
		}
		if got := (&automation.Authenticator{}).Classify(req, []byte(tc.head)); got != tc.want {
			t.Errorf("%s: class %d, want %d", tc.name, got, tc.want)
		}
	}
}

func rpcAnswer(method, path, contentType, vapiError string, status int, body io.Reader) *http.Response {
	req, _ := http.NewRequest(method, "https://vc.example.test"+path, nil)
	resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body), Request: req}
	if vapiError != "" {
		resp.Header.Set("vapi-error", vapiError)
	}
	return resp
}

func TestExpired(t *testing.T) {
	const (
		name = "com.vmware.vapi.std.errors.unauthenticated"
		js   = "application/json"
		gone = vmsso.Yes
	)
	for _, tc := range []struct {
		name                      string
		method, path, contentType string
		vapiError                 string
		status                    int
		body                      string
		want                      vmsso.Verdict
	}{
		{"401 of REST", "GET", "/api/vcenter/vm", js, "", 401, "", gone},
		{"403 of REST", "GET", "/api/vcenter/vm", js, "", 403, "", vmsso.No},
		{"the error of a REST answer", "GET", "/api/vcenter/vm", js, "", 200, unauthenticatedRPC, vmsso.No},
		{"by header", "POST", "/api", js, name, 200, "", gone},
		{"another error by header", "POST", "/api", js, "com.vmware.vapi.std.errors.not_found", 200, unauthenticatedRPC, vmsso.No},
		{"by body", "POST", "/api", js, "", 200, unauthenticatedRPC, gone},
		{"by body, with a charset", "POST", "/api", "Application/JSON; charset=utf-8", "", 200, unauthenticatedRPC, gone},
		{"by body, indented", "POST", "/api", js, "", 200, "{\n \"result\" : { \"error\" : { \"ERROR\" : { \"" + name + "\" : {", gone},
		{"the id behind", "POST", "/api", js, "", 200, `{"result":{"error":{"ERROR":{"` + name + `":{}}}},"id":"1"}`, gone},
		{"another error", "POST", "/api", js, "", 200, `{"result":{"error":{"ERROR":{"com.vmware.vapi.std.errors.not_found":{"` + name + `":{}}}}}}`, vmsso.No},
		{"in a result", "POST", "/api", js, "", 200, `{"result":{"output":{"error":{"ERROR":{"` + name + `":{}}}},"error":{"ERROR":{"` + name + `":{}}}}}`, vmsso.No},
		{"in a text", "POST", "/api", js, "", 200, `{"result":{"output":"{\"error\":{\"ERROR\":{\"` + name + `\"}}}"}}`, vmsso.No},
		{"an error of the protocol", "POST", "/api", js, "", 200, `{"error":{"code":-32600},"result":{"error":{"ERROR":{"` + name + `":{}}}}}`, vmsso.No},
		{"not JSON", "POST", "/api", "text/plain", "", 200, unauthenticatedRPC, vmsso.No},
		{"another path", "POST", "/api/x", js, "", 200, unauthenticatedRPC, vmsso.No},
		{"another method", "GET", "/api", js, "", 200, unauthenticatedRPC, vmsso.No},
		{"a server error", "POST", "/api", js, "", 500, unauthenticatedRPC, vmsso.No},
		{"too far behind", "POST", "/api", js, "", 200, `{"x":"` + strings.Repeat("x", 5000) + `",` + unauthenticatedRPC[1:], vmsso.No},
		{"empty", "POST", "/api", js, "", 200, "", vmsso.No},
	} {
		resp := rpcAnswer(tc.method, tc.path, tc.contentType, tc.vapiError, tc.status, strings.NewReader(tc.body))
		if got := (&automation.Authenticator{}).Expired(resp); got != tc.want {
			t.Errorf("%s: verdict %d, want %d", tc.name, got, tc.want)
		}
		if text, err := io.ReadAll(resp.Body); string(text) != tc.body || err != nil {
			t.Errorf("%s: the body reads %.40q, %v", tc.name, text, err)
		}
	}
}

// A result may be of any size, and may come slowly: as soon as it is known to
// be one, nothing more of it is read.
func TestResultIsNotReadAhead(t *testing.T) {
	beginning := `{"jsonrpc":"2.0","id":"1","result":{"output":["a"`
	read := 0
	source := io.MultiReader(strings.NewReader(beginning), readerFunc(func(p []byte) (int, error) {
		read++
		return 0, io.ErrUnexpectedEOF
	}))
	resp := rpcAnswer("POST", "/api", "application/json", "", 200, source)
	if got := (&automation.Authenticator{}).Expired(resp); got != vmsso.No || read != 0 {
		t.Errorf("verdict %d, read on %d times, want No and none", got, read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzExpiredJSONRPC: the verdict on a whole answer is that on the same answer
// byte by byte, and the body reads as it was; what says unauthenticated names it.
func FuzzExpiredJSONRPC(f *testing.F) {
	for _, seed := range []string{"", "{}", unauthenticatedRPC, `{"result":{"output":{"SECRET":"abc"}}}`, `{"error":{"code":-32600}}`, "[[[[", `{"result":{"error":{"ERROR":{"x":`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var verdicts []vmsso.Verdict
		for _, r := range []io.Reader{strings.NewReader(string(body)), iotest.OneByteReader(strings.NewReader(string(body)))} {
			resp := rpcAnswer("POST", "/api", "application/json", "", 200, r)
			verdicts = append(verdicts, (&automation.Authenticator{}).Expired(resp))
			if text, err := io.ReadAll(resp.Body); string(text) != string(body) || err != nil {
				t.Fatalf("the body reads %q, %v, want %q", text, err, body)
			}
		}
		if verdicts[0] != verdicts[1] {
			t.Errorf("%q: verdict %d, byte by byte %d", body, verdicts[0], verdicts[1])
		}
		var r struct {
			Result struct {
				Error struct{ ERROR map[string]any }
			}
		}
		if strings.Count(strings.ToLower(string(body)), `"result"`) == 1 && strings.Count(strings.ToLower(string(body)), `"error"`) == 2 && json.Unmarshal(body, &r) == nil {
			_, says := r.Result.Error.ERROR["com.vmware.vapi.std.errors.unauthenticated"]
			if verdicts[0] == vmsso.Yes && !says {
				t.Errorf("%q: the session is taken for gone", body)
			}
		}
	})
}
