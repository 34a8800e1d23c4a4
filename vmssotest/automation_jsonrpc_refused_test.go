package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusedRPC is a login that must be refused for this reason.
type refusedRPC struct {
	name, reason string
	edit         func(*rpcLogin)
}

func replace(old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic(s + " does not hold " + old)
		}
		return strings.Replace(s, old, new, 1)
	}
}

// signedText changes the request before it is signed, sentText afterwards.
func signedText(old, new string) func(*rpcLogin) {
	return func(l *rpcLogin) { l.text = replace(old, new) }
}
func sentText(old, new string) func(*rpcLogin) {
	return func(l *rpcLogin) { l.body = replace(old, new) }
}

func bearerText(old, new string) func(*rpcLogin) {
	return func(l *rpcLogin) { l.bearer(); l.body = replace(old, new) }
}

func proofText(old, new string) func(*rpcLogin) {
	return func(l *rpcLogin) { l.proof = replace(old, new) }
}

func rpcHeaders(pairs ...string) func(*rpcLogin) {
	return func(l *rpcLogin) {
		l.header = func(h http.Header) {
			h.Del(pairs[0])
			for i := 0; i < len(pairs); i += 2 {
				h.Add(pairs[i], pairs[i+1])
			}
		}
	}
}

func timestamp(created, expires string) func(*rpcLogin) {
	return func(l *rpcLogin) { l.created, l.expires = created, expires }
}

func rpcClaims(issuer *Authority, c Claims) func(*rpcLogin) {
	return func(l *rpcLogin) { l.token = withClaims(issuer, c).token }
}

var refusedRPCForm = []refusedRPC{
	{"no securityCtx", `the scheme ""`, func(l *rpcLogin) {
		l.bearer()
		l.body = func(s string) string {
			i := strings.Index(s, `,"securityCtx"`)
			return s[:i] + s[i+strings.Index(s[i:], `}}`)+1:]
		}
	}},
	{"securityCtx is null", `the scheme ""`, bearerText(`"securityCtx":`, `"securityCtx":null,"x":`)},
	{"no scheme", `the scheme ""`, bearerText(`"schemeId"`, `"scheme"`)},
	{"scheme is not a string", `the scheme ""`, bearerText(`"schemeId":`, `"schemeId":1,"x":`)},
	{"user_pass", "user_pass", bearerText("saml_bearer_token", "user_pass")},
	{"no_authentication", "no_authentication", bearerText("saml_bearer_token", "no_authentication")},
	{"session_id", "session_id", bearerText("saml_bearer_token", "session_id")},
	{"name of the documentation", "security.bearer_token", bearerText("saml_bearer_token", "bearer_token")},
	{"scheme without prefix", `the scheme "saml_bearer_token"`, bearerText("com.vmware.vapi.std.security.", "")},
	{"no token", "securityCtx without samlToken", bearerText(`"samlToken"`, `"token"`)},
	{"empty token", "securityCtx without samlToken", func(l *rpcLogin) { l.bearer(); l.token = "" }},
	{"token is not a string", "securityCtx without samlToken", bearerText(`"samlToken":`, `"samlToken":1,"x":`)},
	{"bearer token with a timestamp", "more than samlToken and schemeId", bearerText(`"schemeId"`, `"timestamp":{},"schemeId"`)},
	{"bearer token with a signature", "more than samlToken and schemeId", bearerText(`"schemeId"`, `"signature":{},"schemeId"`)},
	{"bearer token with a private key", "more than samlToken and schemeId", bearerText(`"schemeId"`, `"privateKey":"a","schemeId"`)},
	{"holder-of-key token as a bearer token", "saml_bearer_token with a holder-of-key token", func(l *rpcLogin) {
		token := l.token
		l.bearer()
		l.token = token
	}},
	{"bearer token as a holder-of-key token", "saml_hok_token with a bearer token", func(l *rpcLogin) {
		key, scheme := l.key, l.scheme
		l.bearer()
		l.key, l.scheme = key, scheme
	}},
	{"private key, signed", "private key", signedText(`"schemeId"`, `"privateKey":"a","schemeId"`)},
	{"private key is null", "private key", signedText(`"schemeId"`, `"privateKey":null,"schemeId"`)},
	{"session header", "login with the header", rpcHeaders(sessionHeader, "1")},
	{"empty session header", "login with the header", rpcHeaders(sessionHeader, "")},
	{"session cookie", "login with the cookie", rpcHeaders("Cookie", "a=b; vmware-api-session-id=1")},
	{"bearer with a session header", "login with the header", func(l *rpcLogin) { l.bearer(); rpcHeaders(sessionHeader, "1")(l) }},
}

