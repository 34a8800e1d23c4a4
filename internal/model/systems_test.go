//go:build model

package model_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

const (
	systemURL = "http://localhost:8080"
	stsURL    = "http://localhost:8081"

	idle       = 30 * time.Minute
	replayBody = 16 << 10
)

// server is what the model wants of a server.
type server interface {
	http.Handler
	Logins() int
	Refused() int
	Sessions() int
	MaxConcurrentLogins() int
	Reasons() []string
	Kill() int
	Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler))
}

// A system is one of the three, with a protocol.
type system struct {
	name    string
	auth    func() vmsso.Authenticator
	server  func(trust []*x509.Certificate) server
	role    func(r *http.Request, body []byte) role
	refused func(status int, text string) bool // the answer says that there is no session
	spoil   func(r *http.Request)              // makes a login one that the server refuses
	kinds   []string                           // of calls
	calls   map[string]func(id int) exchange
}

// A role is what a request is for.
type role string

const (
	hello   role = "hello" // what a login begins with
	login   role = "login"
	probe   role = "probe"
	logout  role = "logout"
	sts     role = "sts"
	calling role = "call" // of a caller
	foreign role = "foreign"
)

// An exchange is a request of a caller, and its answer.
type exchange struct {
	method, path, contentType, body string
	again                           bool // it has GetBody
	once                            bool // it may be executed once only
	bound                           bool // it is not sent again in another session
	want                            string
	part                            bool // want is a part of the answer
}

func (e exchange) right(status int, text string) bool {
	if status != http.StatusOK && status != http.StatusCreated && status != http.StatusNoContent {
		return false
	}
	return text == e.want || e.part && strings.Contains(text, e.want)
}

const (
	textXML = "text/xml; charset=utf-8"
	binary  = "application/octet-stream"
	jsonDoc = "application/json"
)

// upload is what the file services get and count. Its length is another one for each call.
func upload(id, least int) string {
	return strings.Repeat(".", id) + strings.Repeat(fmt.Sprintf("%4d\n", id), least/5)
}

func jsonText(id int) string { return fmt.Sprintf(`{"call":%d}`, id) }

func soapBody(op string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><` + op + ` xmlns="urn:vim25"/></Body></Envelope>`
}

func soapCall(op string) exchange {
	return exchange{method: "POST", path: "/sdk", contentType: textXML, body: soapBody(op), once: true, want: "<" + op + "Response", part: true}
}

var soapCalls = map[string]func(id int) exchange{
	"get": func(id int) exchange {
		path := fmt.Sprint("/folder/", id)
		return exchange{method: "GET", path: path, want: "contents of " + path}
	},
	"message": func(id int) exchange {
		e := soapCall(fmt.Sprint("Echo", id))
		e.again = true
		return e
	},
	"unrepeatable": func(id int) exchange { return soapCall(fmt.Sprint("Echo", id)) }, // as govmomi's
	"stream": func(id int) exchange {
		body := upload(id, 3000)
		return exchange{method: "PUT", path: fmt.Sprint("/folder/", id), contentType: binary, body: body, want: fmt.Sprint(len(body))}
	},
	"large": func(id int) exchange {
		body := upload(id, 3*replayBody)
		return exchange{method: "PUT", path: fmt.Sprint("/folder/", id), contentType: binary, body: body, bound: true, want: fmt.Sprint(len(body))}
	},
	"perhaps": func(int) exchange {
		e := soapCall("RetrievePropertiesEx")
		e.want = "web01"
		return e
	},
	"bound": func(int) exchange {
		e := soapCall("ContinueRetrievePropertiesEx")
		e.bound = true
		return e
	},
	"logout": func(int) exchange { return soapCall("Logout") },
}

func soapRole(r *http.Request, body []byte) role {
	for op, is := range map[string]role{"RetrieveServiceContent": hello, "LoginByToken": login, "Logout": logout, "CurrentTime": probe} {
		if bytes.Contains(body, []byte("<"+op+" ")) {
			return is
		}
	}
	return foreign
}

func soapRefused(status int, text string) bool {
	return status == http.StatusUnauthorized || (status == 500 || status == 200) && strings.Contains(text, `"NotAuthenticated"`)
}

func restCalls(list, want, files string) map[string]func(id int) exchange {
	echo := func(contentType, body string, again bool) exchange {
		return exchange{method: "POST", path: "/api/echo", contentType: contentType, body: body, again: again, once: true, want: body}
	}
	return map[string]func(id int) exchange{
		"get":          func(int) exchange { return exchange{method: "GET", path: list, want: want, part: true} },
		"message":      func(id int) exchange { return echo(jsonDoc, jsonText(id), true) },
		"unrepeatable": func(id int) exchange { return echo(jsonDoc, jsonText(id), false) },
		"stream":       func(id int) exchange { return echo(binary, upload(id, 3000), false) },
		"copies": func(id int) exchange {
			body := upload(id, 3*replayBody)
			return exchange{method: "PUT", path: fmt.Sprint(files, id), contentType: binary, body: body, again: true, want: fmt.Sprint(len(body))}
		},
		"large": func(id int) exchange {
			body := upload(id, 3*replayBody)
			return exchange{method: "PUT", path: fmt.Sprint(files, id), contentType: binary, body: body, bound: true, want: fmt.Sprint(len(body))}
		},
	}
}

func with(calls map[string]func(id int) exchange, name string, f func(id int) exchange) map[string]func(id int) exchange {
	calls[name] = f
	return calls
}

// rpc is a call of JSON-RPC.
func rpc(service, operation, input string) string {
	return `{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":"` + service + `","operationId":"` + operation +
		`","input":{"STRUCTURE":{"operation-input":{` + input + `}}},"ctx":{"appCtx":{"opId":"1"}}},"id":"7"}`
}

func rpcCalls() map[string]func(id int) exchange {
	calls := restCalls("/api/vcenter/vm", "web01", "/api/content/")
	for name, again := range map[string]bool{"message": true, "unrepeatable": false} {
		calls[name] = func(id int) exchange {
			text := fmt.Sprintf(`"call %d"`, id)
			return exchange{method: "POST", path: "/api", contentType: jsonDoc, body: rpc("com.vmware.vmssotest", "echo", `"value":`+text),
				again: again, once: true, want: `"output":` + text, part: true}
		}
	}
	calls["logout"] = func(int) exchange {
		return exchange{method: "POST", path: "/api", contentType: jsonDoc, body: rpc("com.vmware.cis.session", "delete", ""), once: true}
	}
	return calls
}

func automationRole(r *http.Request, body []byte) role {
	switch r.Method + " " + r.URL.Path {
	case "POST /api/session":
		return login
	case "GET /api/session":
		return probe
	case "DELETE /api/session":
		return logout
	case "POST /api":
		return map[string]role{"create": login, "get": probe, "delete": logout}[r.Header.Get("Vapi-Operation")]
	}
	return foreign
}

func newAutomation(trust []*x509.Certificate) server {
	return vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust, Idle: idle})
}

