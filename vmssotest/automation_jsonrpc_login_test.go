package vmssotest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rpcLogin is a JSON-RPC login that is canonical because it is pasted together so: it shares nothing with the verifier. Each field can be spoilt.
type rpcLogin struct {
	token, scheme    string
	created, expires string
	key              crypto.Signer // nil: a bearer token
	alg              string
	hash             crypto.Hash

	text   func(string) string // before it is signed
	value  func(string) string // of the signature, in base64
	proof  func(string) string // the member signature of securityCtx
	body   func(string) string // after it is signed
	header func(http.Header)
}

// newRPCLogin is a good login with a holder-of-key token.
func newRPCLogin() *rpcLogin {
	return &rpcLogin{
		token: newAutomationLogin().token, scheme: vapiSecurity + "saml_hok_token", key: clientKey(), alg: "RS256", hash: crypto.SHA256,
		created: stamp(testTime()), expires: stamp(testTime().Add(10 * time.Minute)),
	}
}

func (l *rpcLogin) bearer() {
	a := newAutomationLogin()
	a.bearer()
	l.token, l.scheme, l.key = a.token, vapiSecurity+"saml_bearer_token", nil
}

func quoted(s string) string { return string(mustMarshal(s)) }

func (l *rpcLogin) build(t testing.TB) *http.Request {
	t.Helper()
	ctx := `"samlToken":` + quoted(l.token) + `,"schemeId":"` + l.scheme + `"`
	if l.key != nil {
		ctx = `"schemeId":"` + l.scheme + `","signatureAlgorithm":"` + l.alg + `","timestamp":{"created":"` + l.created + `","expires":"` + l.expires + `"}`
	}
	text := edited(rpcText("com.vmware.cis.session", "create", "", ctx), l.text)
	body := text
	if l.key != nil {
		value := edited(base64.StdEncoding.EncodeToString(signASN1(t, l.key, l.hash, text)), l.value)
		proof := edited(`"signature":{"samlToken":`+quoted(l.token)+`,"value":`+quoted(value)+`},`, l.proof)
		body = strings.Replace(text, `"securityCtx":{`, `"securityCtx":{`+proof, 1)
	}
	r := rpcHTTP(edited(body, l.body))
	if l.header != nil {
		l.header(r.Header)
	}
	return r
}

