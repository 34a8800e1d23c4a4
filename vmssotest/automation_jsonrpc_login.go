package vmssotest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// vapiSecurity begins the names of the schemes of securityCtx.
const vapiSecurity = "com.vmware.vapi.std.security."

// createSession answers a login.
func (a *Automation) createSession(w http.ResponseWriter, r *http.Request, q *rpcRequest, body []byte) {
	l, err := a.verifyRPC(r, q)
	if err != nil {
		a.refuse(err.Error())
		a.rpcUnauthenticated(w, q)
		return
	}
	l.Body = body
	a.accept(l, r)
	q.answer(w, map[string]string{"SECRET": l.Session})
}

// verifyRPC checks a login request. The scheme says of which kind the token is: one of the other kind is refused.
func (a *Automation) verifyRPC(r *http.Request, q *rpcRequest) (*AutomationLogin, error) {
	if err := checkNoSession(r); err != nil {
		return nil, err
	}
	switch scheme, _ := q.security["schemeId"].(string); scheme {
	case vapiSecurity + "saml_bearer_token":
		return a.verifyBearer(q)
	case vapiSecurity + "saml_hok_token":
		return a.verifyHolderOfKey(q)
	default:
		return nil, fmt.Errorf("login with the scheme %.100q", scheme)
	}
}

func (a *Automation) verifyBearer(q *rpcRequest) (*AutomationLogin, error) {
	parts, err := texts(q.security, "securityCtx", "samlToken", "schemeId")
	if err != nil {
		return nil, err
	}
	l, err := a.verifyToken(parts[0], a.cfg.Now())
	if err != nil {
		return nil, err
	}
	if l.HolderOfKey {
		return nil, errors.New("saml_bearer_token with a holder-of-key token")
	}
	return l, nil
}

// verifyHolderOfKey checks that the holder's key signed this request, now. Other members of securityCtx than those that are read here are covered by
// the signature. What stands beside token and value is not, and is refused.
func (a *Automation) verifyHolderOfKey(q *rpcRequest) (*AutomationLogin, error) {
	if _, ok := q.security["privateKey"]; ok { // what the runtimes call the key, on the client's side only
		return nil, errors.New("the request holds a private key")
	}
	signature, err := texts(q.security["signature"], "securityCtx.signature", "samlToken", "value")
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	l, err := a.verifyToken(signature[0], now)
	if err != nil {
		return nil, err
	}
	if !l.HolderOfKey {
		return nil, errors.New("saml_hok_token with a bearer token")
	}
	if err := q.checkTimestamp(now, a.cfg.Tolerance); err != nil {
		return nil, err
	}
	return l, q.checkSignature(l, signature[1], a.cfg.Algorithms)
}

// checkTimestamp: the times have one form only, which is what VMware's Java runtime reads.
func (q *rpcRequest) checkTimestamp(now time.Time, tolerance time.Duration) error {
	period, err := texts(q.security["timestamp"], "securityCtx.timestamp", "created", "expires")
	if err != nil {
		return err
	}
	created, err := millisecondInstant(period[0])
	if err != nil {
		return err
	}
	expires, err := millisecondInstant(period[1])
	if err != nil {
		return err
	}
	if expires.Before(created) || created.After(now.Add(tolerance)) || expires.Before(now.Add(-tolerance)) {
		return fmt.Errorf("timestamp %s to %s at %s", period[0], period[1], stamp(now))
	}
	return nil
}

// millisecondInstant parses a time as stamp writes it.
func millisecondInstant(s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || stamp(t) != s { // time.Parse takes more than one form
		return time.Time{}, fmt.Errorf("%.60q is not a UTC time with milliseconds", s)
	}
	return t, nil
}

// texts returns the members of an object that has these and no other, all of them strings that are not empty.
func texts(v any, what string, names ...string) ([]string, error) {
	members, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", what)
	}
	values := make([]string, len(names))
	for i, name := range names {
		if values[i], _ = members[name].(string); values[i] == "" {
			return nil, fmt.Errorf("%s without %s", what, name)
		}
	}
	if len(members) > len(names) {
		return nil, fmt.Errorf("%s holds more than %s", what, strings.Join(names, " and "))
	}
	return values, nil
}
