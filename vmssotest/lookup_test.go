package vmssotest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	lookupThis       = `<_this type="LookupServiceInstance">ServiceInstance</_this>`
	registrationThis = `<_this type="LookupServiceRegistration">ServiceRegistration</_this>`

	lookupRetrieve = `<RetrieveServiceContent xmlns="urn:lookup">` + lookupThis + `</RetrieveServiceContent>`
)

func lookupList(filter string) string {
	return `<List xmlns="urn:lookup">` + registrationThis + `<filterCriteria>` + filter + `</filterCriteria></List>`
}

// lookupHTTP is a request as govmomi sends it.
func lookupHTTP(body string) *http.Request {
	r := httptest.NewRequest("POST", "https://vc.example.test/lookupservice/sdk", strings.NewReader(soapXML(body)))
	r.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	r.Header.Set("SOAPAction", "urn:lookup/2.0")
	return r
}

func newTestLookup() *Lookup {
	services := LookupServices("https://vc.example.test")
	services[0].Endpoints[0].Trust = []*x509.Certificate{clientCertificate(), authority().Certificate()}
	other := LookupServices("https://vc2.example.test")[3] // the vSphere of another site
	other.SiteID = "site 2 & more"
	return NewLookup(LookupConfig{Services: append(services, other)})
}

// registrationInfo is what a client reads of a registration.
type registrationInfo struct {
	Version   string `xml:"serviceVersion"`
	Endpoints []struct {
		URL      string   `xml:"url"`
		Protocol string   `xml:"endpointType>protocol"`
		Type     string   `xml:"endpointType>type"`
		Trust    []string `xml:"sslTrust"`
	} `xml:"serviceEndpoints"`
	Owner   string `xml:"ownerId"`
	Product string `xml:"serviceType>product"`
	Type    string `xml:"serviceType>type"`
	Node    string `xml:"nodeId"`
	ID      string `xml:"serviceId"`
	Site    string `xml:"siteId"`
}

