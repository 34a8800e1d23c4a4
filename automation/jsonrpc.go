package automation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/signer"
)

const (
	rpcPath        = "/api"
	sessionService = "com.vmware.cis.session"
	vapiErrors     = "com.vmware.vapi.std.errors."
	vapiSecurity   = "com.vmware.vapi.std.security."

	// peekBytes of an answer tell whether it is an error.
	peekBytes = 4 << 10

	// maxDepth is how deep members looks into a text.
	maxDepth = 64
)

// createByRPC makes a session by the operation create.
func createByRPC(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, sign *signer.Signer, tok *vmsso.Token) (*vmsso.Session, error) {
	c := newRPC(endpoint, "create")
	var err error
	if c.Body, err = sign.JSONRPC(request(c, "create", nil), time.Now()); err != nil {
		return nil, c.Fail(nil, err)
	}
	reply, output, err := doRPC(ctx, c, rt, errTokenRejected, tok.Assertion)
	var le *vmsso.LoginError
	if sign.HolderOfKey() && errors.Is(err, errInvalidRequest) && errors.As(err, &le) {
		le.Err = fmt.Errorf("%w, or its signature", vmsso.ErrRejected) // so say VMware's Python and Go runtimes; Java says unauthenticated
	}
	if err != nil {
		return nil, err
	}
	var secret struct{ SECRET *string }
	if json.Unmarshal(output, &secret) != nil || secret.SECRET == nil {
		return nil, c.Fail(reply, errNoSessionID)
	}
	return newSession(c, reply, rpcPath, *secret.SECRET)
}

// callRPC calls an operation on the session itself.
func callRPC(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session, operation string) error {
	c := newRPC(endpoint, operation)
	id := s.Header.Get(sessionHeader)
	c.Header.Set(sessionHeader, id)
	c.Body = request(c, operation, map[string]string{"schemeId": vapiSecurity + "session_id", "sessionId": id})
	_, _, err := doRPC(ctx, c, rt, vmsso.ErrNoSession, id)
	return err
}

func newRPC(endpoint *url.URL, operation string) *call.Call {
	c := newCall(endpoint, http.MethodPost, rpcPath)
	c.Stage = sessionService + "." + operation
	c.Header.Set("Content-Type", "application/json")
	c.Header.Set("Vapi-Service", sessionService)
	c.Header.Set("Vapi-Operation", operation)
	return c
}

// request writes a call without input. The securityCtx may be nil.
func request(c *call.Call, operation string, securityCtx map[string]string) []byte {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	random[6], random[8] = random[6]&0x0f|0x40, random[8]&0x3f|0x80
	opID := fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:]) // UUID version 4
	c.Header.Set("Vapi-Ctx-Opid", opID)
	type object map[string]any
	executionCtx := object{"appCtx": object{"opId": opID}}
	if securityCtx != nil {
		executionCtx["securityCtx"] = securityCtx
	}
	b, _ := json.Marshal(object{ // of strings alone
		"jsonrpc": "2.0",
		"id":      "1",
		"method":  "invoke",
		"params": object{
			"serviceId":   sessionService,
			"operationId": operation,
			"input":       object{"STRUCTURE": object{"operation-input": object{}}},
			"ctx":         executionCtx,
		},
	})
	return b
}

// A response of JSON-RPC is a result, with output or error, or an error of the
// protocol itself.
type response struct {
	Result *struct {
		Output json.RawMessage `json:"output"`
		Error  struct {
			ERROR map[string]struct {
				Messages []struct {
					STRUCTURE map[string]struct {
						ID   string `json:"id"`
						Text string `json:"default_message"`
					}
				} `json:"messages"`
			}
		} `json:"error"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

var errInvalidRequest = errors.New("the server takes the request for invalid")

// doRPC sends the call and returns its output. If the server does not take the
// credentials, the error wraps unauthenticated.
func doRPC(ctx context.Context, c *call.Call, rt http.RoundTripper, unauthenticated error, secrets ...string) (*call.Reply, json.RawMessage, error) {
	reply, err := c.Do(ctx, rt)
	if err != nil {
		return nil, nil, err
	}
	var r response
	if reply.Status == http.StatusUnauthorized {
		return nil, nil, fail(c, reply, unauthenticated, readMessage(reply.Body), secrets...)
	}
	if reply.Status >= 400 {
		return nil, nil, refusal(c, reply, readMessage(reply.Body), secrets...)
	}
	if json.Unmarshal(reply.Body, &r) != nil || r.Result == nil && r.Error == nil {
		return nil, nil, c.Unexpected(reply, "JSON-RPC answer", reply.Header.Get("Content-Type"))
	}
	if r.Error != nil {
		err := errors.New("the server refused")
		if r.Error.Code == -32600 {
			err = errInvalidRequest
		}
		return nil, nil, fail(c, reply, err, message{fmt.Sprint("JSON-RPC error ", r.Error.Code), r.Error.Message}, secrets...)
	}
	for name, e := range r.Result.Error.ERROR {
		m := message{ID: strings.TrimPrefix(name, vapiErrors)}
		if len(e.Messages) > 0 {
			for _, first := range e.Messages[0].STRUCTURE {
				m = message(first)
			}
		}
		switch name {
		case vapiErrors + "unauthenticated":
			err = fail(c, reply, unauthenticated, m, secrets...)
		case vapiErrors + "unauthorized":
			err = fail(c, reply, vmsso.ErrRejected, m, secrets...)
		default:
			err = refusal(c, reply, m, secrets...)
		}
		return nil, nil, err
	}
	return reply, r.Result.Output, nil
}