// signASN1 signs as Java does: an ECDSA signature is ASN.1.
func signASN1(t testing.TB, key crypto.Signer, hash crypto.Hash, text string) []byte {
	t.Helper()
	h := hash.New()
	h.Write([]byte(text))
	value, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func edited(s string, f func(string) string) string {
	if f == nil {
		return s
	}
	return f(s)
}

// rpcText is the canonical text of a request; input and ctx are the members of these objects.
func rpcText(service, operation, input, ctx string) string {
	return `{"id":"0","jsonrpc":"2.0","method":"invoke","params":{"ctx":{"appCtx":{"opId":"op-1"},"securityCtx":{` + ctx + `}},` +
		`"input":{"STRUCTURE":{"operation-input":{` + input + `}}},"operationId":"` + operation + `","serviceId":"` + service + `"}}`
}

func rpcHTTP(body string) *http.Request {
	r := httptest.NewRequest("POST", "/api", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestRPCLoginAccepted(t *testing.T) {
	edit := func(f func(*rpcLogin)) *rpcLogin {
		l := newRPCLogin()
		f(l)
		return l
	}
	text := func(old, new string) *rpcLogin { return edit(signedText(old, new)) }
	body := func(old, new string) *rpcLogin { return edit(sentText(old, new)) }
	at := func(created, expires time.Duration) *rpcLogin {
		return edit(func(l *rpcLogin) {
			l.created, l.expires = stamp(testTime().Add(created)), stamp(testTime().Add(expires))
		})
	}
	tests := map[string]*rpcLogin{
		"holder of key":         newRPCLogin(),
		"bearer":                edit((*rpcLogin).bearer),
		"another id":            text(`"id":"0"`, `"id":"af17372a-f2a4-49f8-8a24-84b382e845b9"`),
		"id is a number":        text(`"id":"0"`, `"id":12345678901234567890`),
		"id is a double":        edit(func(l *rpcLogin) { l.text, l.body = replace(`"id":"0"`, `"id":1.0E0`), replace(`1.0E0`, `1.0`) }),
		"members of no concern": text(`{"id"`, `{"a":[true,null,{}],"id"`),
		"member of securityCtx": text(`"schemeId"`, `"another":{"a":1},"schemeId"`),
		"member of appCtx":      text(`{"opId":"op-1"`, `{"$userAgent":"a","actId":null,"opId":"op-1"`),
		"not ASCII":             text(`"op-1"`, "\"\u00e9\u2028\U0001F600\uffee\u007f\""),
		"not ASCII, escaped": edit(func(l *rpcLogin) {
			l.text, l.body = replace("op-1", "\u00e9\U0001F600"), replace("\u00e9\U0001F600", `\u00e9\ud83d\uDE00`)
		}),
		"control characters":              text("op-1", `\b\f\n\r\t\u0000\u001F\"\\/`),
		"numbers in the input":            text(`operation-input":{`, `operation-input":{"a":[1,-0.0E0,1.5E0,1.0E-1,123456789012345678901]`),
		"white space":                     edit(func(l *rpcLogin) { l.body = indented }),
		"order of members":                body(`{"id":"0","jsonrpc":"2.0","method":"invoke",`, ` {"method":"invoke", "jsonrpc":"2.0","id":"0",`),
		"member twice, the last one good": body(`"id":"0"`, `"id":[],"id":"0"`),
		"token with escapes": edit(func(l *rpcLogin) {
			l.proof = func(s string) string { return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", "/", `\/`).Replace(s) }
		}),
		"created in 10 minutes":   at(10*time.Minute, 10*time.Minute),
		"expired 10 minutes ago":  at(-10*time.Minute, -10*time.Minute),
		"valid for long":          at(-24*time.Hour, 24*time.Hour),
		"headers of the operator": edit(rpcHeaders("vapi-service", "com.vmware.cis.session", "vapi-operation", "create", "vapi-ctx-opid", "op-1")),
		"charset":                 edit(rpcHeaders("Content-Type", "application/json; charset=UTF-8")),
		"token with many groups":  edit(func(l *rpcLogin) { l.token = manyGroups() }),
	}
	for name, l := range tests {
		t.Run(name, func(t *testing.T) {
			var logins []AutomationLogin
			v := newTestAutomation(func(c *AutomationConfig) { c.OnLogin = func(l AutomationLogin) { logins = append(logins, l) } })
			r := l.build(t)
			sent, _ := bodyOf(nil, r)
			w := serve(v, withBody(r, sent))
			if w.Code != http.StatusOK || v.Logins() != 1 || v.Refused() != 0 || v.Sessions() != 1 || len(logins) != 1 || v.Calls(rpcCreate) != 1 {
				t.Fatalf("status %d, logins %d, answer %s, reasons %q", w.Code, v.Logins(), w.Body, v.Reasons())
			}
			got := logins[0]
			if got.Subject != "alice@vsphere.local" || got.Assertion != l.token || got.AssertionID != "_token-1" || string(got.Body) != string(sent) {
				t.Errorf("login = %+v", got)
			}
			if got.HolderOfKey != (l.key != nil) || (got.Holder != nil) != got.HolderOfKey || got.Header.Get("Content-Type") == "" {
				t.Errorf("login = %+v", got)
			}
			var request struct{ ID json.RawMessage }
			_ = json.Unmarshal(sent, &request)
			if want := `{"jsonrpc":"2.0","id":` + string(request.ID) + `,"result":{"output":{"SECRET":"` + got.Session + `"}}}`; w.Body.String() != want {
				t.Errorf("answer %s, want %s", w.Body, want)
			}
			if w.Header().Get("Content-Type") != "application/json" || len(w.Header()) != 1 {
				t.Errorf("header %v", w.Header())
			}
		})
	}
}

func indented(s string) string {
	var v json.RawMessage = []byte(s)
	data, err := json.MarshalIndent(v, "\r", "\t")
	if err != nil {
		panic(err)
	}
	return string(data) + "\n"
}

// rpcVector is a request of another implementation, as it was recorded.
func rpcVector(t testing.TB, file string) (*Automation, *http.Request) {
	v := newTestAutomation(func(c *AutomationConfig) {
		c.Trust = []*x509.Certificate{readCertificate(t, "sts-cert.pem")}
		c.Now = func() time.Time { return time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) }
	})
	return v, rpcHTTP(read(t, file))
}

func TestRPCVectorsAccepted(t *testing.T) {
	var login AutomationLogin
	v, r := rpcVector(t, "java-2.19.0-hok.body.json")
	v.cfg.OnLogin = func(l AutomationLogin) { login = l }
	if serve(v, r); !login.HolderOfKey || !login.Holder.Equal(readCertificate(t, "client-cert.pem")) || login.Assertion != read(t, "hok.xml") {
		t.Errorf("login = %+v, reasons %q", login, v.Reasons())
	}
	v, r = rpcVector(t, "java-2.19.0-hok.body.json")
	*r = *rpcHTTP(indented(reordered(t, read(t, "java-2.19.0-hok.body.json"))))
	if serve(v, r); v.Logins() != 1 {
		t.Errorf("in another order: reasons %q", v.Reasons())
	}

	v, r = rpcVector(t, "go-runtime-bearer.body.json")
	v.cfg.OnLogin = func(l AutomationLogin) { login = l }
	var recorded struct{ Headers http.Header }
	if err := json.Unmarshal([]byte(read(t, "go-runtime-bearer.headers.json")), &recorded); err != nil || len(recorded.Headers) != 8 {
		t.Fatal(err, recorded)
	}
	r.Header = recorded.Headers
	if serve(v, r); login.HolderOfKey || login.Assertion != read(t, "bearer.xml") {
		t.Errorf("login = %+v, reasons %q", login, v.Reasons())
	}
}

// reordered writes the members of all objects in alphabetical order, numbers and strings in another form.
func reordered(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return string(mustMarshal(v))
}
