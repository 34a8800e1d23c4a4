package vmssotest

import (
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// nsWSP is the namespace of AppliesTo, which is one of WS-Policy.
const nsWSP = "http://schemas.xmlsoap.org/ws/2004/09/policy"

// request is a wst:RequestSecurityToken.
type request struct {
	seen                   map[string]bool
	target                 *etree.Element // the assertion inside RenewTarget or ActAs; nil: neither
	tokenType, requestType string
	keyType                string
	created, expires       time.Time // zero: no Lifetime
	renewable, delegatable bool
	useKey                 string
	audiences              []string
}

// readRequest reads the body of a request of this type. Java's sample puts UseKey beside RequestSecurityToken; everybody else puts it inside.
func readRequest(body *etree.Element, requestType string) (*request, error) {
	list, err := elements(body)
	if err != nil {
		return nil, err
	}
	r := &request{seen: map[string]bool{}}
	if len(list) == 2 && is(list[1], nsWST, "UseKey") {
		if err := r.read(list[1]); err != nil {
			return nil, err
		}
		list = list[:1]
	}
	if len(list) != 1 || !is(list[0], nsWST, "RequestSecurityToken") {
		return nil, errors.New("body is not one RequestSecurityToken")
	}
	if err := allowAttrs(list[0], "Context"); err != nil {
		return nil, err
	}
	parts, err := elements(list[0])
	if err != nil {
		return nil, err
	}
	for _, el := range parts {
		if err := r.read(el); err != nil {
			return nil, err
		}
	}
	switch {
	case r.tokenType != saml2TokenType:
		return nil, fmt.Errorf("TokenType %q is not issued", r.tokenType)
	case r.requestType != requestType:
		return nil, fmt.Errorf("RequestType %q is not that of the SOAPAction", r.requestType)
	}
	return r, r.checkParts()
}

// checkParts tells the parts of Renew from those of Issue. What a renewed token says is what the old one said, but for its times.
func (r *request) checkParts() error {
	if r.requestType == issueRequest {
		if r.seen["RenewTarget"] {
			return errors.New("RenewTarget in an Issue")
		}
		return nil
	}
	if !r.seen["RenewTarget"] {
		return errors.New("no RenewTarget in a Renew")
	}
	for _, part := range []string{"ActAs", "Renewing", "Delegatable", "Participants", "AppliesTo"} {
		if r.seen[part] {
			return fmt.Errorf("%s in a Renew", part)
		}
	}
	if !r.seen["KeyType"] { // the kind of key cannot change
		r.keyType = publicKey
	}
	return nil
}

// read reads one part of the request, each at most once. What is not known here is refused: a wish must not be ignored in silence.
func (r *request) read(el *etree.Element) (err error) {
	if r.seen[el.Tag] {
		return fmt.Errorf("%s twice", el.Tag)
	}
	r.seen[el.Tag] = true
	want := nsWST
	switch el.Tag {
	case "ActAs": // WS-Trust 1.4, 9.3
		want = nsWST14
	case "AppliesTo": // WS-Trust 1.3, 4.2
		want = nsWSP
	}
	if ns, _ := namespace(el, el.Space); ns != want {
		return fmt.Errorf("%s is not supported here", el.Tag)
	}
	switch el.Tag {
	case "TokenType":
		r.tokenType, err = trimmedText(el)
	case "RequestType":
		r.requestType, err = trimmedText(el)
	case "KeyType":
		r.keyType, err = trimmedText(el)
	case "SignatureAlgorithm":
		var uri string
		if uri, err = trimmedText(el); err == nil {
			_, _, err = signatureMethod(uri)
		}
	case "Lifetime":
		var parts []*etree.Element
		if parts, err = shape(el, nsWSU, "Created", "Expires"); err == nil {
			r.created, r.expires, err = readPeriod(parts[0], parts[1])
		}
	case "Renewing":
		err = allowAttrs(el, "Allow", "OK")
		allow, ok := attr(el, "", "Allow")
		if r.renewable = true; ok && err == nil { // WS-Trust 1.3, 5.2: the default is true
			r.renewable, err = boolean(allow)
		}
	case "Delegatable":
		var s string
		if s, err = trimmedText(el); err == nil {
			r.delegatable, err = boolean(s)
		}
	case "UseKey":
		err = allowAttrs(el, "Sig")
		r.useKey, _ = attr(el, "", "Sig")
	case "Participants":
		err = r.readParticipants(el)
	case "AppliesTo":
		err = r.readAudience(el)
	case "RenewTarget", "ActAs":
		err = r.readTarget(el)
	default:
		err = fmt.Errorf("%s is not supported here", el.Tag)
	}
	return err
}

func (r *request) readTarget(el *etree.Element) error {
	if err := allowAttrs(el); err != nil {
		return err
	}
	parts, err := shape(el, nsSAML, "Assertion")
	if err == nil {
		r.target = parts[0]
	}
	return err
}

// boolean reads an xs:boolean.
func boolean(s string) (bool, error) {
	switch s {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean", s)
}

// readParticipants collects the addresses of wst:Participants (WS-Trust 1.3, 9.5), which become the token's audiences.
func (r *request) readParticipants(el *etree.Element) error {
	list, err := elements(el)
	if err := errors.Join(err, allowAttrs(el)); err != nil {
		return err
	}
	for i, c := range list {
		if !is(c, nsWST, "Participant") && !(i == 0 && is(c, nsWST, "Primary")) {
			return fmt.Errorf("unexpected %s in Participants", c.Tag)
		}
		if err := r.readAudience(c); err != nil {
			return err
		}
	}
	return nil
}

// readAudience reads the address of the one endpoint reference (WS-Addressing 1.0) inside el.
func (r *request) readAudience(el *etree.Element) error {
	reference, err := shape(el, nsWSA, "EndpointReference")
	if err != nil {
		return err
	}
	address, err := shape(reference[0], nsWSA, "Address")
	if err != nil {
		return err
	}
	if err := errors.Join(allowAttrs(el), allowAttrs(reference[0]), allowAttrs(address[0])); err != nil {
		return err
	}
	audience, err := trimmedText(address[0])
	if err == nil && audience == "" {
		err = fmt.Errorf("%s without an address", el.Tag)
	}
	r.audiences = append(r.audiences, audience)
	return err
}

// checkKey demands that a token for a key is asked for exactly if the message is signed, and that UseKey names that signature.
func (r *request) checkKey(signed bool, signatureID string) error {
	switch {
	case r.keyType == bearerKey && signed:
		return errors.New("KeyType Bearer in a signed message")
	case r.keyType == publicKey && !signed:
		return errors.New("KeyType PublicKey in a message that is not signed")
	case r.keyType != bearerKey && r.keyType != publicKey:
		return fmt.Errorf("KeyType %q is not known", r.keyType)
	case signed && (r.useKey == "" || r.useKey != signatureID):
		return fmt.Errorf("UseKey names %q, the signature is %q", r.useKey, signatureID)
	case !signed && r.seen["UseKey"]:
		return errors.New("UseKey in a message that is not signed")
	}
	return nil
}

// answer is the whole response, with the assertion as it was issued: one that stands alone for Renew, a collection of one for Issue.
func (r *request) answer(t Issued) string {
	more := fmt.Sprintf(`<wst:Renewing Allow="%t" OK="false"/>`, t.Renewals > 0)
	head, tail := "", ""
	if r.requestType == issueRequest {
		more += fmt.Sprintf(`<wst:KeyType>%s</wst:KeyType><wst:Delegatable>%t</wst:Delegatable>`, r.keyType, t.Delegations > 0)
		head, tail = `<wst:RequestSecurityTokenResponseCollection xmlns:wst="`+nsWST+`">`, `</wst:RequestSecurityTokenResponseCollection>`
	}
	return `<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="` + nsSOAP + `"><S:Body>` + head +
		`<wst:RequestSecurityTokenResponse xmlns:wst="` + nsWST + `" xmlns:wsu="` + nsWSU + `"><wst:TokenType>` + saml2TokenType + `</wst:TokenType>` +
		`<wst:Lifetime><wsu:Created>` + stamp(t.NotBefore) + `</wsu:Created><wsu:Expires>` + stamp(t.NotOnOrAfter) + `</wsu:Expires></wst:Lifetime>` +
		`<wst:RequestedSecurityToken>` + t.Assertion + `</wst:RequestedSecurityToken>` + more + `</wst:RequestSecurityTokenResponse>` + tail + `</S:Body></S:Envelope>`
}
