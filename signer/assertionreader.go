package signer

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A reader goes through the tokens of an assertion.
type reader struct {
	d *xml.Decoder
	a *Assertion

	open []int  // how long path was around each open element
	path []byte // of the open elements; see appendName
	text bytes.Buffer
	seen []string // paths of elements that may be there once, and are
	ids  map[string]bool

	leaf      bool // the element that is open has text alone
	done      bool // the root element has ended
	comments  bool // there are some
	unlimited bool // a subject confirmation has no end
	certs     int
	value     keyValue
}

func (r *reader) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end()
	case xml.CharData:
		if len(r.open) == 0 {
			return unsupported("text outside the element")
		}
		r.text.Write(t)
	case xml.Comment:
		r.comments = true
	case xml.ProcInst:
		return unsupported("it has a processing instruction or XML declaration")
	case xml.Directive:
		return unsupported("it has a document type declaration")
	}
	return nil
}

func (r *reader) start(e xml.StartElement) error {
	switch {
	case r.done:
		return unsupported("there is a second element")
	case len(r.open) == maxDepth:
		return unsupported("more than %d levels", maxDepth)
	case len(e.Attr) > maxAttrs:
		return unsupported("more than %d attributes", maxAttrs)
	case r.leaf:
		return unsupported("an element where it must have text alone")
	case undeclared(e.Name.Space):
		return unsupported("a namespace prefix is not declared in it")
	}
	r.open = append(r.open, len(r.path))
	if err := r.attributes(e.Attr); err != nil {
		return err
	}
	if len(r.path) == 0 {
		if err := r.root(e); err != nil {
			return err
		}
	}
	r.path = appendName(append(r.path, '/'), e.Name)
	r.text.Reset()
	if once(r.path) {
		if slices.Contains(r.seen, string(r.path)) {
			return unsupported("it has two %s", e.Name.Local)
		}
		r.seen = append(r.seen, string(r.path))
	}
	r.leaf = leaf(r.path)
	return r.opened(e)
}

// holderPath is where the holder's key is.
const holderPath = "/Assertion/Subject/SubjectConfirmation/SubjectConfirmationData/ds:KeyInfo"

// once tells of the elements of which a second one would be read by some and not
// by others.
func once(path []byte) bool {
	switch string(path) {
	case "/Assertion/Issuer", "/Assertion/Subject", "/Assertion/Subject/NameID", "/Assertion/Conditions", "/Assertion/Conditions/ProxyRestriction":
		return true
	}
	return false
}

// leaf tells of the elements whose text is read. They have no element in them:
// what stands before and behind one would be put together by some and not by
// others.
func leaf(path []byte) bool {
	switch string(path) {
	case "/Assertion/Issuer", "/Assertion/Subject/NameID", "/Assertion/Conditions/AudienceRestriction/Audience",
		"/Assertion/Conditions/Condition/del:Delegate/NameID",
		holderPath + "/ds:X509Data/ds:X509Certificate",
		holderPath + "/ds:KeyValue/ds:RSAKeyValue/ds:Modulus", holderPath + "/ds:KeyValue/ds:RSAKeyValue/ds:Exponent",
		holderPath + "/ds:KeyValue/dsig11:ECKeyValue/dsig11:PublicKey":
		return true
	}
	return false
}

// attributes refuses what not all parsers read alike, and notes the IDs.
func (r *reader) attributes(list []xml.Attr) error {
	for i, a := range list {
		for _, b := range list[:i] {
			if a.Name == b.Name {
				return unsupported("it has an attribute twice in one element")
			}
		}
		switch {
		case a.Name.Space == "xmlns":
		case undeclared(a.Name.Space):
			return unsupported("a namespace prefix is not declared in it")
		case isID(a.Name):
			if r.ids[a.Value] {
				return unsupported("it has an ID twice")
			}
			if r.ids == nil {
				r.ids = map[string]bool{}
			}
			r.ids[a.Value] = true
		}
	}
	return nil
}

func isID(name xml.Name) bool {
	switch name.Local {
	case "ID", "Id", "AssertionID":
		return name.Space == ""
	case "id":
		return name.Space == "http://www.w3.org/XML/1998/namespace"
	}
	return false
}

// appendName appends what a path calls an element: its name, with a prefix where
// it is not SAML's, and nothing where its namespace does not matter.
func appendName(b []byte, name xml.Name) []byte {
	switch name.Space {
	case saml2:
	case dsig:
		b = append(b, "ds:"...)
	case dsig11:
		b = append(b, "dsig11:"...)
	case delegation:
		b = append(b, "del:"...)
	default:
		return b
	}
	return append(b, name.Local...)
}

// root checks the outermost element.
func (r *reader) root(e xml.StartElement) error {
	switch {
	case e.Name.Space == saml2 && e.Name.Local == "EncryptedAssertion":
		r.a.Encrypted = true
		return nil
	case e.Name.Space == saml2 && e.Name.Local == "Assertion":
	case e.Name.Space == saml1:
		return unsupported("it is a SAML 1.1 assertion")
	case e.Name.Space == saml2p:
		return unsupported("it is a SAML protocol message: give the Assertion element inside")
	default:
		return unsupported("it is no SAML 2.0 Assertion")
	}
	if r.a.ID = attr(e, "ID"); !ncName.MatchString(r.a.ID) {
		return unsupported("its ID is missing or not valid")
	}
	if attr(e, "Version") != "2.0" {
		return unsupported("its Version is not 2.0")
	}
	return nil
}

