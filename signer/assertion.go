package signer

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/envelope"
)

// Limits of an assertion.
const (
	maxAssertion = 1 << 20 // bytes
	maxDepth     = 64
	maxAttrs     = 256 // on one element, namespace declarations included
)

const (
	saml2       = "urn:oasis:names:tc:SAML:2.0:assertion"
	saml2p      = "urn:oasis:names:tc:SAML:2.0:protocol"
	saml1       = "urn:oasis:names:tc:SAML:1.0:assertion"
	dsig        = "http://www.w3.org/2000/09/xmldsig#"
	cmBearer    = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	cmHolder    = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
	samlVersion = "2.0"
)

// An Assertion is what a client has to know of a SAML 2.0 assertion (OASIS
// saml-core-2.0). Nothing in it is verified: that is the server's part, which
// knows the issuer.
type Assertion struct {
	ID          string
	Issuer      string
	Subject     string            // the NameID
	HolderOfKey bool              // by its subject confirmation; otherwise bearer
	Holder      *x509.Certificate // of a holder-of-key token; nil if it names the key in another way
	NotBefore   time.Time         // zero if unlimited
	Expires     time.Time         // NotOnOrAfter; zero if unlimited
	Audiences   []string
	Encrypted   bool // an EncryptedAssertion: nothing else is known
}

// ParseAssertion reads an assertion in one strict pass. The text must be that
// of one well-formed element and nothing else: it will be put into a message as
// it is. A document type declaration, a processing instruction and anything
// over the limits (1 MiB, 64 levels) are refused. Every error wraps
// [vmsso.ErrUnsupportedToken] and tells the byte, never the content.
func ParseAssertion(text string) (*Assertion, error) {
	switch {
	case text == "":
		return nil, unsupported("it is empty")
	case len(text) > maxAssertion:
		return nil, unsupported("it is longer than %d bytes", maxAssertion)
	case text[0] != '<' || text[len(text)-1] != '>':
		return nil, unsupported("it does not begin with '<' and end with '>': give the Assertion element as the issuer wrote it, without what stands around it")
	}
	// The decoder looks at characters nowhere but in text and attributes.
	if err := envelope.Valid(text); err != nil {
		return nil, unsupported("it has %w", err)
	}
	r := reader{d: xml.NewDecoder(strings.NewReader(text)), a: &Assertion{}}
	for {
		at := r.d.InputOffset()
		t, err := r.d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, unsupported("not well-formed XML at byte %d", r.d.InputOffset())
		}
		if err := r.token(t); err != nil {
			return nil, fmt.Errorf("%w (at byte %d)", err, at)
		}
	}
	return r.a, r.check()
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{vmsso.ErrUnsupportedToken}, args...)...)
}

// A reader goes through the tokens of an assertion.
type reader struct {
	d       *xml.Decoder
	a       *Assertion
	path    []string // local names of SAML and XML-DSig elements, "" for others
	text    bytes.Buffer
	done    bool // the root element has ended
	methods []string
	certs   int
}

func (r *reader) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end()
	case xml.CharData:
		if len(r.path) == 0 {
			return unsupported("text outside the element")
		}
		r.text.Write(t)
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
	case len(r.path) == maxDepth:
		return unsupported("more than %d levels", maxDepth)
	case len(e.Attr) > maxAttrs:
		return unsupported("more than %d attributes", maxAttrs)
	case undeclared(e.Name.Space) || slices.ContainsFunc(e.Attr, func(a xml.Attr) bool {
		return a.Name.Space != "xmlns" && undeclared(a.Name.Space)
	}):
		return unsupported("a namespace prefix is not declared in it")
	}
	if len(r.path) == 0 {
		if err := r.root(e); err != nil {
			return err
		}
	}
	name := ""
	if e.Name.Space == saml2 || e.Name.Space == dsig {
		name = e.Name.Local
	}
	r.path = append(r.path, name)
	r.text.Reset()
	var err error
	switch r.at() {
	case "Assertion/Subject/SubjectConfirmation":
		r.methods = append(r.methods, attr(e, "Method"))
	case "Assertion/Conditions":
		if r.a.NotBefore, err = instant(attr(e, "NotBefore")); err == nil {
			r.a.Expires, err = instant(attr(e, "NotOnOrAfter"))
		}
	}
	return err
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
	ids := 0
	for _, a := range e.Attr {
		if a.Name.Local == "ID" && a.Name.Space == "" {
			ids++
		}
	}
	r.a.ID = attr(e, "ID")
	if ids != 1 || !ncName.MatchString(r.a.ID) {
		return unsupported("its ID is missing or not valid")
	}
	if attr(e, "Version") != samlVersion {
		return unsupported("its Version is not %s", samlVersion)
	}
	return nil
}

// ncName is what an ID may be, less what no issuer uses.
var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,255}$`)

func (r *reader) end() error {
	text := strings.TrimSpace(r.text.String())
	at := r.at()
	r.text.Reset()
	r.path = r.path[:len(r.path)-1]
	r.done = len(r.path) == 0
	switch at {
	case "Assertion/Issuer":
		r.a.Issuer = text
	case "Assertion/Subject/NameID":
		r.a.Subject = text
	case "Assertion/Conditions/AudienceRestriction/Audience":
		r.a.Audiences = append(r.a.Audiences, text)
	case "Assertion/Subject/SubjectConfirmation/SubjectConfirmationData/KeyInfo/X509Data/X509Certificate":
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return unsupported("the certificate of its subject confirmation is not base64")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return unsupported("the certificate of its subject confirmation cannot be read")
		}
		if r.certs++; r.certs == 1 {
			r.a.Holder = cert // a chain follows, the holder's comes first
		}
	}
	return nil
}

func (r *reader) at() string { return strings.Join(r.path, "/") }

// check judges the whole.
func (r *reader) check() error {
	if r.a.Encrypted {
		return nil
	}
	if !r.done {
		return unsupported("it has no element")
	}
	for _, m := range r.methods {
		switch m {
		case cmHolder:
			r.a.HolderOfKey = true
		case cmBearer:
		default:
			return unsupported("its subject confirmation is neither bearer nor holder-of-key")
		}
	}
	if len(r.methods) == 0 {
		return unsupported("it has no subject confirmation")
	}
	if !r.a.HolderOfKey {
		r.a.Holder = nil
	}
	return nil
}

// Fits tells whether pub is the holder's key, as far as the assertion says.
func (a *Assertion) Fits(pub crypto.PublicKey) bool {
	if a.Holder == nil {
		return true
	}
	k, ok := a.Holder.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(pub)
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
		return time.Time{}, unsupported("a time of its conditions is not in UTC and of the form 2006-01-02T15:04:05Z")
	}
	return t, nil
}
