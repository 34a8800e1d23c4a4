package vmssotest

import (
	"encoding/json"
	"net/http"
)

// restValue is how /rest wraps what it answers.
type restValue struct {
	Value any `json:"value"`
}

type sessionInfo struct {
	User         string `json:"user"`
	CreatedTime  string `json:"created_time"`
	LastAccessed string `json:"last_accessed_time"`
}

type machine struct {
	VM         string `json:"vm"`
	Name       string `json:"name"`
	PowerState string `json:"power_state"`
	CPUs       int    `json:"cpu_count"`
	Memory     int    `json:"memory_size_MiB"`
}

// machines are the same as those of the SOAP endpoint.
var machines = []machine{
	{"vm-1", "web01", "POWERED_ON", 2, 4096},
	{"vm-2", "web02", "POWERED_ON", 2, 4096},
	{"vm-3", "db01", "POWERED_OFF", 4, 16384},
}

// localizable is a vAPI message.
type localizable struct {
	Args    []string `json:"args"`
	Default string   `json:"default_message"`
	ID      string   `json:"id"`
}

func unauthenticated(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, http.StatusUnauthorized, "unauthenticated", "UNAUTHENTICATED", authenticationRequired())
}

// authenticationRequired is all that a client is told, whatever the reason.
func authenticationRequired() localizable {
	return localizable{[]string{}, "This method requires authentication.", "vapi.method.authentication.required"}
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, http.StatusNotFound, "not_found", "NOT_FOUND",
		localizable{[]string{}, "Not found.", "com.vmware.vapi.rest.httpNotFound"})
}

// writeError answers with a vAPI error in the form of /rest or of /api.
func writeError(w http.ResponseWriter, r *http.Request, status int, name, kind string, why localizable) {
	type messages struct {
		Messages []localizable `json:"messages"`
	}
	if isREST(r) {
		writeJSON(w, status, struct {
			Type  string   `json:"type"`
			Value messages `json:"value"`
		}{"com.vmware.vapi.std.errors." + name, messages{[]localizable{why}}})
		return
	}
	writeJSON(w, status, struct {
		Kind string `json:"error_type"`
		messages
	}{kind, messages{[]localizable{why}}})
}

func tooLarge(w http.ResponseWriter) {
	http.Error(w, "request body cannot be read or is larger than 4 MiB", http.StatusRequestEntityTooLarge)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	data := mustMarshal(value)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func mustMarshal(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic("vmssotest: " + err.Error()) // only values of this package, and what JSON was read into, come here
	}
	return data
}
