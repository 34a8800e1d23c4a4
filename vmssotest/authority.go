package vmssotest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Authority issues SAML 2.0 assertions, as the token signing certificate of an SSO domain does. It is safe for concurrent use.
type Authority struct{ cert tls.Certificate }

// NewAuthority returns an authority with a new RSA key of 2048 bits and a self-signed certificate valid from 1990 to 2100, so that its tokens can
// be verified under testing/synctest too, whose clock begins in the year 2000.
func NewAuthority() *Authority {
	return &Authority{NewKeyPair("vmssotest STS", nil)}
}

// Certificate returns the certificate that a server must trust to accept this authority's assertions (VSphereConfig.Trust).
func (a *Authority) Certificate() *x509.Certificate { return a.cert.Leaf }

// Claims are the content of an assertion. Only Subject is needed.
type Claims struct {
	ID      string            // "": "_" and a random UUID
	Issuer  string            // "": like that of a vCenter
	Subject string            // UPN, such as "alice@vsphere.local"
	Holder  *x509.Certificate // the token is a holder-of-key token for this certificate; nil: bearer

	NotBefore    time.Time // zero: now
	NotOnOrAfter time.Time // zero: an hour after NotBefore

	Audiences []string // none: no AudienceRestriction
	Groups    []string // such as `vsphere.local\Administrators`

	Delegations int // how often the token may be passed on: ProxyRestriction; 0: none is written
	Renewals    int // how often the token may be renewed: RenewRestriction; 0: none is written

	Delegates []string // UPNs of those to whom the token was passed on, the first one first: DelegationRestriction

	// What follows is for tests of unusual tokens.

	Version    string // "": "2.0"
	Prefix     string // the namespace prefix of the elements; "": "saml2"; "xmlns": the default namespace
	Statements string // XML that is put behind the statements as it is; the prefixes Prefix, xs and xsi are declared
}

