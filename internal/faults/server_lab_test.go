package faults_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// A system is one of those that a transport logs in to.
type system struct {
	name   string
	client func(*lab, *testing.T, vmsso.TokenSource, ...func(*vmsso.Config)) (*http.Client, *vmsso.Transport)
	call   func(context.Context, *http.Client) (int, string, error) // the ordinary one
	op     string                                                   // of that call
	login  string                                                   // the operation that logs in
	logout string
	server func(*lab) faultyServer
}

// A faultyServer is a server that counts and takes faults.
type faultyServer interface {
	server
	Calls(op string) int
	Kill() int
	Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler))
}

var (
	overSOAP = system{"SOAP", (*lab).soap, currentTime, "CurrentTime", "LoginByToken", "Logout",
		func(l *lab) faultyServer { return l.vsphere }}
	overREST = system{"REST", (*lab).rest, vms, "GET /api/vcenter/vm", "POST /api/session", "DELETE /api/session",
		func(l *lab) faultyServer { return l.automation }}
	onDirector = system{"Cloud Director", (*lab).vcd, orgs, "GET /api/org", "POST /cloudapi/1.0.0/sessions", "DELETE /cloudapi/1.0.0/sessions/current",
		func(l *lab) faultyServer { return l.director }}

	systems = []system{overSOAP, overREST, onDirector}
)

// onEverySystem runs a test in a bubble for each system.
func onEverySystem(t *testing.T, f func(t *testing.T, sys system)) {
	t.Helper()
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { f(t, sys) })
		})
	}
}

// instead answers in the server's place. The header are names and values.
func instead(status int, contentType, body string, header ...string) vmssotest.Injector {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// soapFault answers with a fault of SOAP 1.1 in the server's place. The detail is the name of a vSphere fault, "" for none.
func soapFault(code, text, detail string, header ...string) vmssotest.Injector {
	return instead(http.StatusInternalServerError, "text/xml; charset=utf-8", faultMessage(code, text, detail), header...)
}

func faultMessage(code, text, detail string) string {
	if detail != "" {
		detail = `<detail><` + detail + `Fault xmlns="urn:vim25" xsi:type="` + detail + `"/></detail>`
	}
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><S:Body>` +
		`<S:Fault xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/"><faultcode>` + code + `</faultcode><faultstring>` + text + `</faultstring>` +
		detail + `</S:Fault></S:Body></S:Envelope>`
}

// spoilt lets the server answer and changes the answer before it is sent.
func spoilt(change func(answer *httptest.ResponseRecorder)) vmssotest.Injector {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		change(rec)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}