var refusedRPCToken = []refusedRPC{
	{"not XML", "token: not well-formed", func(l *rpcLogin) { l.token = "token" }},
	{"in base64", "token: not well-formed", func(l *rpcLogin) { l.token = base64.StdEncoding.EncodeToString([]byte(l.token)) }},
	{"DOCTYPE", "DOCTYPE", func(l *rpcLogin) { l.token = "<!DOCTYPE a>" + l.token }},
	{"two assertions", "more than one root", func(l *rpcLogin) { l.token += l.token }},
	{"assertion inside another element", "assertion has version", func(l *rpcLogin) { l.token = "<a>" + l.token + "</a>" }},
	{"changed", "assertion: ", func(l *rpcLogin) { l.token = strings.Replace(l.token, "alice@", "admin@", 1) }},
	{"bearer changed", "assertion: ", func(l *rpcLogin) { l.bearer(); l.token = strings.Replace(l.token, "alice@", "admin@", 1) }},
	{"foreign issuer", "assertion: ", rpcClaims(otherAuthority(), Claims{Holder: clientCertificate()})},
	{"not yet valid", "not valid before", rpcClaims(authority(), Claims{Holder: clientCertificate(), NotBefore: testTime().Add(11 * time.Minute)})},
	{"expired", "expired", rpcClaims(authority(),
		Claims{Holder: clientCertificate(), NotBefore: testTime().Add(-time.Hour), NotOnOrAfter: testTime().Add(-10 * time.Minute)})},
	{"of another holder", "not by the holder", rpcClaims(authority(), Claims{Holder: NewKeyPair("bob", otherKey()).Leaf})},
	{"holder with an elliptic key", "not an RSA key", func(l *rpcLogin) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		rpcClaims(authority(), Claims{Holder: NewKeyPair("bob", key).Leaf})(l)
	}},
}

var refusedRPCTime = []refusedRPC{
	{"no timestamp", "timestamp is not an object", signedText(`"timestamp"`, `"time"`)},
	{"timestamp is a string", "timestamp is not an object", signedText(`"timestamp":{`, `"timestamp":"a","time":{`)},
	{"no created", "timestamp without created", signedText(`"created"`, `"create"`)},
	{"no expires", "timestamp without expires", signedText(`"expires"`, `"expire"`)},
	{"more than that", "more than created and expires", signedText(`"expires"`, `"duration":"1","expires"`)},
	{"in milliseconds", "timestamp without created", signedText(`"created":"`+"2026", `"created":1777896000000,"x":"2026`)},
	{"no fraction", "is not a UTC time", timestamp("2026-05-04T12:00:00Z", "2026-05-04T12:10:00.000Z")},
	{"no fraction in expires", "is not a UTC time", timestamp("2026-05-04T12:00:00.000Z", "2026-05-04T12:10:00Z")},
	{"two digits", "is not a UTC time", timestamp("2026-05-04T12:00:00.00Z", "2026-05-04T12:10:00.000Z")},
	{"six digits", "is not a UTC time", timestamp("2026-05-04T12:00:00.000000Z", "2026-05-04T12:10:00.000Z")},
	{"comma", "is not a UTC time", timestamp("2026-05-04T12:00:00,000Z", "2026-05-04T12:10:00.000Z")},
	{"offset", "is not a UTC time", timestamp("2026-05-04T12:00:00.000+00:00", "2026-05-04T12:10:00.000Z")},
	{"no zone", "is not a UTC time", timestamp("2026-05-04T12:00:00.000", "2026-05-04T12:10:00.000Z")},
	{"z", "is not a UTC time", timestamp("2026-05-04T12:00:00.000z", "2026-05-04T12:10:00.000Z")},
	{"one digit of the hour", "is not a UTC time", timestamp("2026-05-04T9:00:00.000Z", "2026-05-04T12:10:00.000Z")},
	{"no such day", "is not a UTC time", timestamp("2026-04-31T12:00:00.000Z", "2026-05-04T12:10:00.000Z")},
	{"ends before it begins", "at 2026-05-04T12:00:00.000Z", timestamp("2026-05-04T12:00:00.001Z", "2026-05-04T12:00:00.000Z")},
	{"begins too late", "at 2026-05-04T12:00:00.000Z", timestamp("2026-05-04T12:10:00.001Z", "2026-05-04T12:20:00.000Z")},
	{"has ended", "at 2026-05-04T12:00:00.000Z", timestamp("2026-05-04T11:40:00.000Z", "2026-05-04T11:49:59.999Z")},
}

