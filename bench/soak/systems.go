package main

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

// A server is what is logged in to: what the soak wants of it.
type server interface {
	http.Handler
	Refused() int
	Reasons() []string
	Sessions() int
	Kill() int
	Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler))
}

// A kind is what is particular to a system.
type kind struct {
	name      string
	http2     bool
	auth      vmsso.Authenticator
	newServer func(trust []*x509.Certificate, accepted func()) server
	helloOp   string // what a login begins with, "" if that is the login itself
	loginOp   string
	logoutOp  string
	spoil     func(r *http.Request)                // makes a login one that the server refuses
	refused   func(status int, answer string) bool // the answer says that there is no session
	exchanges []func(id int64, caller int) exchange
}

func kinds() []kind {
	return []kind{
		{
			name: "SOAP",
			auth: &soap.Authenticator{},
			newServer: func(trust []*x509.Certificate, accepted func()) server {
				return vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trust, OnLogin: func(vmssotest.Login) { accepted() }})
			},
			helloOp: "RetrieveServiceContent", loginOp: "LoginByToken", logoutOp: "Logout",
			spoil: func(r *http.Request) { r.Header.Set("SOAPAction", "no") },
			refused: func(status int, answer string) bool {
				return status == 401 || (status == 200 || status == 500) && strings.Contains(answer, `"NotAuthenticated"`)
			},
			exchanges: []func(int64, int) exchange{
				message, message, unrepeatable(message), properties, download,
				upload("/folder/disk", small), upload("/folder/disk", large), again(upload("/folder/disk", large)),
			},
		},
		{
			name:      "REST",
			http2:     true,
			auth:      &automation.Authenticator{},
			newServer: newAutomation,
			loginOp:   "POST /api/session", logoutOp: "DELETE /api/session",
			spoil:     spoilSIGN,
			refused:   is401,
			exchanges: restCalls("/api/vcenter/vm", "web01", "/api/content/iso"),
		},
		{
			name:      "JSON-RPC",
			auth:      &automation.Authenticator{Protocol: automation.JSONRPC},
			newServer: newAutomation,
			loginOp:   "com.vmware.cis.session create", logoutOp: "com.vmware.cis.session delete",
			spoil: spoilRPC,
			refused: func(status int, answer string) bool {
				return status == 401 || status == 200 && strings.Contains(answer, "std.errors.unauthenticated")
			},
			exchanges: append(restCalls("/api/vcenter/vm", "web01", "/api/content/iso"), invoke, invoke, unrepeatable(invoke)),
		},
		{
			name:  "Director",
			http2: true,
			auth:  &vcloud.Authenticator{Org: "Finance"},
			newServer: func(trust []*x509.Certificate, accepted func()) server {
				return vmssotest.NewDirector(vmssotest.DirectorConfig{
					Trust: trust, Lifetime: 1000 * time.Hour, OnLogin: func(vmssotest.DirectorLogin) { accepted() },
				})
			},
			helloOp: "GET /api/versions", loginOp: "POST /cloudapi/1.0.0/sessions", logoutOp: "DELETE /cloudapi/1.0.0/sessions/current",
			spoil:     spoilSIGN,
			refused:   is401,
			exchanges: restCalls("/api/org", "Finance", "/transfer/ova"),
		},
	}
}

func newAutomation(trust []*x509.Certificate, accepted func()) server {
	return vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust, OnLogin: func(vmssotest.AutomationLogin) { accepted() }})
}

func spoilSIGN(r *http.Request) { r.Header.Set("Authorization", `SIGN token="AAAA"`) }

