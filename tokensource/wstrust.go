package tokensource

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
	"github.com/vmsso/vmsso/signer"
)

// WS-Trust 1.3, http://docs.oasis-open.org/ws-sx/ws-trust/200512/ws-trust-1.3-os.html.
const (
	wsTrust  = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	wireTime = "2006-01-02T15:04:05.000Z"
)

// issueRequest is the RequestSecurityToken of an Issue, in the canonical form
// that [signer.Signer.Message] wants: the prefix wsu is declared around it. The
// token may be delegated, because vSphere Automation needs that.
func issueRequest(sign *signer.Signer, now time.Time, lifetime time.Duration, renewable bool) []byte {
	b := newRequest("Issue", now, lifetime)
	fmt.Fprintf(b, `<wst:Renewing Allow="%t" OK="false"></wst:Renewing>`, renewable)
	b.element("wst:Delegatable", "true")
	if sign.HolderOfKey() {
		b.element("wst:KeyType", wsTrust+"/PublicKey")
		b.element("wst:SignatureAlgorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
		b.useKey(sign)
	} else {
		b.element("wst:KeyType", wsTrust+"/Bearer")
	}
	return b.end()
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

func (b *request) element(name, content string) {
	b.WriteString("<" + name + ">" + content + "</" + name + ">")
}

// useKey says that the token is for the key of the message's signature.
func (b *request) useKey(sign *signer.Signer) {
	b.WriteString(`<wst:UseKey Sig="` + envelope.Attr(sign.SignatureID()) + `"></wst:UseKey>`)
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