// ncName is what an ID may be, less what no issuer uses.
var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,255}$`)

// opened reads the attributes of an element.
func (r *reader) opened(e xml.StartElement) (err error) {
	switch string(r.path) {
	case "/Assertion/Subject/SubjectConfirmation":
		r.a.Confirmations = append(r.a.Confirmations, attr(e, "Method"))
	case "/Assertion/Subject/SubjectConfirmation/SubjectConfirmationData":
		return r.confirmBy(attr(e, "NotOnOrAfter"))
	case "/Assertion/Conditions":
		if r.a.NotBefore, err = instant(attr(e, "NotBefore")); err == nil {
			r.a.Expires, err = instant(attr(e, "NotOnOrAfter"))
		}
	case "/Assertion/Conditions/ProxyRestriction":
		r.a.Delegations, err = count(attr(e, "Count"))
	case "/Assertion/Conditions/Condition":
		if typeOf(e) == "RenewRestrictionType" { // vCenter's own
			r.a.Renewals, err = count(attr(e, "Count"))
		}
	case holderPath + "/ds:KeyValue/dsig11:ECKeyValue/dsig11:NamedCurve":
		r.value.curve = attr(e, "URI")
	}
	return err
}

func (r *reader) confirmBy(s string) error {
	until, err := instant(s)
	switch {
	case until.IsZero():
		r.unlimited = true
	case until.After(r.a.ConfirmBy):
		r.a.ConfirmBy = until
	}
	return err
}

// typeOf returns the xsi:type of an element, a name without its prefix: that may
// be declared by what a signature does not cover.
func typeOf(e xml.StartElement) string {
	for _, a := range e.Attr {
		if a.Name == (xml.Name{Space: xsi, Local: "type"}) {
			return a.Value[strings.LastIndexByte(a.Value, ':')+1:]
		}
	}
	return ""
}

func (r *reader) end() (err error) {
	if r.leaf {
		err = r.read(strings.TrimSpace(r.text.String()))
	} else if string(r.path) == holderPath+"/ds:KeyValue" {
		err = r.keyValue()
	}
	r.text.Reset()
	r.leaf = false
	last := len(r.open) - 1
	r.open, r.path = r.open[:last], r.path[:r.open[last]]
	r.done = len(r.open) == 0
	return err
}

// read reads the text of a leaf.
func (r *reader) read(text string) (err error) {
	switch string(r.path) {
	case "/Assertion/Issuer":
		r.a.Issuer = text
	case "/Assertion/Subject/NameID":
		r.a.Subject = text
	case "/Assertion/Conditions/AudienceRestriction/Audience":
		r.a.Audiences = append(r.a.Audiences, text)
	case "/Assertion/Conditions/Condition/del:Delegate/NameID":
		r.a.Delegates = append(r.a.Delegates, text)
	case holderPath + "/ds:X509Data/ds:X509Certificate":
		return r.certificate(text)
	case holderPath + "/ds:KeyValue/ds:RSAKeyValue/ds:Modulus":
		r.value.modulus, err = fromBase64(text, "key")
	case holderPath + "/ds:KeyValue/ds:RSAKeyValue/ds:Exponent":
		r.value.exponent, err = fromBase64(text, "key")
	case holderPath + "/ds:KeyValue/dsig11:ECKeyValue/dsig11:PublicKey":
		r.value.point, err = fromBase64(text, "key")
	}
	return err
}

func (r *reader) keyValue() error {
	k, err := r.value.key()
	if r.value = (keyValue{}); r.a.HolderKey == nil { // the first one, as with certificates
		r.a.HolderKey = k
	}
	return err
}

func (r *reader) certificate(text string) error {
	der, err := fromBase64(text, "certificate")
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return unsupported("the certificate of its subject confirmation cannot be read")
	}
	if r.certs++; r.certs == 1 { // a chain follows, the holder's comes first
		r.a.Holder, r.a.HolderKey = cert, cert.PublicKey
	}
	return nil
}

// fromBase64 reads base64 that may be broken into lines.
func fromBase64(text, what string) ([]byte, error) {
	if strings.ContainsAny(text, " \t\r\n") {
		text = strings.Join(strings.Fields(text), "")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, unsupported("the %s of its subject confirmation is not base64", what)
	}
	return b, nil
}

// check judges the whole.
func (r *reader) check() error {
	if !r.done {
		return unsupported("it has no element")
	}
	if r.a.Encrypted {
		return nil
	}
	for _, m := range r.a.Confirmations {
		switch m {
		case cmHolder:
			r.a.HolderOfKey = true
		case cmBearer:
		default:
			return unsupported("its subject confirmation is neither bearer nor holder-of-key")
		}
	}
	if len(r.a.Confirmations) == 0 {
		return unsupported("it has no subject confirmation")
	}
	if !r.a.HolderOfKey {
		r.a.Holder, r.a.HolderKey = nil, nil
	}
	if r.unlimited {
		r.a.ConfirmBy = time.Time{}
	}
	return nil
}

// undeclared: encoding/xml leaves the prefix in place of a namespace that it
// does not know, and a prefix has no colon.
func undeclared(space string) bool { return space != "" && !strings.Contains(space, ":") }

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// instant reads an xs:dateTime in UTC, as SAML demands it; zero if there is none.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !strings.HasSuffix(s, "Z") {
		return time.Time{}, unsupported("a time in it is not in UTC and of the form 2006-01-02T15:04:05Z")
	}
	return t, nil
}

// count reads how often something may happen; nil if it does not say.
func count(s string) (*int, error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return nil, unsupported("a count in its conditions is not a number")
	}
	return new(int(n)), nil
}