func spoilSIGN(r *http.Request) { r.Header.Set("Authorization", `SIGN token="AAAA"`) }

func spoilRPC(r *http.Request) {
	body, _ := io.ReadAll(r.Body) // of memory
	body = bytes.ReplaceAll(body, []byte(`"samlToken":"`), []byte(`"samlToken":"no `))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

func directorRole(r *http.Request, _ []byte) role {
	switch r.Method + " " + r.URL.Path {
	case "GET /api/versions":
		return hello
	case "POST /cloudapi/1.0.0/sessions":
		return login
	case "GET /cloudapi/1.0.0/sessions/current":
		return probe
	case "DELETE /cloudapi/1.0.0/sessions/current":
		return logout
	}
	return foreign
}

func is401(status int, _ string) bool { return status == http.StatusUnauthorized }

var systems = []*system{
	{
		name: "SOAP",
		auth: func() vmsso.Authenticator { return &soap.Authenticator{} },
		server: func(trust []*x509.Certificate) server {
			return vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trust, Idle: idle})
		},
		role:    soapRole,
		refused: soapRefused,
		spoil:   func(r *http.Request) { r.Header.Set("SOAPAction", "no") },
		kinds:   []string{"message", "get", "unrepeatable", "stream", "large", "perhaps", "bound", "logout", "session"},
		calls:   soapCalls,
	},
	{
		name:    "REST",
		auth:    func() vmsso.Authenticator { return &automation.Authenticator{} },
		server:  newAutomation,
		role:    automationRole,
		refused: is401,
		spoil:   spoilSIGN,
		kinds:   []string{"get", "message", "unrepeatable", "stream", "copies", "large", "logout", "session"},
		calls: with(restCalls("/api/vcenter/vm", "web01", "/api/content/"), "logout", func(int) exchange {
			return exchange{method: "DELETE", path: "/api/session"}
		}),
	},
	{
		name:   "JSON-RPC",
		auth:   func() vmsso.Authenticator { return &automation.Authenticator{Protocol: automation.JSONRPC} },
		server: newAutomation,
		role:   automationRole,
		refused: func(status int, text string) bool {
			return status == http.StatusUnauthorized || status == 200 && strings.Contains(text, "std.errors.unauthenticated")
		},
		spoil: spoilRPC,
		kinds: []string{"message", "unrepeatable", "get", "stream", "copies", "large", "logout", "session"},
		calls: rpcCalls(),
	},
	{
		name: "Director",
		auth: func() vmsso.Authenticator { return &vcloud.Authenticator{Org: "Finance"} },
		server: func(trust []*x509.Certificate) server { // a JWT that ends before its session would be another story
			return vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: trust, Idle: idle, Lifetime: 1000 * time.Hour})
		},
		role:    directorRole,
		refused: is401,
		spoil:   spoilSIGN,
		kinds:   []string{"get", "message", "unrepeatable", "stream", "copies", "large", "logout", "session"},
		calls: with(restCalls("/api/org", "Finance", "/transfer/"), "logout", func(int) exchange {
			return exchange{method: "DELETE", path: "/cloudapi/1.0.0/sessions/current"}
		}),
	},
}
