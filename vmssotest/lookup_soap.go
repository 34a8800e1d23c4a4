package vmssotest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/beevik/etree"
)

const (
	nsLookup = "urn:lookup"
	xsiType  = "{" + nsXSI + "}type" // some clients write the type of each element
)

// registration is a service with the id that it is registered with.
type registration struct {
	LookupService
	id string
}

// answer returns the Body of the answer to a request.
func (l *Lookup) answer(r *http.Request, body []byte) (string, error) {
	if err := checkNoSecrets(r.Header); err != nil {
		return "", err
	}
	if actions := r.Header.Values("SOAPAction"); len(actions) != 1 || soapAction(r) != nsLookup+"/2.0" {
		return "", fmt.Errorf("SOAPAction %.100q is not %s/2.0", actions, nsLookup)
	}
	op, err := readLookup(body)
	if err != nil {
		return "", err
	}
	switch op.Tag {
	case "RetrieveServiceContent":
		parts, err := shape(op, nsLookup, "_this")
		if err != nil {
			return "", err
		}
		return lookupContent, checkThis(parts[0], "LookupServiceInstance", "ServiceInstance")
	case "List":
		parts, err := shape(op, nsLookup, "_this", "filterCriteria")
		if err != nil { // filterCriteria may be missing says the WSDL, but then a real server answers with a fault too
			return "", err
		}
		if err := checkThis(parts[0], "LookupServiceRegistration", "ServiceRegistration"); err != nil {
			return "", err
		}
		f, err := readFilter(parts[1])
		if err != nil {
			return "", err
		}
		return l.list(f), nil
	}
	return "", fmt.Errorf("%.100q is not an operation here", op.Tag)
}

// checkNoSecrets: the service answers everybody, and what it is asked goes to a host that may not be the one that the credentials are for.
func checkNoSecrets(h http.Header) error {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", sessionHeader, "csp-auth-token"} {
		if len(h.Values(name)) > 0 {
			return fmt.Errorf("the request has the header %s", name)
		}
	}
	return nil
}

// readLookup returns the operation element of a SOAP 1.1 message.
func readLookup(body []byte) (*etree.Element, error) {
	doc, err := parseDocument(body)
	if err != nil {
		return nil, err
	}
	if !is(doc.root, nsSOAP, "Envelope") {
		return nil, fmt.Errorf("%.100q is not a SOAP 1.1 envelope", doc.root.Tag)
	}
	parts, err := shape(doc.root, nsSOAP, "Header?", "Body")
	if err != nil {
		return nil, err
	}
	if parts[0] != nil {
		headers, err := elements(parts[0])
		if err != nil {
			return nil, err
		}
		for _, header := range headers {
			if header.Tag != "operationID" || len(header.ChildElements()) > 0 {
				return nil, fmt.Errorf("the message has the header %.100q", header.Tag)
			}
		}
	}
	list, err := elements(parts[1])
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, errors.New("the body is not one operation")
	}
	if ns, _ := namespace(list[0], list[0].Space); ns != nsLookup {
		return nil, fmt.Errorf("%.100q has the namespace %.100q", list[0].Tag, ns)
	}
	return list[0], allowAttrs(list[0])
}

// checkThis checks whom a request is for.
func checkThis(el *etree.Element, kind, value string) error {
	if err := allowAttrs(el, "type", xsiType); err != nil {
		return err
	}
	have, _ := attr(el, "", "type")
	if this, err := text(el); err != nil || have != kind || this != value {
		return fmt.Errorf("_this is not the %s %s", kind, value)
	}
	return nil
}

// filter is what List is asked for; what is empty fits all.
type filter struct{ site, node, product, service, protocol, endpoint string }

func readFilter(el *etree.Element) (f filter, err error) {
	parts, err := shape(el, nsLookup, "siteId?", "nodeId?", "serviceType?", "endpointType?")
	if err != nil {
		return f, err
	}
	var errs [4]error
	f.site, errs[0] = optionalText(parts[0])
	f.node, errs[1] = optionalText(parts[1])
	f.product, f.service, errs[2] = optionalPair(parts[2], "product?", "type?")
	f.protocol, f.endpoint, errs[3] = optionalPair(parts[3], "protocol?", "type?")
	return f, errors.Join(errors.Join(errs[:]...), allowAttrs(el, xsiType))
}

// optionalText returns the text of el; "" if el is nil.
func optionalText(el *etree.Element) (string, error) {
	if el == nil {
		return "", nil
	}
	s, err := text(el)
	return s, errors.Join(err, allowAttrs(el, xsiType))
}

// optionalPair returns the texts of two children of el, which may be missing as el may.
func optionalPair(el *etree.Element, first, second string) (a, b string, err error) {
	if el == nil {
		return "", "", nil
	}
	parts, err := shape(el, nsLookup, first, second)
	if err != nil {
		return "", "", err
	}
	a, errA := optionalText(parts[0])
	b, errB := optionalText(parts[1])
	return a, b, errors.Join(errA, errB, allowAttrs(el, xsiType))
}

// list is the answer to List: of the services that fit the endpoints that fit.
func (l *Lookup) list(f filter) string {
	fits := func(want, have string) bool { return want == "" || want == have }
	var b strings.Builder
	for _, s := range l.services {
		if !fits(f.site, s.SiteID) || !fits(f.node, s.NodeID) || !fits(f.product, s.Product) || !fits(f.service, s.Type) {
			continue
		}
		var endpoints strings.Builder
		for _, e := range s.Endpoints {
			if fits(f.protocol, e.Protocol) && fits(f.endpoint, e.Type) {
				endpoints.WriteString(e.xml())
			}
		}
		if endpoints.Len() > 0 || f.protocol+f.endpoint == "" {
			b.WriteString(s.xml(endpoints.String()))
		}
	}
	return `<ListResponse xmlns="` + nsLookup + `">` + b.String() + `</ListResponse>`
}

func (s registration) xml(endpoints string) string {
	node := ""
	if s.NodeID != "" {
		node = lookupText("nodeId", s.NodeID)
	}
	return `<returnval>` + lookupText("serviceVersion", "8.0") + endpoints + lookupText("ownerId", "vpxd@vsphere.local") +
		`<serviceType>` + lookupText("product", s.Product) + lookupText("type", s.Type) + `</serviceType>` +
		node + lookupText("serviceId", s.id) + lookupText("siteId", s.SiteID) + `</returnval>`
}

func (e LookupEndpoint) xml() string {
	var trust strings.Builder
	for _, cert := range e.Trust {
		trust.WriteString(lookupText("sslTrust", encode(cert.Raw)))
	}
	return `<serviceEndpoints>` + lookupText("url", e.URL) +
		`<endpointType>` + lookupText("protocol", e.Protocol) + lookupText("type", e.Type) + `</endpointType>` + trust.String() + `</serviceEndpoints>`
}

func lookupText(tag, s string) string { return "<" + tag + ">" + escapeText(s) + "</" + tag + ">" }

const lookupContent = `<RetrieveServiceContentResponse xmlns="` + nsLookup + `"><returnval>` +
	`<lookupService type="LookupLookupService">lookupService</lookupService>` +
	`<serviceRegistration type="LookupServiceRegistration">ServiceRegistration</serviceRegistration>` +
	`<deploymentInformationService type="LookupDeploymentInformationService">deploymentInformationService</deploymentInformationService>` +
	`<l10n type="LookupL10n">l10n</l10n></returnval></RetrieveServiceContentResponse>`