var refusedRPCPossession = []refusedRPC{
	{"no signature", "signature is not an object", func(l *rpcLogin) { l.proof = func(string) string { return "" } }},
	{"signature is null", "signature is not an object", proofText(`"signature":`, `"signature":null,"x":`)},
	{"token beside the signature", "signature without samlToken", func(l *rpcLogin) {
		l.text = replace(`"schemeId"`, `"samlToken":`+quoted(l.token)+`,"schemeId"`)
		l.proof = replace(`"samlToken"`, `"token"`)
	}},
	{"no value", "signature without value", proofText(`"value"`, `"Value"`)},
	{"empty value", "signature without value", func(l *rpcLogin) { l.value = func(string) string { return "" } }},
	{"member that is not signed", "more than samlToken and value", proofText(`"value"`, `"a":1,"value"`)},
	{"RS384", `"RS384" is not accepted`, func(l *rpcLogin) { signedText("RS256", "RS384")(l); l.hash = crypto.SHA384 }},
	{"RS512", `"RS512" is not accepted`, func(l *rpcLogin) { signedText("RS256", "RS512")(l); l.hash = crypto.SHA512 }},
	{"name of REST", `"RSA-SHA256" is not accepted`, signedText("RS256", "RSA-SHA256")},
	{"name in lower case", `"rs256" is not accepted`, signedText("RS256", "rs256")},
	{"no algorithm", "is not accepted", signedText(`"signatureAlgorithm":"RS256",`, "")},
	{"signed with another hash", "not by the holder", func(l *rpcLogin) { l.hash = crypto.SHA512 }},
	{"another key", "not by the holder", func(l *rpcLogin) { l.key = otherKey() }},
	{"signature byte", "not by the holder", func(l *rpcLogin) { l.value = func(s string) string { return "AAAA" + s[4:] } }},
	{"base64 of URLs", "not base64", func(l *rpcLogin) { l.value = func(s string) string { return "-_" + s[2:] } }},
	{"base64 without padding", "not base64", func(l *rpcLogin) { l.value = func(s string) string { return strings.TrimRight(s, "=") } }},
	{"base64 with a line break", "not base64", func(l *rpcLogin) { l.value = func(s string) string { return s[:76] + "\n" + s[76:] } }},
	{"base64 with bits behind its end", "not base64", func(l *rpcLogin) {
		l.value = func(s string) string { // 256 bytes leave four bits unused: A, Q, g or w stands last
			s = strings.TrimSuffix(s, "==")
			return s[:len(s)-1] + string(s[len(s)-1]+1) + "=="
		}
	}},
	{"id", "not by the holder", sentText(`"id":"0"`, `"id":"1"`)},
	{"id of another type", "not by the holder", sentText(`"id":"0"`, `"id":0`)},
	{"opId", "not by the holder", sentText("op-1", "op-2")},
	{"operation", "not by the holder", func(l *rpcLogin) {
		l.text, l.body = replace(`"create"`, `"delete"`), replace(`"delete"`, `"create"`)
	}},
	{"service", "not by the holder", func(l *rpcLogin) {
		l.text, l.body = replace(`cis.session"`, `cis.tagging"`), replace(`cis.tagging"`, `cis.session"`)
	}},
	{"input", "not by the holder", sentText(`"operation-input":{`, `"operation-input":{"a":1`)},
	{"member of the request", "not by the holder", sentText(`{"id"`, `{"a":1,"id"`)},
	{"member of params", "not by the holder", sentText(`"ctx":{`, `"a":1,"ctx":{`)},
	{"member of ctx", "not by the holder", sentText(`"appCtx":{`, `"a":1,"appCtx":{`)},
	{"member of appCtx", "not by the holder", sentText(`"opId"`, `"a":1,"opId"`)},
	{"member of securityCtx", "not by the holder", sentText(`"schemeId"`, `"a":1,"schemeId"`)},
	{"member left out", "not by the holder", func(l *rpcLogin) { l.text, l.body = replace(`{"id"`, `{"a":1,"id"`), replace(`"a":1,`, "") }},
	{"created", "not by the holder", sentText("2026-05-04T12:00:00.000Z", "2026-05-04T12:00:00.001Z")},
	{"expires", "not by the holder", sentText("2026-05-04T12:10:00.000Z", "2026-05-04T12:10:00.001Z")},
	{"member twice, the first one good", "not by the holder", sentText(`"id":"0"`, `"id":"0","id":"1"`)},
	{"member signature is signed too", "not by the holder", func(l *rpcLogin) {
		l.text, l.body = replace(`"timestamp"`, `"signature":{},"timestamp"`), replace(`"signature":{},`, "")
	}},
	{"signed with white space", "not by the holder", func(l *rpcLogin) { l.text = func(s string) string { return s + "\n" } }},
	{"signed in another order", "not by the holder", signedText(`"id":"0","jsonrpc":"2.0"`, `"jsonrpc":"2.0","id":"0"`)},
	{"signed as ASCII", "not by the holder", signedText("op-1", `\u00e9`)}, // as VMware's Python runtime does
	{"signed with an escaped slash", "not by the holder", signedText("op-1", `a\/b`)},
	{"signed with hex in lower case", "not by the holder", signedText("op-1", `\u001f`)},
	{"signed with a double as Go writes it", "not by the holder", func(l *rpcLogin) {
		l.text, l.body = replace(`-input":{`, `-input":{"a":1`), replace(`"a":1`, `"a":1.0`)
	}},
	{"integer is not a double", "not by the holder", func(l *rpcLogin) {
		l.text, l.body = replace(`-input":{`, `-input":{"a":1.0E0`), replace(`"a":1.0E0`, `"a":1`)
	}},
	{"number that is no double", "is not a double", signedText(`-input":{`, `-input":{"a":1e400`)},
}