func spoilRPC(r *http.Request) {
	body, _ := io.ReadAll(r.Body) // of memory
	body = bytes.ReplaceAll(body, []byte(`"samlToken":"`), []byte(`"samlToken":"no `))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

func is401(status int, _ string) bool { return status == http.StatusUnauthorized }

// An exchange is a request and the answer to it. By the answer a request is told
// from all others that are under way.
type exchange struct {
	method, path, contentType string
	body                      string // "" if there is a length
	length                    int64  // of a body of zeros
	repeatable                bool   // the body has GetBody
	want                      string // a part of the answer, all of it if exact
	exact                     bool
}

func (e *exchange) right(status int, answer string) bool {
	return (status == http.StatusOK || status == http.StatusCreated) && (answer == e.want || !e.exact && strings.Contains(answer, e.want))
}

// mayTwice tells whether the request may be executed more than once.
func (e *exchange) mayTwice() bool { return e.method != http.MethodPost }

// isStream tells whether the body can be read only once by the caller's own code
// and is no text, which the transport reads ahead: then it is not repeated.
func (e *exchange) isStream() bool { return e.length > 0 && !e.repeatable }

// isLong tells whether no part of the transport's memory holds the body.
func (e *exchange) isLong() bool { return e.isStream() && e.length > replayBody }

const (
	textXML = "text/xml; charset=utf-8"
	binary  = "application/octet-stream"
	jsonDoc = "application/json"

	replayBody = 16 << 10
	small      = 1000
	large      = 2 * replayBody
)

// message is a SOAP call. Its operation, with which it is answered, is that of one
// caller: the servers count each operation, and for ever.
func message(id int64, caller int) exchange {
	op := fmt.Sprintf("Echo%dOf%d", id%10, caller)
	return exchange{method: "POST", path: "/sdk", contentType: textXML, body: envelope(op), repeatable: true, want: "<" + op + "Response"}
}

// properties is refused in an answer with status 200, the missingSet.
func properties(int64, int) exchange {
	return exchange{method: "POST", path: "/sdk", contentType: textXML, body: envelope("RetrievePropertiesEx"), repeatable: true, want: "web01"}
}

func envelope(op string) string {
	return `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><` + op + ` xmlns="urn:vim25"/></Body></Envelope>`
}

func download(id int64, _ int) exchange {
	path := fmt.Sprint("/folder/", id)
	return exchange{method: "GET", path: path, want: "contents of " + path, exact: true}
}

// upload is a file whose length is that of no other call under way, with which it
// is answered.
func upload(path string, least int64) func(int64, int) exchange {
	return func(id int64, _ int) exchange {
		n := least + id%10_000
		return exchange{method: "PUT", path: path, contentType: binary, length: n, want: fmt.Sprint(n), exact: true}
	}
}

func text(id int64) string { return fmt.Sprintf("this is call %d", id) }

func restCalls(list, want, file string) []func(int64, int) exchange {
	get := func(int64, int) exchange { return exchange{method: "GET", path: list, want: want} }
	echo := func(id int64, _ int) exchange {
		body := `{"text":"` + text(id) + `"}`
		return exchange{method: "POST", path: "/api/echo", contentType: jsonDoc, body: body, repeatable: true, want: body, exact: true}
	}
	return []func(int64, int) exchange{get, echo, echo, unrepeatable(echo), upload(file, small), upload(file, large), again(upload(file, large))}
}

// invoke is a call over JSON-RPC, refused in an answer with status 200.
func invoke(id int64, _ int) exchange {
	body := `{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":"com.vmware.vmssotest","operationId":"echo","input":{"STRUCTURE":` +
		`{"operation-input":{"value":"` + text(id) + `"}}},"ctx":{"appCtx":{"opId":"1"}}},"id":"7"}`
	return exchange{method: "POST", path: "/api", contentType: jsonDoc, body: body, repeatable: true, want: `"output":"` + text(id) + `"`}
}

// unrepeatable is a call whose body can be read only once, as those of govmomi.
func unrepeatable(f func(int64, int) exchange) func(int64, int) exchange {
	return func(id int64, caller int) exchange {
		e := f(id, caller)
		e.repeatable = false
		return e
	}
}

func again(f func(int64, int) exchange) func(int64, int) exchange {
	return func(id int64, caller int) exchange {
		e := f(id, caller)
		e.repeatable = true
		return e
	}
}
