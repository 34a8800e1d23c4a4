package vmssotest

import "net/http"

// vapiErrors begins the names of the standard errors.
const vapiErrors = "com.vmware.vapi.std.errors."

// rpcAnswer is an answer of JSON-RPC: a result or a fault.
type rpcAnswer struct {
	Version string    `json:"jsonrpc"`
	ID      any       `json:"id"`
	Result  any       `json:"result,omitempty"`
	Fault   *rpcFault `json:"error,omitempty"`
}

// rpcOutput is the result of an operation that succeeds.
type rpcOutput struct {
	Output any `json:"output"`
}

// rpcError is the result of an operation that fails.
type rpcError struct {
	Error any `json:"error"`
}

// The wrappers that tell the types of vAPI in JSON-RPC.

func structureOf(name string, members any) any {
	return map[string]any{"STRUCTURE": map[string]any{name: members}}
}

func optional(v any) any { return map[string]any{"OPTIONAL": v} }

func (q *rpcRequest) answer(w http.ResponseWriter, output any) {
	writeJSON(w, http.StatusOK, rpcAnswer{Version: "2.0", ID: q.id, Result: rpcOutput{output}})
}

func (a *Automation) rpcUnauthenticated(w http.ResponseWriter, q *rpcRequest) {
	a.vapiError(w, q, "unauthenticated", "UNAUTHENTICATED", authenticationRequired())
}

func (a *Automation) invalidInput(w http.ResponseWriter, q *rpcRequest) {
	a.vapiError(w, q, "invalid_argument", "INVALID_ARGUMENT",
		localizable{[]string{q.operation}, "Invalid input of '" + q.operation + "'.", "vapi.method.input.invalid"})
}

// vapiError answers with a standard error.
func (a *Automation) vapiError(w http.ResponseWriter, q *rpcRequest, name, kind string, why localizable) {
	message := struct {
		localizable
		Params    any `json:"params"`
		Localized any `json:"localized"`
	}{why, optional(nil), optional(nil)}
	members := struct {
		Messages []any `json:"messages"`
		Data     any   `json:"data"`
		Kind     any   `json:"error_type"`
	}{[]any{structureOf("com.vmware.vapi.std.localizable_message", message)}, optional(nil), optional(kind)}
	if !a.cfg.PlainErrors {
		w.Header().Set("vapi-error", vapiErrors+name)
	}
	writeJSON(w, http.StatusOK, rpcAnswer{Version: "2.0", ID: q.id, Result: rpcError{map[string]any{"ERROR": map[string]any{vapiErrors + name: members}}}})
}

// rpcMachines is the list of machines as of com.vmware.vcenter.VM.
func rpcMachines() []any {
	type summary struct {
		VM         string `json:"vm"`
		Name       string `json:"name"`
		PowerState string `json:"power_state"`
		CPUs       any    `json:"cpu_count"`
		Memory     any    `json:"memory_size_MiB"`
	}
	var list []any
	for _, m := range machines {
		list = append(list, structureOf("com.vmware.vcenter.VM.summary", summary{m.VM, m.Name, m.PowerState, optional(m.CPUs), optional(m.Memory)}))
	}
	return list
}