func listed(t *testing.T, l *Lookup, filter string) []registrationInfo {
	t.Helper()
	w := serve(l, lookupHTTP(lookupList(filter)))
	var answer struct {
		List struct {
			XMLName xml.Name           `xml:"urn:lookup ListResponse"`
			Info    []registrationInfo `xml:"urn:lookup returnval"`
		} `xml:"Body>ListResponse"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" {
		t.Fatalf("List(%s): status %d, %s, %v", filter, w.Code, w.Body, err)
	}
	return answer.List.Info
}

func TestLookupServiceContent(t *testing.T) {
	l := newTestLookup()
	const want = `<RetrieveServiceContentResponse xmlns="urn:lookup"><returnval><lookupService type="LookupLookupService">lookupService</lookupService>` +
		`<serviceRegistration type="LookupServiceRegistration">ServiceRegistration</serviceRegistration>` +
		`<deploymentInformationService type="LookupDeploymentInformationService">deploymentInformationService</deploymentInformationService>` +
		`<l10n type="LookupL10n">l10n</l10n></returnval></RetrieveServiceContentResponse>`
	if w := serve(l, lookupHTTP(lookupRetrieve)); w.Code != http.StatusOK || w.Body.String() != envelopeStart+want+envelopeEnd {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
	if l.Calls("RetrieveServiceContent") != 1 || l.Refused() != 0 || len(l.Reasons()) != 0 {
		t.Errorf("calls %d, reasons %q", l.Calls("RetrieveServiceContent"), l.Reasons())
	}
}

func TestLookupList(t *testing.T) {
	const all = "/sts/STSService/vsphere.local /sso-adminserver/sdk/vsphere.local /api /sdk /pbm /2/pbm"
	service := func(s string) string { return `<serviceType>` + s + `</serviceType>` }
	endpoint := func(s string) string { return `<endpointType>` + s + `</endpointType>` }
	find := func(product, kind, protocol, endpointKind string) string {
		return service(`<product>`+product+`</product><type>`+kind+`</type>`) + endpoint(`<protocol>`+protocol+`</protocol><type>`+endpointKind+`</type>`)
	}
	l := newTestLookup()
	node := listed(t, l, "")[0].Node
	for _, test := range []struct{ filter, want string }{
		{"", all},
		{" <!-- all --> ", all},
		{find("com.vmware.cis", "cs.identity", "wsTrust", "com.vmware.cis.cs.identity.sso"), "/sts/STSService/vsphere.local"},
		{find("com.vmware.cis", "cs.identity", "vmomi", "com.vmware.cis.cs.identity.admin"), "/sso-adminserver/sdk/vsphere.local"},
		{find("com.vmware.cis", "cs.identity", "wsTrust", "com.vmware.cis.cs.identity.admin"), ""},
		{find("com.vmware.cis", "cs.vapi", "vapi.json.https.public", "com.vmware.vapi.endpoint"), "/api"},
		{find("com.vmware.cis", "vcenterserver", "vmomi", "com.vmware.vim"), "/sdk"},
		{find("com.vmware.vim.sms", "sms", "https", "com.vmware.vim.pbm"), "/pbm /2/pbm"},
		{service(`<product>com.vmware.cis</product><type>cs.identity</type>`), "/sts/STSService/vsphere.local /sso-adminserver/sdk/vsphere.local"},
		{service(`<product>com.vmware.cis</product><type>sms</type>`), ""},
		{service(`<product>com.vmware.cis</product>`), "/sts/STSService/vsphere.local /sso-adminserver/sdk/vsphere.local /api /sdk"},
		{service(`<type>sms</type>`), "/pbm /2/pbm"},
		{service(`<product/><type></type>`), all},
		{service(""), all},
		{service(`<type>cs.Identity</type>`), ""},
		{endpoint(`<protocol>vmomi</protocol>`), "/sso-adminserver/sdk/vsphere.local /sdk"},
		{endpoint(`<type>com.vmware.vim</type>`), "/sdk"},
		{endpoint(`<protocol>http</protocol>`), ""},
		{`<siteId>default-site</siteId>`, strings.TrimSuffix(all, " /2/pbm")},
		{`<siteId>site 2 &amp; more</siteId>`, "/2/pbm"},
		{`<siteId>site</siteId>`, ""},
		{`<nodeId>` + node + `</nodeId>`, strings.TrimSuffix(all, " /2/pbm")},
		{`<nodeId>x</nodeId>`, ""},
		{`<siteId>site 2 &amp; more</siteId><nodeId>` + node + `</nodeId>`, ""},
		{`<siteId>default-site</siteId><nodeId>` + node + `</nodeId>` + service(`<type>sms</type>`) + endpoint(`<protocol>https</protocol>`), "/pbm"},
		{`<siteId xmlns:i="` + nsXSI + `" i:type="string">site</siteId>`, ""},
	} {
		var got []string
		for _, info := range listed(t, l, test.filter) {
			for _, e := range info.Endpoints {
				got = append(got, strings.NewReplacer("https://vc.example.test", "", "https://vc2.example.test", "/2").Replace(e.URL))
			}
			if len(info.Endpoints) == 0 {
				t.Errorf("List(%s): a service without endpoints", test.filter)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("List(%s) = %q, want %q", test.filter, got, test.want)
		}
	}
	if l.Refused() != 0 || l.Calls("List") == 0 {
		t.Errorf("calls %d, reasons %q", l.Calls("List"), l.Reasons())
	}
}

func TestLookupRegistration(t *testing.T) {
	l := newTestLookup()
	infos := listed(t, l, "")
	first := infos[0]
	if first.Version != "8.0" || first.Owner != "vpxd@vsphere.local" || first.Product+first.Type != "com.vmware.ciscs.identity" || first.Site != "default-site" {
		t.Errorf("%+v", first)
	}
	if len(first.Node) != 36 || first.Node != infos[3].Node || first.Node == infos[4].Node {
		t.Errorf("nodes %s, %s, %s", first.Node, infos[3].Node, infos[4].Node)
	}
	var ids, trust []string
	for _, info := range infos {
		ids = append(ids, info.ID)
	}
	if again := listed(t, l, ""); again[1].ID != ids[1] || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 5 || !strings.HasPrefix(ids[4], "site 2 & more:") {
		t.Errorf("ids %q, then %q", ids, again[1].ID)
	}
	for _, cert := range []*x509.Certificate{clientCertificate(), authority().Certificate()} {
		trust = append(trust, base64.StdEncoding.EncodeToString(cert.Raw))
	}
	if diff := cmp.Diff(trust, first.Endpoints[0].Trust); diff != "" || first.Endpoints[1].Trust != nil {
		t.Errorf("trust (-want +got)\n%s", diff)
	}
	l = NewLookup(LookupConfig{Services: []LookupService{{Product: "a<b", Type: "c"}}})
	if got := listed(t, l, ""); len(got) != 1 || got[0].Node != "" || got[0].Product != "a<b" || len(got[0].Endpoints) != 0 {
		t.Errorf("%+v", got)
	}
	if w := serve(l, lookupHTTP(lookupList(""))); strings.Contains(w.Body.String(), "nodeId") {
		t.Errorf("empty nodeId: %s", w.Body)
	}
	if got := listed(t, l, "<endpointType><protocol>x</protocol></endpointType>"); len(got) != 0 {
		t.Errorf("a service without endpoints: %+v", got)
	}
	if got := listed(t, NewLookup(LookupConfig{}), ""); len(got) != 0 {
		t.Errorf("nothing is registered: %+v", got)
	}
}

// The order of the elements is that of the WSDL.
func TestLookupElementOrder(t *testing.T) {
	l := newTestLookup()
	var order []string
	dec := xml.NewDecoder(strings.NewReader(serve(l, lookupHTTP(lookupList(`<endpointType><protocol>wsTrust</protocol></endpointType>`))).Body.String()))
	for tok, err := dec.Token(); err == nil; tok, err = dec.Token() {
		if start, ok := tok.(xml.StartElement); ok && start.Name.Space == "urn:lookup" {
			order = append(order, start.Name.Local)
		}
	}
	want := "ListResponse returnval serviceVersion serviceEndpoints url endpointType protocol type sslTrust sslTrust ownerId " +
		"serviceType product type nodeId serviceId siteId"
	if diff := cmp.Diff(want, strings.Join(order, " ")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLookupAccepted(t *testing.T) {
	for name, edit := range map[string]func(*http.Request){
		"quoted SOAPAction": func(r *http.Request) { r.Header.Set("SOAPAction", `"urn:lookup/2.0"`) },
		"text/xml":          func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") },
		"query":             func(r *http.Request) { r.URL.RawQuery = "a=b" },
		"operationID":       lookupMessage(`<Body>`, `<Header><operationID>1</operationID></Header><Body>`),
		"empty header":      lookupMessage(`<Body>`, `<Header/><Body>`),
		"prefix": lookupMessage(lookupRetrieve,
			`<l:RetrieveServiceContent xmlns:l="urn:lookup"><l:_this type="LookupServiceInstance">ServiceInstance</l:_this></l:RetrieveServiceContent>`),
		"xsi:type":             lookupMessage(`<_this `, `<_this xmlns:x="`+nsXSI+`" x:type="ManagedObjectReference" `),
		"white space, comment": lookupMessage(lookupThis, "\n "+lookupThis+" <!-- a -->"),
	} {
		l, r := newTestLookup(), lookupHTTP(lookupRetrieve)
		edit(r)
		if w := serve(l, r); w.Code != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, w.Code, w.Body)
		}
	}
}

// lookupMessage changes the body of a request.
func lookupMessage(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		body, _ := bodyOf(nil, r)
		*r = *withBody(r, []byte(replace(old, new)(string(body))))
	}
}

func TestLookupRefused(t *testing.T) {
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	whole := func(body string) func(*http.Request) {
		return func(r *http.Request) { *r = *withBody(r, []byte(soapXML(body))) }
	}
	filtered := func(s string) func(*http.Request) { return whole(lookupList(s)) }
	for _, test := range []struct {
		name, reason string
		status       int
		edit         func(*http.Request)
	}{
		{"GET", "method GET", 405, func(r *http.Request) { r.Method = "GET" }},
		{"JSON", "Content-Type", 415, header("Content-Type", "application/json")},
		{"SOAP 1.2", "Content-Type", 415, header("Content-Type", "application/soap+xml")},
		{"UTF-16", "Content-Type", 415, header("Content-Type", "text/xml; charset=utf-16")},
		{"Authorization", "header Authorization", 500, header("Authorization", "Basic YTpi")},
		{"Proxy-Authorization", "header Proxy-Authorization", 500, header("Proxy-Authorization", "Basic YTpi")},
		{"cookie", "header Cookie", 500, header("Cookie", "vmware_soap_session=1")},
		{"session of REST", "header vmware-api-session-id", 500, header(sessionHeader, "1")},
		{"token of OAuth", "header csp-auth-token", 500, header("csp-auth-token", "1")},
		{"empty Authorization", "header Authorization", 500, header("Authorization", "")},
		{"Security header", `the header "Security"`, 500, lookupMessage(`<Body>`, `<Header><Security xmlns="`+nsWSSE+`"/></Header><Body>`)},
		{"session in the message", `the header "vcSessionCookie"`, 500, lookupMessage(`<Body>`, `<Header><vcSessionCookie>1</vcSessionCookie></Header><Body>`)},
		{"second header", `the header "a"`, 500, lookupMessage(`<Body>`, `<Header><operationID>1</operationID><a/></Header><Body>`)},
		{"in operationID", `the header "operationID"`, 500, lookupMessage(`<Body>`, `<Header><operationID><a/></operationID></Header><Body>`)},
		{"text in the header", "text inside Header", 500, lookupMessage(`<Body>`, `<Header>a</Header><Body>`)},
		{"no SOAPAction", "SOAPAction", 500, header("SOAPAction")},
		{"empty SOAPAction", "SOAPAction", 500, header("SOAPAction", `""`)},
		{"SOAPAction of vSphere", "SOAPAction", 500, header("SOAPAction", "urn:vim25/8.0.3.0")},
		{"SOAPAction of another version", "SOAPAction", 500, header("SOAPAction", "urn:lookup/1.0")},
		{"SOAPAction twice", "SOAPAction", 500, header("SOAPAction", "urn:lookup/2.0", "urn:lookup/2.0")},
		{"SOAPAction with one quote", "SOAPAction", 500, header("SOAPAction", `"urn:lookup/2.0`)},
		{"not XML", "not well-formed", 500, lookupMessage(`<Envelope`, `Envelope`)},
		{"DOCTYPE", "DOCTYPE", 500, lookupMessage(`<Envelope`, `<!DOCTYPE a><Envelope`)},
		{"processing instruction", "processing instruction", 500, lookupMessage(`<Envelope`, `<?a?><Envelope`)},
		{"no envelope", "not a SOAP 1.1 envelope", 500, func(r *http.Request) { *r = *withBody(r, []byte(lookupRetrieve)) }},
		{"envelope of SOAP 1.2", "not a SOAP 1.1 envelope", 500, lookupMessage(nsSOAP, "http://www.w3.org/2003/05/soap-envelope")},
		{"no body", "no Body", 500, func(r *http.Request) { *r = *withBody(r, []byte(`<Envelope xmlns="`+nsSOAP+`"/>`)) }},
		{"two bodies", "unexpected Body", 500, lookupMessage(`</Body>`, `</Body><Body/>`)},
		{"empty body", "not one operation", 500, whole("")},
		{"two operations", "not one operation", 500, whole(lookupRetrieve + lookupRetrieve)},
		{"text in the body", "text inside Body", 500, whole("a" + lookupRetrieve)},
		{"operation of vSphere", "namespace", 500, lookupMessage("urn:lookup", "urn:vim25")},
		{"operation without namespace", "namespace", 500, lookupMessage("urn:lookup", "")},
		{"attribute of the operation", "unexpected attribute", 500, lookupMessage(`<RetrieveServiceContent `, `<RetrieveServiceContent a="b" `)},
		{"unknown operation", `"GetSiteId" is not an operation`, 500, whole(`<GetSiteId xmlns="urn:lookup">` + registrationThis + `</GetSiteId>`)},
		{"operation in lower case", `"list" is not an operation`, 500, whole(`<list xmlns="urn:lookup"/>`)},
		{"no _this", "no _this", 500, lookupMessage(lookupThis, "")},
		{"_this of vSphere", "_this is not", 500, lookupMessage("LookupServiceInstance", "ServiceInstance")},
		{"_this of another value", "_this is not", 500, lookupMessage(">ServiceInstance<", "> ServiceInstance<")},
		{"_this without type", "_this is not", 500, lookupMessage(` type="LookupServiceInstance"`, "")},
		{"_this with a comment", "_this is not", 500, lookupMessage(">ServiceInstance<", ">Service<!-- -->Instance<")},
		{"_this with an attribute", "unexpected attribute", 500, lookupMessage("<_this ", `<_this a="b" `)},
		{"_this without namespace", "no _this", 500, lookupMessage("<_this ", `<_this xmlns="" `)},
		{"argument too much", "unexpected a", 500, lookupMessage(lookupThis, lookupThis+"<a/>")},
		{"List of the wrong object", "_this is not", 500, whole(strings.Replace(lookupList(""), registrationThis, lookupThis, 1))},
		{"List without filter", "no filterCriteria", 500, whole(`<List xmlns="urn:lookup">` + registrationThis + `</List>`)},
		{"two filters", "unexpected filterCriteria", 500, filtered(`</filterCriteria><filterCriteria>`)},
		{"unknown criterion", "unexpected a", 500, filtered("<a/>")},
		{"criteria in another order", "unexpected nodeId", 500, filtered("<serviceType/><nodeId/>")},
		{"criterion twice", "unexpected siteId", 500, filtered("<siteId/><siteId/>")},
		{"text in the filter", "text inside filterCriteria", 500, filtered("a")},
		{"text in serviceType", "text inside serviceType", 500, filtered("<serviceType>a</serviceType>")},
		{"unknown in serviceType", "unexpected protocol", 500, filtered("<serviceType><protocol/></serviceType>")},
		{"order of endpointType", "unexpected protocol", 500, filtered("<endpointType><type/><protocol/></endpointType>")},
		{"element in siteId", "more than text", 500, filtered("<siteId><a/></siteId>")},
		{"comment in nodeId", "more than text", 500, filtered("<nodeId>a<!-- --></nodeId>")},
		{"element in product", "more than text", 500, filtered("<serviceType><product><a/></product></serviceType>")},
		{"element in type", "more than text", 500, filtered("<endpointType><type><a/></type></endpointType>")},
		{"attribute of the filter", "unexpected attribute", 500, whole(strings.Replace(lookupList(""), "<filterCriteria", `<filterCriteria a="b"`, 1))},
		{"attribute of siteId", "unexpected attribute", 500, filtered(`<siteId a="b"/>`)},
		{"attribute of serviceType", "unexpected attribute", 500, filtered(`<serviceType a="b"/>`)},
		{"attribute of type", "unexpected attribute", 500, filtered(`<endpointType><type a="b"/></endpointType>`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, r := newTestLookup(), lookupHTTP(lookupRetrieve)
			test.edit(r)
			w := serve(l, r)
			if w.Code != test.status || l.Refused() != 1 || len(l.Reasons()) != 1 || !strings.Contains(l.Reasons()[0], test.reason) {
				t.Fatalf("status %d, %s, reasons %q, want %d, %s", w.Code, w.Body, l.Reasons(), test.status, test.reason)
			}
			if isFault := strings.Contains(w.Body.String(), "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>"); isFault != (w.Code == 500) {
				t.Errorf("status %d, %s", w.Code, w.Body)
			}
		})
	}
}

