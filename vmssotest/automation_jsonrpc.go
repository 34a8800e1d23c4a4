package vmssotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const (
	rpcPath   = "/api"
	rpcPost   = "POST " + rpcPath
	rpcCreate = "com.vmware.cis.session create"
)

// rpcFault is an error of JSON-RPC itself, not of vAPI.
type rpcFault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    string `json:"data"` // says more, as VMware's Go and Python runtimes do
}

func (f *rpcFault) Error() string { return fmt.Sprintf("%d %s %s", f.Code, f.Message, f.Data) }

func notJSON(err error) *rpcFault        { return &rpcFault{-32700, "Parse error.", err.Error()} }
func invalidRPC(why string) *rpcFault    { return &rpcFault{-32600, "Invalid Request.", why} }
func unknownMethod(why string) *rpcFault { return &rpcFault{-32601, "Method not found.", why} }
func mismatch(why string) *rpcFault {
	return &rpcFault{-31001, "Mismatching operation identifier in HTTP header and payload", why}
}

// rpcRequest is a request of vAPI in JSON-RPC: as much of it as can be read.
type rpcRequest struct {
	tree        map[string]any // all of it
	id          any            // string or json.Number; nil: unknown
	serviceID   string
	operationID string
	operation   string         // both, as Calls names them; "": unknown
	input       map[string]any // the members of the operation's input
	security    map[string]any // nil: no securityCtx
}

// parseRPC reads a request; what it returns is never nil, and not complete if there is a fault.
func parseRPC(body []byte) (*rpcRequest, *rpcFault) {
	q := &rpcRequest{}
	v, err := parseJSON(body)
	if err != nil {
		return q, notJSON(err)
	}
	q.tree, _ = v.(map[string]any)
	switch id := q.tree["id"].(type) {
	case string, json.Number:
		q.id = id
	}
	params, _ := q.tree["params"].(map[string]any)
	q.serviceID, _ = params["serviceId"].(string)
	q.operationID, _ = params["operationId"].(string)
	if q.serviceID != "" && q.operationID != "" {
		q.operation = q.serviceID + " " + q.operationID
	}
	if fault := q.checkFrame(); fault != nil {
		return q, fault
	}
	return q, q.readParams(params)
}

func (q *rpcRequest) checkFrame() *rpcFault {
	method, ok := q.tree["method"].(string)
	switch {
	case q.tree == nil:
		return invalidRPC("not an object")
	case q.tree["jsonrpc"] != "2.0":
		return invalidRPC(`jsonrpc is not "2.0"`)
	case q.id == nil:
		return invalidRPC("id is neither a string nor a number")
	case !ok:
		return invalidRPC("method is not a string")
	case method != "invoke":
		return unknownMethod("method is not invoke")
	case q.operation == "":
		return invalidRPC("params without serviceId and operationId")
	}
	return nil
}

// readParams reads the input and the contexts. The opId, by which the logs of all services can be searched, may not be missing here: every runtime
// sends one.
func (q *rpcRequest) readParams(params map[string]any) *rpcFault {
	var ok bool
	if q.input, ok = structure(params["input"], "operation-input"); !ok {
		return invalidRPC("input is not the STRUCTURE operation-input")
	}
	ctx, _ := params["ctx"].(map[string]any)
	app, _ := ctx["appCtx"].(map[string]any)
	if id, _ := app["opId"].(string); id == "" {
		return invalidRPC("ctx without appCtx.opId")
	}
	if q.security, ok = ctx["securityCtx"].(map[string]any); !ok && ctx["securityCtx"] != nil {
		return invalidRPC("securityCtx is not an object")
	}
	return nil
}

// structure unwraps {"STRUCTURE":{name:{…}}}.
func structure(v any, name string) (members map[string]any, ok bool) {
	outer, _ := v.(map[string]any)
	inner, _ := outer["STRUCTURE"].(map[string]any)
	members, ok = inner[name].(map[string]any)
	return members, ok && len(outer) == 1 && len(inner) == 1
}