func TestRPCLoginRefused(t *testing.T) {
	for group, tests := range map[string][]refusedRPC{"form": refusedRPCForm, "token": refusedRPCToken, "time": refusedRPCTime, "possession": refusedRPCPossession} {
		for _, test := range tests {
			t.Run(group+"/"+test.name, func(t *testing.T) {
				l := newRPCLogin()
				test.edit(l)
				v := newTestAutomation(nil)
				w := serve(v, l.build(t))
				reasons := strings.Join(v.Reasons(), "; ")
				if w.Code != http.StatusOK || v.Refused() != 1 || v.Logins()+v.Sessions() != 0 || !strings.Contains(reasons, test.reason) {
					t.Fatalf("status %d, logins %d, refused %d, reasons %q, want %q", w.Code, v.Logins(), v.Refused(), reasons, test.reason)
				}
				var answer struct{ Result json.RawMessage }
				_ = json.Unmarshal(w.Body.Bytes(), &answer)
				if !strings.Contains(rpcUnauthenticatedAnswer, string(answer.Result)) || len(answer.Result) < 300 {
					t.Errorf("answer %s", w.Body)
				}
				if got := w.Header().Get("vapi-error"); got != "com.vmware.vapi.std.errors.unauthenticated" {
					t.Errorf("vapi-error %q", got)
				}
			})
		}
	}
}

