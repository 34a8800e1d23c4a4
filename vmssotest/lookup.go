package vmssotest

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
)

// LookupConfig describes a Lookup Service.
type LookupConfig struct {
	Services []LookupService // what is registered, in the order in which it is listed
}

// LookupService is the registration of one service.
type LookupService struct {
	Product string // such as "com.vmware.cis"
	Type    string // such as "cs.identity"
	NodeID  string // "": none
	SiteID  string // "": "default-site"

	Endpoints []LookupEndpoint
}

// LookupEndpoint is where a service is found.
type LookupEndpoint struct {
	URL      string
	Protocol string              // such as "wsTrust"
	Type     string              // such as "com.vmware.cis.cs.identity.sso"
	Trust    []*x509.Certificate // of the server at URL
}

// LookupServices returns the usual registrations of one vCenter at origin, "https://vc.example.test": security token service and SSO administration
// (one service with two endpoints), vSphere Automation, vSphere and storage policies. The NodeID is one of this origin; there is no Trust.
func LookupServices(origin string) []LookupService {
	const cis = "com.vmware.cis"
	sum := sha256.Sum256([]byte(origin))
	node := fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	service := func(product, kind string, endpoints ...LookupEndpoint) LookupService {
		for i := range endpoints {
			endpoints[i].URL = origin + endpoints[i].URL
		}
		return LookupService{Product: product, Type: kind, NodeID: node, Endpoints: endpoints}
	}
	return []LookupService{
		service(cis, "cs.identity",
			LookupEndpoint{URL: "/sts/STSService/vsphere.local", Protocol: "wsTrust", Type: "com.vmware.cis.cs.identity.sso"},
			LookupEndpoint{URL: "/sso-adminserver/sdk/vsphere.local", Protocol: "vmomi", Type: "com.vmware.cis.cs.identity.admin"}),
		service(cis, "cs.vapi", LookupEndpoint{URL: rpcPath, Protocol: "vapi.json.https.public", Type: "com.vmware.vapi.endpoint"}),
		service(cis, "vcenterserver", LookupEndpoint{URL: "/sdk", Protocol: "vmomi", Type: "com.vmware.vim"}),
		service("com.vmware.vim.sms", "sms", LookupEndpoint{URL: "/pbm", Protocol: "https", Type: "com.vmware.vim.pbm"}),
	}
}

// lookupPath is where the service answers.
const lookupPath = "/lookupservice/sdk"

// Lookup is a Lookup Service: where the services of an SSO domain are found. It answers at /lookupservice/sdk. It is an http.Handler, safe for
// concurrent use, and to be made with NewLookup.
//
// There are RetrieveServiceContent and List, with the element order of the WSDL. Nobody needs credentials here: a request with Authorization, a cookie, a
// session id or a SOAP header other than operationID is refused. What is refused is a SOAP fault with status 500, or an HTTP error if it is no SOAP
// request; Reasons says why.
type Lookup struct {
	services []registration
	injector injector
	reasons  reasons
	tally    tally
}

// NewLookup returns a Lookup Service. The services are not to be modified afterwards.
func NewLookup(cfg LookupConfig) *Lookup {
	l := &Lookup{}
	for _, s := range cfg.Services {
		if s.SiteID == "" {
			s.SiteID = "default-site"
		}
		l.services = append(l.services, registration{s, s.SiteID + ":" + newUUID()})
	}
	return l
}

// Calls returns how many requests of this operation have come, whatever was answered. SOAP requests have the name of the first element of the Body,
// others method and path: "GET /lookupservice/sdk".
func (l *Lookup) Calls(op string) int { return l.tally.of(op) }

// Refused returns how many requests were refused. Those of another path are not counted.
func (l *Lookup) Refused() int { return int(l.tally.refused.Load()) }

// Reasons returns why requests were refused, oldest first, the last thousand.
func (l *Lookup) Reasons() []string { return l.reasons.all() }

// Inject sends the next n requests of this operation (as named by Calls; "": any) through f; n < 0: all from now on; n == 0: removes what was
// injected for op. A request meets one f at most, the oldest that fits.
func (l *Lookup) Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	l.injector.inject(op, n, f)
}

// ServeHTTP implements http.Handler.
func (l *Lookup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, r, err := identifyLookup(w, r)
	l.tally.call(op)
	if err != nil {
		l.refuse("body: " + err.Error())
		tooLarge(w)
		return
	}
	if f := l.injector.take(op); f != nil {
		f(w, r, http.HandlerFunc(l.serve))
		return
	}
	l.serve(w, r)
}

// identifyLookup names the operation. The body of a SOAP request is read for that and can be read again.
func identifyLookup(w http.ResponseWriter, r *http.Request) (op string, _ *http.Request, err error) {
	op = r.Method + " " + r.URL.Path
	if op != "POST "+lookupPath {
		return op, r, nil
	}
	body, err := bodyOf(w, r)
	if err != nil {
		return op, r, err
	}
	if name := operation(body); name != "" {
		op = name
	}
	return op, withBody(r, body), nil
}

func (l *Lookup) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != lookupPath:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		l.refuse("method " + r.Method)
		http.Error(w, "SOAP requests are POSTs", http.StatusMethodNotAllowed)
		return
	case !isTextXML(r):
		l.refuse("Content-Type is not text/xml")
		http.Error(w, "Content-Type is not text/xml", http.StatusUnsupportedMediaType)
		return
	}
	body, err := bodyOf(w, r)
	if err != nil {
		l.refuse("body: " + err.Error())
		tooLarge(w)
		return
	}
	answer, err := l.answer(r, body)
	if err != nil {
		l.refuse(err.Error())
		writeFault(w, "ServerFaultCode", escapeText(err.Error()), `<RuntimeFaultFault xmlns="urn:lookup" xsi:type="RuntimeFault"/>`)
		return
	}
	writeSOAP(w, answer)
}

// refuse notes a request that is not answered.
func (l *Lookup) refuse(reason string) {
	l.tally.refused.Add(1)
	l.reasons.add(reason)
}
