package automation

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
)

// classifyRPC tells what a call does by its headers or, as those are optional,
// by its body.
func classifyRPC(h http.Header, head []byte) vmsso.Class {
	service, operation, scheme := h.Get("Vapi-Service"), h.Get("Vapi-Operation"), ""
	if service == "" {
		members(head, func(path string, value json.Token) (more bool) {
			text, _ := value.(string)
			switch path {
			case ".params.serviceId":
				service = text
			case ".params.operationId":
				operation = text
			case ".params.ctx.securityCtx.schemeId":
				scheme = strings.TrimPrefix(text, vapiSecurity)
			}
			return service == "" || operation == ""
		})
	}
	switch {
	case service == sessionService && operation == "create":
		return vmsso.OwnLogin
	case service == sessionService && operation == "delete":
		return vmsso.OwnLogout
	case service == "" && (strings.HasPrefix(scheme, "saml_") || scheme == "user_pass"):
		return vmsso.OwnLogin // a token comes before the service, and head ends in it
	}
	return vmsso.Normal
}

// found is what the beginning of an answer says of errors.
type found struct {
	name    string // of the vAPI error, "" if there is none
	decided bool   // what follows does not matter
}

// errorOf looks for an error in the beginning of an answer.
func errorOf(head []byte) (f found) {
	const prefix = ".result.error.ERROR."
	members(head, func(path string, _ json.Token) (more bool) {
		name, is := strings.CutPrefix(path, prefix)
		if is {
			f.name = name
		}
		f.decided = is || path == ".result.output" || path == ".error"
		return !f.decided
	})
	return f
}

// members calls visit for each member of the JSON objects in text, which may be
// cut, with its path and its value (of an object or array, the delimiter), until
// visit wants no more.
func members(text []byte, visit func(path string, value json.Token) (more bool)) {
	d := json.NewDecoder(bytes.NewReader(text))
	var walk func(path string, depth int) bool
	walk = func(path string, depth int) bool {
		value, err := d.Token()
		if err != nil || depth > 0 && !visit(path, value) || depth > maxDepth {
			return false
		}
		open, composite := value.(json.Delim)
		if !composite {
			return true
		}
		for d.More() {
			inner := path + "[]"
			if open == '{' {
				name, err := d.Token()
				if err != nil {
					return false
				}
				inner = path + "." + name.(string)
			}
			if !walk(inner, depth+1) {
				return false
			}
		}
		_, err = d.Token()
		return err == nil
	}
	walk("", 0)
}