// Issue returns a signed assertion of the shape that vCenter issues: rsa-sha256 over exclusive C14N with InclusiveNamespaces PrefixList "xs xsi",
// the enveloped signature right after Issuer, the certificate in KeyInfo. It panics if Prefix or Statements make the assertion ill-formed.
func (a *Authority) Issue(c Claims) string {
	c = c.withDefaults()
	head, tail := c.head(), c.tail()
	digest := sha256.Sum256(mustCanonicalize(head + tail))
	signedInfo := fmt.Sprintf(`<ds:SignedInfo>`+
		`<ds:CanonicalizationMethod Algorithm="%[1]s"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>`+
		`<ds:Reference URI="#%[2]s"><ds:Transforms><ds:Transform Algorithm="%[3]s"/><ds:Transform Algorithm="%[1]s">`+
		`<ec:InclusiveNamespaces xmlns:ec="%[1]s" PrefixList="xs xsi"/></ds:Transform></ds:Transforms>`+
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>%[4]s</ds:DigestValue></ds:Reference></ds:SignedInfo>`,
		excC14N, escapeAttr(c.ID), enveloped, encode(digest[:]))
	// The C14N of SignedInfo inside the assertion: ds is declared on its start tag then.
	sum := sha256.Sum256(mustCanonicalize(strings.Replace(signedInfo, "<ds:SignedInfo>", `<ds:SignedInfo xmlns:ds="`+nsDS+`">`, 1)))
	value, err := rsa.SignPKCS1v15(rand.Reader, a.cert.PrivateKey.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		panic("vmssotest: sign assertion: " + err.Error())
	}
	return head + `<ds:Signature xmlns:ds="` + nsDS + `">` + signedInfo + `<ds:SignatureValue>` + encode(value) + `</ds:SignatureValue>` +
		`<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + encode(a.cert.Leaf.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>` + tail
}

func (c Claims) withDefaults() Claims {
	if c.ID == "" {
		c.ID = newID()
	}
	if c.Issuer == "" {
		c.Issuer = vCenterIssuer
	}
	if c.Version == "" {
		c.Version = "2.0"
	}
	if c.Prefix == "" {
		c.Prefix = "saml2"
	}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now()
	}
	if c.NotOnOrAfter.IsZero() {
		c.NotOnOrAfter = c.NotBefore.Add(time.Hour)
	}
	return c
}

// tag prefixes an element name.
func (c Claims) tag(local string) string {
	if c.Prefix == "xmlns" {
		return local
	}
	return c.Prefix + ":" + local
}

// head is the assertion up to and including Issuer: what stands before the signature.
func (c Claims) head() string {
	declaration := "xmlns:" + c.Prefix
	if c.Prefix == "xmlns" {
		declaration = "xmlns"
	}
	return fmt.Sprintf(`<%s %s="%s" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="%s" ID="%s" IssueInstant="%s" Version="%s">`,
		c.tag("Assertion"), declaration, nsSAML, nsXSI, escapeAttr(c.ID), stamp(c.NotBefore), escapeAttr(c.Version)) +
		c.element("Issuer", ` Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity"`, escapeText(c.Issuer))
}

// tail is what follows the signature.
func (c Claims) tail() string {
	subject := c.element("NameID", ` Format="`+upnFormat+`"`, escapeText(c.Subject)) + c.confirmation()
	authn := c.element("AuthnStatement", ` AuthnInstant="`+stamp(c.NotBefore)+`"`, c.element("AuthnContext", "",
		c.element("AuthnContextClassRef", "", "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")))
	return c.element("Subject", "", subject) + c.conditions() + authn + c.groups() + c.Statements + "</" + c.tag("Assertion") + ">"
}

// confirmation names the last delegate: who may use the token, where that is not its subject.
func (c Claims) confirmation() string {
	delegate := ""
	if n := len(c.Delegates); n > 0 {
		delegate = c.element("NameID", ` Format="`+upnFormat+`"`, escapeText(c.Delegates[n-1]))
	}
	if c.Holder == nil {
		data := c.element("SubjectConfirmationData", ` NotOnOrAfter="`+stamp(c.NotOnOrAfter)+`"`, "")
		return c.element("SubjectConfirmation", ` Method="`+bearerMethod+`"`, delegate+data)
	}
	data := c.element("SubjectConfirmationData", ` xsi:type="`+c.tag("KeyInfoConfirmationDataType")+`"`,
		`<ds:KeyInfo xmlns:ds="`+nsDS+`"><ds:X509Data><ds:X509Certificate>`+encode(c.Holder.Raw)+`</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`)
	return c.element("SubjectConfirmation", ` Method="`+holderOfKeyMethod+`"`, delegate+data)
}

func (c Claims) conditions() string {
	var inner strings.Builder
	if c.Delegations > 0 {
		inner.WriteString(c.element("ProxyRestriction", fmt.Sprintf(` Count="%d"`, c.Delegations), ""))
	}
	if len(c.Delegates) > 0 {
		inner.WriteString(c.element("Condition", ` xmlns:del="`+nsDel+`" xsi:type="del:`+delegationRestriction+`"`, c.delegates()))
	}
	if c.Renewals > 0 {
		inner.WriteString(c.element("Condition", fmt.Sprintf(` xmlns:rsa="%s" Count="%d" xsi:type="rsa:%s"`, nsRSA, c.Renewals, renewRestriction), ""))
	}
	if len(c.Audiences) > 0 {
		var list strings.Builder
		for _, audience := range c.Audiences {
			list.WriteString(c.element("Audience", "", escapeText(audience)))
		}
		inner.WriteString(c.element("AudienceRestriction", "", list.String()))
	}
	return c.element("Conditions", ` NotBefore="`+stamp(c.NotBefore)+`" NotOnOrAfter="`+stamp(c.NotOnOrAfter)+`"`, inner.String())
}

func (c Claims) delegates() string {
	var list strings.Builder
	for _, name := range c.Delegates {
		list.WriteString(`<del:Delegate DelegationInstant="` + stamp(c.NotBefore) + `">` +
			c.element("NameID", ` Format="`+upnFormat+`"`, escapeText(name)) + `</del:Delegate>`)
	}
	return list.String()
}

func (c Claims) groups() string {
	if len(c.Groups) == 0 {
		return ""
	}
	var values strings.Builder
	for _, group := range c.Groups {
		values.WriteString(c.element("AttributeValue", ` xsi:type="xs:string"`, escapeText(group)))
	}
	return c.element("AttributeStatement", "", c.element("Attribute", ` FriendlyName="Groups"`+
		` Name="`+groupsName+`" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"`, values.String()))
}

func (c Claims) element(local, attrs, content string) string {
	if content == "" {
		return "<" + c.tag(local) + attrs + "/>"
	}
	return "<" + c.tag(local) + attrs + ">" + content + "</" + c.tag(local) + ">"
}

func mustCanonicalize(xml string) []byte {
	doc, err := parseDocument([]byte(xml))
	if err != nil {
		panic("vmssotest: ill-formed assertion: " + err.Error())
	}
	data, err := canonicalize(doc.root, []string{"xs", "xsi"})
	if err != nil {
		panic("vmssotest: ill-formed assertion: " + err.Error())
	}
	return data
}

// stamp writes a time as vCenter does.
func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// newID returns an XML id: "_" and a random UUID.
func newID() string { return "_" + newUUID() }

func newUUID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
