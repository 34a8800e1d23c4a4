package tokensource

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
	"github.com/vmsso/vmsso/signer"
)

// WS-Trust 1.3, http://docs.oasis-open.org/ws-sx/ws-trust/200512/ws-trust-1.3-os.html.
const (
	wsTrust     = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	issueAction = wsTrust + "/RST/Issue"
	wireTime    = "2006-01-02T15:04:05.000Z"
)

// issueRequest is the RequestSecurityToken of an Issue, in the canonical form
// that [signer.Signer.Message] wants: the prefix wsu is declared around it. The
// token may be delegated, because vSphere Automation needs that.
func issueRequest(sign *signer.Signer, now time.Time, lifetime time.Duration) []byte {
	now = now.UTC()
	var b strings.Builder
	element := func(name, text string) { b.WriteString("<" + name + ">" + text + "</" + name + ">") }
	b.WriteString(`<wst:RequestSecurityToken xmlns:wst="` + wsTrust + `">`)
	element("wst:TokenType", "urn:oasis:names:tc:SAML:2.0:assertion")
	element("wst:RequestType", wsTrust+"/Issue")
	b.WriteString(`<wst:Lifetime>`)
	element("wsu:Created", now.Format(wireTime))
	element("wsu:Expires", now.Add(lifetime).Format(wireTime))
	b.WriteString(`</wst:Lifetime><wst:Renewing Allow="false" OK="false"></wst:Renewing>`)
	element("wst:Delegatable", "true")
	if sign.HolderOfKey() {
		element("wst:KeyType", wsTrust+"/PublicKey")
		element("wst:SignatureAlgorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
		b.WriteString(`<wst:UseKey Sig="` + envelope.Attr(sign.SignatureID()) + `"></wst:UseKey>`)
	} else {
		element("wst:KeyType", wsTrust+"/Bearer")
	}
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
