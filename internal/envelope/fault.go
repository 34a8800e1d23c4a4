package envelope

import (
	"strings"

	"github.com/beevik/etree"

	"github.com/vmsso/vmsso/internal/call"
)

// A Fault is a SOAP fault, of version 1.1 or 1.2.
type Fault struct {
	Code   string // local name, such as ServerFaultCode or FailedAuthentication
	Text   string // the fault string or reason
	Detail string // what the first detail is, such as NotAuthenticated
}

// parseFault reads the Fault element e.
func parseFault(e *etree.Element) *Fault {
	f := &Fault{}
	if c := child(e, "faultcode"); c != nil {
		f.Code = local(c.Text())
	}
	if s := child(e, "faultstring"); s != nil {
		f.Text = strings.TrimSpace(s.Text())
	}
	if c := child(e, "Code"); c != nil { // SOAP 1.2; the subcode says more
		for v := child(c, "Subcode"); v != nil; v = child(v, "Subcode") {
			c = v
		}
		if v := child(c, "Value"); v != nil {
			f.Code = local(v.Text())
		}
	}
	if r := child(e, "Reason"); r != nil {
		if t := child(r, "Text"); t != nil {
			f.Text = strings.TrimSpace(t.Text())
		}
	}
	for _, name := range []string{"detail", "Detail"} {
		if d := child(e, name); d != nil && len(d.ChildElements()) > 0 {
			first := d.ChildElements()[0]
			f.Detail = strings.TrimSuffix(first.Tag, "Fault")
			if t := first.SelectAttrValue("xsi:type", ""); t != "" {
				f.Detail = local(t)
			}
		}
	}
	return f
}

// Is tells whether the fault is of this kind, by its detail or its code.
func (f *Fault) Is(kind string) bool { return f.Detail == kind || f.Code == kind }

// String says what the server said, bounded, without the given secrets.
func (f *Fault) String(secrets ...string) string {
	kind := f.Detail
	if kind == "" {
		kind = f.Code
	}
	kind, text := call.Quote(kind, secrets...), call.Quote(f.Text, secrets...)
	if text == "" {
		return kind
	}
	return kind + ": " + text
}

// child returns the first child element with this local name.
func child(e *etree.Element, tag string) *etree.Element {
	for _, c := range e.ChildElements() {
		if c.Tag == tag {
			return c
		}
	}
	return nil
}

func local(qname string) string {
	return strings.TrimSpace(qname[strings.LastIndexByte(qname, ':')+1:])
}