// A bearer login that is spoilt so that it is no request of JSON-RPC.
func TestRPCFaults(t *testing.T) {
	const invalid, mismatch = `"code":-32600,"message":"Invalid Request."`, `"code":-31001,"message":"Mismatching operation identifier in HTTP header and payload"`
	const unknown, parse = `"code":-32601,"message":"Method not found."`, `"code":-32700,"message":"Parse error."`
	all := func(s string) func(*rpcLogin) {
		return func(l *rpcLogin) { l.bearer(); l.body = func(string) string { return s } }
	}
	headers := func(pairs ...string) func(*rpcLogin) {
		return func(l *rpcLogin) { l.bearer(); rpcHeaders(pairs...)(l) }
	}
	for _, test := range []struct {
		name, want, data string
		refused          int // logins
		edit             func(*rpcLogin)
	}{
		{"empty", parse, "EOF", 0, all("")},
		{"cut", parse, "EOF", 0, all(`{"jsonrpc":"2.0"`)},
		{"two values", parse, "more than one", 0, all(`{}{}`)},
		{"not UTF-8", parse, "UTF-8", 0, all("\"\xff\"")},
		{"half a pair", parse, "surrogate", 0, bearerText(`"op-1"`, `"\ud800"`)},
		{"null", invalid, "not an object", 0, all("null")},
		{"batch", invalid, "not an object", 0, all("[{}]")},
		{"nothing in it", invalid, "jsonrpc", 0, all("{}")},
		{"no jsonrpc", invalid, "jsonrpc", 1, bearerText(`"jsonrpc"`, `"JSONRPC"`)},
		{"jsonrpc 1.0", invalid, "jsonrpc", 1, bearerText(`"jsonrpc":"2.0"`, `"jsonrpc":"1.0"`)},
		{"jsonrpc is a number", invalid, "jsonrpc", 1, bearerText(`"jsonrpc":"2.0"`, `"jsonrpc":2.0`)},
		{"jsonrpc is an object", invalid, "jsonrpc", 1, bearerText(`"jsonrpc":"2.0"`, `"jsonrpc":{}`)},
		{"no id", invalid, "id is", 1, bearerText(`"id"`, `"ID"`)},
		{"id is null", invalid, "id is", 1, bearerText(`"id":"0"`, `"id":null`)},
		{"id is a bool", invalid, "id is", 1, bearerText(`"id":"0"`, `"id":true`)},
		{"id is a list", invalid, "id is", 1, bearerText(`"id":"0"`, `"id":["0"]`)},
		{"no method", invalid, "method is not a string", 1, bearerText(`"method"`, `"Method"`)},
		{"method is a number", invalid, "method is not a string", 1, bearerText(`"invoke"`, `1`)},
		{"unknown method", unknown, "not invoke", 1, bearerText(`"invoke"`, `"call"`)},
		{"no params", invalid, "params", 0, bearerText(`"params":`, `"parameters":`)},
		{"params is a list", invalid, "params", 0, bearerText(`"params":`, `"params":[],"x":`)},
		{"no service", invalid, "params", 0, bearerText(`"serviceId"`, `"service"`)},
		{"service is a number", invalid, "params", 0, bearerText(`"com.vmware.cis.session"`, `1`)},
		{"no operation", invalid, "params", 0, bearerText(`"operationId"`, `"operation"`)},
		{"empty operation", invalid, "params", 0, bearerText(`"create"`, `""`)},
		{"no input", invalid, "input", 1, bearerText(`"input"`, `"Input"`)},
		{"input without STRUCTURE", invalid, "input", 1, bearerText(`{"STRUCTURE":{"operation-input":{}}}`, `{"operation-input":{}}`)},
		{"input of another name", invalid, "input", 1, bearerText(`operation-input`, `input`)},
		{"input is a list", invalid, "input", 1, bearerText(`"operation-input":{}`, `"operation-input":[]`)},
		{"two structures", invalid, "input", 1, bearerText(`"operation-input":{}`, `"operation-input":{},"a":{}`)},
		{"beside STRUCTURE", invalid, "input", 1, bearerText(`{"STRUCTURE"`, `{"a":1,"STRUCTURE"`)},
		{"no ctx", invalid, "appCtx", 1, bearerText(`"ctx":`, `"context":`)},
		{"no appCtx", invalid, "appCtx", 1, bearerText(`"appCtx":`, `"AppCtx":`)},
		{"appCtx is null", invalid, "appCtx", 1, bearerText(`"appCtx":`, `"appCtx":null,"x":`)},
		{"no opId", invalid, "opId", 1, bearerText(`"opId"`, `"opID"`)},
		{"empty opId", invalid, "opId", 1, bearerText(`"op-1"`, `""`)},
		{"opId is a number", invalid, "opId", 1, bearerText(`"op-1"`, `1`)},
		{"securityCtx is a string", invalid, "securityCtx", 1, bearerText(`"securityCtx":`, `"securityCtx":"a","x":`)},
		{"service header alone", mismatch, "vapi-operation", 1, headers("vapi-service", "com.vmware.cis.session")},
		{"operation header alone", mismatch, "vapi-service", 1, headers("vapi-operation", "create")},
		{"another service", mismatch, "vapi-service", 1, headers("vapi-service", "com.vmware.cis.tagging", "vapi-operation", "create")},
		{"another operation", mismatch, "vapi-operation", 1, headers("vapi-service", "com.vmware.cis.session", "vapi-operation", "delete")},
		{"in another case", mismatch, "vapi-operation", 1, headers("vapi-service", "com.vmware.cis.session", "vapi-operation", "Create")},
		{"empty headers", mismatch, "vapi-service", 1, headers("vapi-service", "", "vapi-operation", "")},
		{"service header twice", mismatch, "vapi-service", 1,
			headers("vapi-service", "com.vmware.cis.session", "vapi-service", "com.vmware.cis.session", "vapi-operation", "create")},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newRPCLogin()
			test.edit(l)
			v := newTestAutomation(nil)
			r := l.build(t)
			w := serve(v, r)
			id := `"0"`
			if strings.Contains(test.data, "id is") || v.Calls(rpcPost) == 1 && !strings.Contains(test.data, "params") {
				id = "null"
			}
			want := `{"jsonrpc":"2.0","id":` + id + `,"error":{` + test.want + `,"data":"`
			if got := w.Body.String(); w.Code != http.StatusOK || len(w.Header()) != 1 || !strings.HasPrefix(got, want) || !strings.Contains(got, test.data) {
				t.Errorf("status %d, header %v, answer %s, want %s, %s", w.Code, w.Header(), got, want, test.data)
			}
			if v.Logins() != 0 || v.Refused() != test.refused || len(v.Reasons()) != test.refused {
				t.Errorf("logins %d, refused %d, reasons %q, want %d", v.Logins(), v.Refused(), v.Reasons(), test.refused)
			}
			if v.Calls(rpcCreate) != test.refused || v.Calls(rpcPost) != 1-test.refused {
				t.Errorf("calls %d, %d", v.Calls(rpcCreate), v.Calls(rpcPost))
			}
		})
	}
}

