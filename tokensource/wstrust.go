package tokensource

import (
	"bytes"
	"crypto"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
	"github.com/vmsso/vmsso/signer"
)

// WS-Trust 1.3, http://docs.oasis-open.org/ws-sx/ws-trust/200512/ws-trust-1.3-os.html;
// ActAs is of WS-Trust 1.4, which has a namespace of its own.
const (
	wsTrust   = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	wsTrust14 = "http://docs.oasis-open.org/ws-sx/ws-trust/200802"
	wsPolicy  = "http://schemas.xmlsoap.org/ws/2004/09/policy"
	wsAddress = "http://www.w3.org/2005/08/addressing"
	wireTime  = "2006-01-02T15:04:05.000Z"
)

// issueRequest is the RequestSecurityToken of an Issue, in the canonical form
// that [signer.Signer.Message] wants, but for the token to act for: the prefix wsu
// is declared around it. Unless the caller wishes otherwise the token may be
// delegated, because vSphere Automation needs that.
func issueRequest(sign *signer.Signer, now time.Time, cfg *STSConfig, renewable bool, actAs *vmsso.Token) []byte {
	b := newRequest("Issue", now, cfg.Lifetime)
	if cfg.AppliesTo != "" {
		b.element("wsp:AppliesTo", endpointReference(cfg.AppliesTo), "xmlns:wsp", wsPolicy)
	}
	b.element("wst:Renewing", "", "Allow", strconv.FormatBool(renewable), "OK", "false")
	b.element("wst:Delegatable", strconv.FormatBool(!cfg.NotDelegatable))
	if actAs != nil {
		b.element("wst14:ActAs", actAs.Assertion, "xmlns:wst14", wsTrust14)
	}
	if sign.HolderOfKey() {
		b.element("wst:KeyType", wsTrust+"/PublicKey")
		b.element("wst:SignatureAlgorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
		b.useKey(sign)
	} else {
		b.element("wst:KeyType", wsTrust+"/Bearer")
	}
	if len(cfg.Audience) > 0 {
		b.WriteString("<wst:Participants>")
		for _, audience := range cfg.Audience {
			b.element("wst:Participant", endpointReference(audience))
		}
		b.WriteString("</wst:Participants>")
	}
	return b.end()
}

// endpointReference names somebody by an address, which need not be one.
func endpointReference(address string) string {
	return `<wsa:EndpointReference xmlns:wsa="` + wsAddress + `"><wsa:Address>` + envelope.Text(address) + `</wsa:Address></wsa:EndpointReference>`
}

// renewRequest is that of a Renew, with the assertion as it is.
func renewRequest(sign *signer.Signer, now time.Time, lifetime time.Duration, assertion string) []byte {
	b := newRequest("Renew", now, lifetime)
	b.useKey(sign)
	b.element("wst:RenewTarget", assertion)
	return b.end()
}

// A request is a RequestSecurityToken that is being written.
type request struct{ strings.Builder }

// newRequest begins with what all of them have.
func newRequest(kind string, now time.Time, lifetime time.Duration) *request {
	now = now.UTC()
	b := &request{}
	b.WriteString(`<wst:RequestSecurityToken xmlns:wst="` + wsTrust + `">`)
	b.element("wst:TokenType", "urn:oasis:names:tc:SAML:2.0:assertion")
	b.element("wst:RequestType", wsTrust+"/"+kind)
	b.WriteString(`<wst:Lifetime>`)
	b.element("wsu:Created", now.Format(wireTime))
	b.element("wsu:Expires", now.Add(lifetime).Format(wireTime))
	b.WriteString(`</wst:Lifetime>`)
	return b
}

// element writes an element whose content is XML, with pairs of attribute names
// and values in their canonical order.
func (b *request) element(name, content string, attrs ...string) {
	b.WriteString("<" + name)
	for i := 0; i < len(attrs); i += 2 {
		b.WriteString(" " + attrs[i] + `="` + envelope.Attr(attrs[i+1]) + `"`)
	}
	b.WriteString(">" + content + "</" + name + ">")
}

// useKey says that the token is for the key of the message's signature.
func (b *request) useKey(sign *signer.Signer) {
	b.element("wst:UseKey", "", "Sig", sign.SignatureID())
}

func (b *request) end() []byte {
	b.WriteString(`</wst:RequestSecurityToken>`)
	return []byte(b.String())
}

// readResponse reads a RequestSecurityTokenResponse, in a collection or alone.
// The assertion is cut out of the message as it came; its expiry is that of the
// response's Lifetime, if it has one.
func readResponse(reply *envelope.Reply) (*vmsso.Token, error) {
	path := []string{"Lifetime", "Expires"}
	if reply.Body.Tag == "RequestSecurityTokenResponseCollection" {
		path = append([]string{"RequestSecurityTokenResponse"}, path...)
	}
	assertion, err := requestedToken(reply.Message)
	if err != nil {
		return nil, err
	}
	tok := &vmsso.Token{Assertion: assertion}
	if s := envelope.Find(reply.Body, path...); s != "" {
		if tok.Expires, err = time.Parse(time.RFC3339, s); err != nil {
			return nil, errors.New("the Lifetime in the service's answer is not a time")
		}
	}
	return tok, nil
}

// requestedToken returns what the RequestedSecurityToken element of a message
// holds, byte for byte.
func requestedToken(message []byte) (string, error) {
	d := xml.NewDecoder(bytes.NewReader(message))
	start := int64(-1)
	for depth := 0; ; {
		before := d.InputOffset()
		t, err := d.RawToken()
		if err != nil {
			return "", errors.New("there is no token in the service's answer")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if start >= 0 {
				depth++
			} else if t.Name.Local == "RequestedSecurityToken" {
				start = d.InputOffset()
			}
		case xml.EndElement:
			switch {
			case start < 0:
			case depth == 0:
				return strings.TrimSpace(string(message[start:before])), nil
			default:
				depth--
			}
		}
	}
}

// bind completes a token with its key and its end: that of the answer's Lifetime
// or else of the assertion, or that of the holder's certificate, if it comes
// first, because the key proves nothing without it. Where the service issued a
// bearer token although there is a key, as vcsim's does, it is one.
func bind(tok *vmsso.Token, key crypto.Signer) error {
	a, err := signer.ParseAssertion(tok.Assertion)
	if err != nil {
		return err
	}
	if a.HolderOfKey || a.Encrypted {
		tok.Key = key
	}
	if a.HolderOfKey && (key == nil || !a.Fits(key.Public())) {
		return fmt.Errorf("%w: the service issued a token for another key", vmsso.ErrUnsupportedToken)
	}
	if tok.Expires.IsZero() {
		tok.Expires = a.Expires
	}
	if a.Holder != nil && (tok.Expires.IsZero() || a.Holder.NotAfter.Before(tok.Expires)) {
		tok.Expires = a.Holder.NotAfter
	}
	return nil
}

// errActAs is a refusal of the token to act for, or of the wish to act.
var errActAs = fmt.Errorf("%w: check that the solution user may act for others (is in the group ActAsUsers), and that the token to act for is of this domain, lives and may be delegated", vmsso.ErrRejected)

// meaning tells what a fault of the service comes down to, and what to check.
func meaning(f *envelope.Fault, a *attempt) error {
	text := strings.ToLower(f.Text)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	is := func(codes ...string) bool { return slices.Contains(codes, f.Code) }
	switch failed := is("FailedAuthentication"); {
	case has("signing certificate is not valid"): // the code is InvalidTimeRange
		return vmsso.ErrSTSCertificate
	case is("InvalidTimeRange", "ExpiredData", "RequestExpired", "MessageExpired"), has("message has expired"):
		return vmsso.ErrClockSkew
	case failed && has("locked"):
		return vmsso.ErrLocked
	case failed && has("password") && has("expired", "change", "reset"):
		return vmsso.ErrPasswordExpired
	case failed, a.credentials.Token != nil && is("InvalidSecurity", "InvalidSecurityToken"):
		return fmt.Errorf("%w: check %s", vmsso.ErrRejected, a.suspect())
	case a.actAs != nil && is("InvalidRequest"):
		return errActAs
	}
	return errors.New("the security token service answered with a fault")
}
