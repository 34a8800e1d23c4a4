package vmssotest

import (
	"errors"
	"fmt"
	"sync"
)

// code is the kind of a refusal; the STS tells it to the client as a WS-Trust fault.
type code string

const (
	invalidRequest       code = "InvalidRequest"
	invalidSecurity      code = "InvalidSecurity"
	invalidTimeRange     code = "InvalidTimeRange"
	failedAuthentication code = "FailedAuthentication"
	expiredData          code = "ExpiredData"
	requestFailed        code = "RequestFailed"
)

// refusal is why a message is not accepted.
type refusal struct {
	code   code
	reason string
	tell   string // the faultstring; "" if the client is not told more than the code says
}

func (r *refusal) Error() string { return string(r.code) + ": " + r.reason }

func refuse(c code, format string, args ...any) error {
	return &refusal{code: c, reason: fmt.Sprintf(format, args...)}
}

// asRefusal finds the refusal in err; an error of another kind is a malformed message.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{code: invalidRequest, reason: err.Error()}
}

// maxReasons bounds what a server remembers of its refusals.
const maxReasons = 1000

// reasons remembers why messages were refused, for tests to read. The client is never told.
type reasons struct {
	mu   sync.Mutex // guards list
	list []string
}

func (r *reasons) add(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == maxReasons {
		r.list = append(r.list[:0], r.list[1:]...)
	}
	r.list = append(r.list, reason)
}

func (r *reasons) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.list...)
}