func TestRPCOverHTTP(t *testing.T) {
	v := newTestAutomation(nil)
	good := rpcText("com.vmware.vcenter.VM", "list", "", "")
	for _, test := range []struct {
		method, path, kind, body string
		want                     int
	}{
		{"POST", "/api", "application/json", good, 200},
		{"POST", "/api", "application/json;charset=utf-8", good, 200},
		{"POST", "/api", "", good, 415},
		{"POST", "/api", "text/json", good, 415},
		{"POST", "/api", "application/json; charset=utf-16", good, 415},
		{"POST", "/api", "application/vnd.vmware.vapi.framed", good, 415},
		{"POST", "/api", "application/json", strings.Repeat(" ", maxMessage-len(good)) + good, 200},
		{"POST", "/api", "application/json", strings.Repeat(" ", maxMessage+1-len(good)) + good, 413},
		{"GET", "/api", "", "", 405},
		{"PUT", "/api", "application/json", good, 405},
		{"POST", "/api/", "application/json", good, 401},
		{"POST", "/apis", "application/json", good, 404},
		{"POST", "/rest", "application/json", good, 404},
	} {
		r := rpcHTTP(test.body)
		r.Method, r.URL.Path = test.method, test.path
		r.Header.Set("Content-Type", test.kind)
		if w := serve(v, r); w.Code != test.want {
			t.Errorf("%s %s, %q, %d bytes: status %d, want %d", test.method, test.path, test.kind, len(test.body), w.Code, test.want)
		}
	}
	if v.Calls("GET /api") != 1 || v.Calls(rpcPost) != 1 || v.Calls("com.vmware.vcenter.VM list") != 7 || v.Refused() != 0 {
		t.Errorf("calls %d, %d, %d, refused %d", v.Calls("GET /api"), v.Calls(rpcPost), v.Calls("com.vmware.vcenter.VM list"), v.Refused())
	}
}