// checkHeaders: what newer clients say of the operation in HTTP headers too, a proxy may route by. It must be the same.
func (q *rpcRequest) checkHeaders(h http.Header) *rpcFault {
	service, operation := h.Values("vapi-service"), h.Values("vapi-operation")
	switch {
	case len(service)+len(operation) == 0:
		return nil
	case !slices.Equal(service, []string{q.serviceID}):
		return mismatch(fmt.Sprintf("vapi-service %.100q", service))
	case !slices.Equal(operation, []string{q.operationID}):
		return mismatch(fmt.Sprintf("vapi-operation %.100q", operation))
	}
	return nil
}

// serveRPC answers a JSON-RPC request; refusals have status 200 too.
func (a *Automation) serveRPC(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "JSON-RPC requests are POSTs", http.StatusMethodNotAllowed)
		return
	}
	if !isJSON(r) {
		http.Error(w, "Content-Type is not application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := bodyOf(w, r)
	if err != nil {
		tooLarge(w)
		return
	}
	q, fault := parseRPC(body)
	if fault == nil {
		fault = q.checkHeaders(r.Header)
	}
	switch {
	case fault != nil:
		if q.operation == rpcCreate {
			a.refuse(fault.Error())
		}
		writeJSON(w, http.StatusOK, rpcAnswer{Version: "2.0", ID: q.id, Fault: fault})
	case q.operation == rpcCreate:
		a.createSession(w, r, q, body)
	default:
		s := a.rpcSession(r, q)
		if s == nil {
			a.rpcUnauthenticated(w, q)
			return
		}
		a.invoke(w, q, s)
	}
}

func isJSON(r *http.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	return err == nil && kind == "application/json" && (charset == "" || charset == "utf-8")
}

// rpcSession returns the session of a request; nil if there is none. The header counts, if it is there, and not the securityCtx.
func (a *Automation) rpcSession(r *http.Request, q *rpcRequest) *session {
	if len(r.Header.Values(sessionHeader)) > 0 {
		return a.authenticated(r)
	}
	if q.security["schemeId"] != vapiSecurity+"session_id" {
		return nil
	}
	id, _ := q.security["sessionId"].(string)
	s, _ := a.sessions.lookup(id) // all sessions here are logged in
	return s
}

// invoke answers a request of a session.
func (a *Automation) invoke(w http.ResponseWriter, q *rpcRequest, s *session) {
	info := a.touch(s)
	switch q.operation {
	case "com.vmware.cis.session get":
		q.answer(w, structureOf("com.vmware.cis.session.info", info))
	case "com.vmware.cis.session delete":
		a.sessions.end(s.cookie)
		q.answer(w, nil)
	case "com.vmware.vcenter.VM list":
		q.answer(w, rpcMachines())
	case "com.vmware.vmssotest echo":
		value, ok := q.input["value"]
		if !ok {
			a.invalidInput(w, q)
			return
		}
		q.answer(w, value)
	case "com.vmware.vmssotest fill":
		number, _ := q.input["bytes"].(json.Number)
		n, err := number.Int64()
		if err != nil || n < 0 {
			a.invalidInput(w, q)
			return
		}
		q.fill(w, n)
	default:
		a.vapiError(w, q, "operation_not_found", "OPERATION_NOT_FOUND",
			localizable{[]string{q.operation}, "Cannot find the operation '" + q.operation + "'.", "vapi.method.input.invalid.method"})
	}
}

// fill answers with a string of n bytes, a piece at a time.
func (q *rpcRequest) fill(w http.ResponseWriter, n int64) {
	head, tail, _ := strings.Cut(string(mustMarshal(rpcAnswer{Version: "2.0", ID: q.id, Result: rpcOutput{"|"}})), `"|"`)
	w.Header().Set("Content-Type", "application/json")
	writeString(w, head+`"`)
	piece := bytes.Repeat([]byte("a"), 64<<10)
	for n > 0 {
		written, err := w.Write(piece[:min(n, int64(len(piece)))])
		if err != nil { // the client has gone
			return
		}
		n -= int64(written)
	}
	writeString(w, `"`+tail)
}
