// Package automation logs in to vSphere Automation with SAML tokens, bearer and
// holder-of-key, as VMware's document "Creating a vSphere Automation Session
// with a SAML Token" describes. The message protocol of the login is REST or
// JSON-RPC; the session ID that it gives serves both, in the header
// vmware-api-session-id, until the session is deleted.
//
// The token must be delegatable, as those of package tokensource's STS are.
//
//	a bearer token, or one with an RSA key          REST
//	a token with an ECDSA key, on newer servers     JSONRPC
//	a token that is too large for a header,
//	such as one of a user in hundreds of groups     JSONRPC
package automation

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/peek"
	"github.com/vmsso/vmsso/signer"
)

// A Protocol is the message protocol of a login.
type Protocol int

const (
	// REST logs in with POST /api/session and the token in the Authorization
	// header. Servers before vCenter 7.0 U2 have that at
	// /rest/com/vmware/cis/session; the login finds out.
	REST Protocol = iota

	// JSONRPC logs in with the operation create of the service
	// com.vmware.cis.session, POST /api. The token is in the body, so that it
	// can be of any size.
	JSONRPC
)

// An Authenticator logs in to vSphere Automation. Use a pointer to it; the zero
// value works and speaks REST. It is safe for concurrent use and can serve many
// transports. Of the endpoint's URL only the origin counts.
type Authenticator struct {
	vmsso.Defaults // for Apply

	// Protocol of login and logout. Requests of both protocols can pass through
	// the transport, whatever it is.
	Protocol Protocol

	// MaxHeader is how many bytes of header the server takes, by which a token
	// that is too large for REST is found before it is sent: the error wraps
	// [vmsso.ErrHeaderTooLarge]. 0 means 8 KiB; negative means that the server
	// decides.
	MaxHeader int

	// Signing says how messages are signed for a holder-of-key token. The zero
	// value is what servers take.
	Signing signer.Options

	signers signer.Cache
}

var _ vmsso.Authenticator = (*Authenticator)(nil)

const (
	sessionHeader = "Vmware-Api-Session-Id"

	// valuePath is where in Session.Values the path is that made the session.
	valuePath = "path"
)

// Login implements [vmsso.Authenticator]. A token that cannot work is refused
// before anything is sent, as is a holder-of-key token whose key the Protocol does
// not take: REST takes RSA keys only. The error then wraps
// [vmsso.ErrUnsupportedToken] or [vmsso.ErrUnsupportedKey].
func (a *Authenticator) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sign, err := a.signers.Signer(a.Signing, tok)
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "token", Err: err}
	}
	if a.Protocol == JSONRPC {
		return createByRPC(ctx, rt, endpoint, sign, tok)
	}
	return a.createByREST(ctx, rt, endpoint, sign, tok)
}

// Logout implements [vmsso.Authenticator].
func (a *Authenticator) Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	err := end(ctx, rt, endpoint, s)
	if isGone(err) {
		return nil
	}
	return err
}

func end(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	if s.Values[valuePath] == rpcPath {
		return callRPC(ctx, rt, endpoint, s, "delete")
	}
	return callREST(ctx, rt, endpoint, s, http.MethodDelete, "")
}

// Probe implements [vmsso.Authenticator] by reading the session.
func (a *Authenticator) Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	switch s.Values[valuePath] {
	case rpcPath:
		return callRPC(ctx, rt, endpoint, s, "get")
	case restPath:
		return callREST(ctx, rt, endpoint, s, http.MethodPost, "~action=get")
	}
	return callREST(ctx, rt, endpoint, s, http.MethodGet, "")
}

// Classify implements [vmsso.Authenticator].
func (a *Authenticator) Classify(req *http.Request, head []byte) vmsso.Class {
	switch req.URL.Path {
	case rpcPath:
		if req.Method == http.MethodPost {
			return classifyRPC(req.Header, head)
		}
	case apiPath, restPath:
		switch {
		case req.Method == http.MethodDelete:
			return vmsso.OwnLogout
		case req.Method == http.MethodPost && req.URL.Query().Get("~action") == "":
			return vmsso.OwnLogin
		}
	}
	return vmsso.Normal
}

// Expired implements [vmsso.Authenticator]: a session that is gone shows as
// status 401 or, over JSON-RPC, as status 200 with the error unauthenticated,
// which newer servers name in the header vapi-error. Where that is missing, at
// most the first 4 KiB of a JSON-RPC answer are looked at.
func (a *Authenticator) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode == http.StatusUnauthorized {
		return vmsso.Yes
	}
	if resp.StatusCode != http.StatusOK || resp.Request.Method != http.MethodPost || resp.Request.URL.Path != rpcPath {
		return vmsso.No
	}
	if name := resp.Header.Get("Vapi-Error"); name != "" {
		return unauthenticated(name)
	}
	if !strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "application/json") {
		return vmsso.No
	}
	head := peek.Head(resp, peekBytes, func(head []byte) bool { return errorOf(head).decided })
	return unauthenticated(errorOf(head).name)
}

func unauthenticated(name string) vmsso.Verdict {
	if name == "com.vmware.vapi.std.errors.unauthenticated" {
		return vmsso.Yes
	}
	return vmsso.No
}