// The recorded request of the Java runtime, with one thing changed each.
func TestRPCVectorRefused(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"operation id":  replace(`"opId":"opid-0001"`, `"opId":"opid-0002"`),
		"id":            replace(`"id":"0"`, `"id":"1"`),
		"added member":  replace(`"jsonrpc"`, `"a":null,"jsonrpc"`),
		"added to ctx":  replace(`"schemeId"`, `"a":"b","schemeId"`),
		"created":       replace("00:56:39.952Z", "00:56:39.951Z"),
		"expires":       replace("01:06:39.952Z", "01:06:39.953Z"),
		"token":         replace("test-solution@", "administrator@"),
		"signature":     replace(`"value":"R`, `"value":"S`),
		"algorithm":     replace("RS256", "RS512"),
		"bearer scheme": replace("saml_hok_token", "saml_bearer_token"),
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := rpcVector(t, "java-2.19.0-hok.body.json")
			w := serve(v, rpcHTTP(change(read(t, "java-2.19.0-hok.body.json"))))
			if v.Refused() != 1 || len(v.Reasons()) != 1 || !strings.Contains(w.Body.String(), "errors.unauthenticated") {
				t.Errorf("answer %s, reasons %q", w.Body, v.Reasons())
			}
		})
	}
	for name, change := range map[string]func(*AutomationConfig){
		"another issuer": func(c *AutomationConfig) { c.Trust = []*x509.Certificate{authority().Certificate()} },
		"too early": func(c *AutomationConfig) {
			c.Now = func() time.Time { return time.Date(2026, 11, 22, 0, 46, 39, 0, time.UTC) }
		},
		"too late": func(c *AutomationConfig) {
			c.Now = func() time.Time { return time.Date(2026, 11, 22, 1, 16, 40, 0, time.UTC) }
		},
	} {
		v, r := rpcVector(t, "java-2.19.0-hok.body.json")
		if change(&v.cfg); serve(v, r) == nil || v.Refused() != 1 {
			t.Errorf("%s: reasons %q", name, v.Reasons())
		}
	}
}
