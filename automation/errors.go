package automation

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
)

// A message is the first one of an error.
type message struct{ ID, Text string }

// refusal makes the error of a reply that is no success.
func refusal(c *call.Call, reply *call.Reply, m message, secrets ...string) *vmsso.LoginError {
	err := errors.New("the server refused")
	switch {
	case strings.Contains(m.ID, "failedToLoginMaxUserSessionCountReached"):
		err = vmsso.ErrSessionLimit
	case reply.Status == http.StatusUnauthorized || reply.Status == http.StatusForbidden:
		err = vmsso.ErrRejected
	}
	return fail(c, reply, err, m, secrets...)
}

// errTokenRejected is ErrRejected with what the servers, which say no more than
// "unauthenticated", may mean.
var errTokenRejected = fmt.Errorf("%w: check that the token is delegatable and its time has come, that the clocks agree, and that the server allows tokens of its kind", vmsso.ErrRejected)

// fail makes an error that quotes a message of the server.
func fail(c *call.Call, reply *call.Reply, err error, m message, secrets ...string) *vmsso.LoginError {
	le := c.Fail(reply, err)
	if m != (message{}) {
		le.Fault = call.Quote(strings.Trim(m.ID+": "+m.Text, ": "), secrets...)
	}
	return le
}

func isGone(err error) bool { return errors.Is(err, vmsso.ErrNoSession) }

// readMessage reads the first message of an error of /api or of /rest.
func readMessage(body []byte) message {
	type list struct {
		ErrorType string `json:"error_type"`
		Messages  []struct {
			ID   string `json:"id"`
			Text string `json:"default_message"`
		} `json:"messages"`
	}
	var v struct {
		list
		Value list `json:"value"`
	}
	if json.Unmarshal(body, &v) != nil {
		return message{}
	}
	m := v.Messages
	if len(m) == 0 {
		m = v.Value.Messages
	}
	if len(m) == 0 {
		return message{ID: v.ErrorType}
	}
	return message(m[0])
}
