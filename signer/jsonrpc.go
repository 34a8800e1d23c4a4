package signer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/vmsso/vmsso"
)

const vapiSecurity = "com.vmware.vapi.std.security."

// JSONRPC returns the vAPI request, a JSON-RPC object with params.ctx, with the
// token as its security context. For a holder-of-key token the whole request is
// signed in canonical form, from now on valid for as long as the options say;
// the request that is returned, which is in that form too, may be written in
// another way without losing the signature.
//
// All servers take RS256, an RSA key with SHA-256. VMware's runtimes for Python
// and Go take RS384 and RS512 too, and newer ones for Java also ES256, ES384 and
// ES512: P-256, P-384 and P-521.
func (s *Signer) JSONRPC(request []byte, now time.Time) ([]byte, error) {
	if s.packed == nil {
		return nil, fmt.Errorf("%w: only a token can log in to vSphere Automation", vmsso.ErrUnsupportedToken)
	}
	v, err := parseJSON(request)
	if err != nil {
		return nil, err
	}
	params, _ := member(v, "params").(map[string]any)
	ctx, ok := params["ctx"].(map[string]any)
	if !ok {
		return nil, errors.New("signer: the JSON-RPC request has no params.ctx")
	}
	token := string(s.proof)
	if s.key == nil {
		ctx["securityCtx"] = map[string]any{"schemeId": vapiSecurity + "saml_bearer_token", "samlToken": token}
		return appendCanonical(make([]byte, 0, len(request)+len(token)+1024), v, 0)
	}
	if s.key.alg.rpc == "" {
		return nil, s.key.alg.refusedBy("vSphere Automation over JSON-RPC", "SHA-256, SHA-384 and SHA-512 with RSA, and with ECDSA that of the curve's strength")
	}
	created, expires := s.options.period(now)
	security := map[string]any{
		"schemeId":           vapiSecurity + "saml_hok_token",
		"signatureAlgorithm": s.key.alg.rpc,
		"timestamp":          map[string]any{"created": created.Format(wireTime), "expires": expires.Format(wireTime)},
	}
	ctx["securityCtx"] = security
	canonical, err := appendCanonical(make([]byte, 0, len(request)+1024), v, 0)
	if err != nil {
		return nil, err
	}
	signature, err := s.key.sign(canonical)
	if err != nil {
		return nil, err
	}
	security["signature"] = map[string]any{"samlToken": token, "value": base64.StdEncoding.EncodeToString(signature)}
	return appendCanonical(make([]byte, 0, len(request)+len(token)+1024), v, 0)
}

func member(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}