func TestLookupOverHTTP(t *testing.T) {
	l := newTestLookup()
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/lookupservice/sdk", soapXML(lookupRetrieve), 200},
		{"POST", "/lookupservice/sdk/", soapXML(lookupRetrieve), 404},
		{"POST", "/lookupservice", soapXML(lookupRetrieve), 404},
		{"GET", "/lookupservice/sdk", "", 405},
		{"PUT", "/lookupservice/sdk", soapXML(lookupRetrieve), 405},
		{"POST", "/lookupservice/sdk", "", 500},
		{"POST", "/lookupservice/sdk", soapXML(lookupRetrieve) + strings.Repeat(" ", maxMessage-len(soapXML(lookupRetrieve))), 200},
		{"POST", "/lookupservice/sdk", strings.Repeat(" ", maxMessage+1) + soapXML(lookupRetrieve), 413}, // and what is behind is not read
	} {
		r := lookupHTTP("")
		r.Method, r.URL.Path, r.Body = test.method, test.path, io.NopCloser(strings.NewReader(test.body))
		if w := serve(l, r); w.Code != test.want {
			t.Errorf("%s %s, %d bytes: status %d, want %d", test.method, test.path, len(test.body), w.Code, test.want)
		}
	}
	if l.Calls("POST /lookupservice/sdk") != 2 || l.Calls("GET /lookupservice/sdk") != 1 || l.Calls("RetrieveServiceContent") != 2 || l.Refused() != 4 {
		t.Errorf("calls %d, %d, refused %d", l.Calls("POST /lookupservice/sdk"), l.Calls("RetrieveServiceContent"), l.Refused())
	}
}

func TestLookupInject(t *testing.T) {
	l := newTestLookup()
	l.Inject("List", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if w := serve(l, lookupHTTP(lookupRetrieve)); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	if w := serve(l, lookupHTTP(lookupList(""))); w.Code != http.StatusServiceUnavailable || l.Calls("List") != 1 {
		t.Errorf("status %d, calls %d", w.Code, l.Calls("List"))
	}
	l.Inject("", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		next.ServeHTTP(w, r)
	})
	if got := listed(t, l, ""); len(got) != 5 {
		t.Errorf("%d services", len(got))
	}
	l.Inject("", 0, nil)
	l.Inject("List", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", maxMessage+1)))
		next.ServeHTTP(w, r)
	})
	if w := serve(l, lookupHTTP(lookupList(""))); w.Code != http.StatusRequestEntityTooLarge || l.Refused() != 1 {
		t.Errorf("status %d, refused %d", w.Code, l.Refused())
	}
}
