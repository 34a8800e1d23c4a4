package soap_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
)

// Answers as vcsim and vCenter write them.
const (
	notAuthenticated = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>The session is not authenticated.</faultstring><detail><NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"><object type="Folder">group-d1</object><privilegeId>System.View</privilegeId></NotAuthenticatedFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`
	invalidLogin = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>ServerFaultCode</faultcode><faultstring>NotAuthenticated is only mentioned here</faultstring><detail><InvalidLoginFault xmlns="urn:vim25"/></detail></Fault></Body></Envelope>`
	objectGone   = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>ServerFaultCode</faultcode><detail><ManagedObjectNotFoundFault xmlns="urn:vim25"><obj type="ContainerView">%s</obj></ManagedObjectNotFoundFault></detail></Fault></Body></Envelope>`
	missingSet   = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><objects><obj type="Folder">group-d1</obj><missingSet><path>name</path><fault><fault xmlns:XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance" XMLSchema-instance:type="NotAuthenticated"><privilegeId>System.View</privilegeId></fault><localizedMessage></localizedMessage></fault></missingSet></objects></returnval></RetrievePropertiesExResponse></Body></Envelope>`
	propSet      = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><objects><propSet><name>name</name><val>x</val></propSet><missingSet><path>name</path><fault><fault xsi:type="NotAuthenticated"/></fault></missingSet></objects></returnval></RetrievePropertiesExResponse></Body></Envelope>`
)

func TestExpired(t *testing.T) {
	const xml = `text/xml; charset="utf-8"`
	for _, tc := range []struct {
		name   string
		status int
		typ    string
		body   string
		want   vmsso.Verdict
	}{
		{"fault NotAuthenticated", 500, xml, notAuthenticated, vmsso.Yes},
		{"with upper case type", 500, "Text/XML", notAuthenticated, vmsso.Yes},
		{"another fault that mentions it", 500, xml, invalidLogin, vmsso.No},
		{"object of a session", 500, xml, strings.Replace(objectGone, "%s", "session[52a]52b", 1), vmsso.Perhaps},
		{"another object", 500, xml, strings.Replace(objectGone, "%s", "vm-12", 1), vmsso.No},
		{"missingSet", 200, xml, missingSet, vmsso.Perhaps},
		{"missingSet of NoPermission", 200, xml, strings.ReplaceAll(missingSet, "NotAuthenticated", "NoPermission"), vmsso.No},
		{"a propSet before it", 200, xml, propSet, vmsso.No},
		{"far behind the first bytes", 200, xml, strings.Repeat(" ", 4096) + missingSet, vmsso.No},
		{"a success that carries the text", 200, xml, `<a><val>NotAuthenticatedFault type="NotAuthenticated"</val></a>`, vmsso.No},
		{"not XML", 500, "text/html", notAuthenticated, vmsso.No},
		{"file service", 401, "text/html", "", vmsso.Yes},
		{"forbidden", 403, xml, notAuthenticated, vmsso.No},
		{"empty", 500, xml, "", vmsso.No},
	} {
		for _, zipped := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				wire := []byte(tc.body)
				resp := &http.Response{StatusCode: tc.status, Header: http.Header{"Content-Type": {tc.typ}}}
				if zipped {
					var b bytes.Buffer
					z := gzip.NewWriter(&b)
					_, _ = z.Write(wire)
					z.Close()
					wire = b.Bytes()
					resp.Header.Set("Content-Encoding", "gzip")
				}
				body := &closeCounter{Reader: bytes.NewReader(wire)}
				resp.Body = body
				if got := (&soap.Authenticator{}).Expired(resp); got != tc.want && !(zipped && len(tc.body) > 4000) {
					t.Errorf("zipped %t: verdict %v, want %v", zipped, got, tc.want)
				}
				read, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(read, wire) || body.closed != 1 {
					t.Errorf("zipped %t: the body changed (error %v), or was closed %d times", zipped, err, body.closed)
				}
			})
		}
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestErrorOfTheAnswersBodyReachesTheCaller(t *testing.T) {
	boom := errors.New("boom")
	resp := &http.Response{StatusCode: 500, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(io.MultiReader(strings.NewReader("<a>"), failing{boom}))}
	(&soap.Authenticator{}).Expired(resp)
	if b, err := io.ReadAll(resp.Body); string(b) != "<a>" || err != boom {
		t.Errorf("read %q and %v, want all and the error", b, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestClassify(t *testing.T) {
	pc := `<_this type="PropertyCollector">propertyCollector</_this>`
	for _, tc := range []struct {
		method, path string
		head         string
		want         vmsso.Class
	}{
		{"GET", "/sdk/vimServiceVersions.xml", "", vmsso.Anonymous},
		{"GET", "/sdk/vimService.wsdl", "", vmsso.Anonymous},
		{"POST", "/sts/STSService/vsphere.local", message("Anything", ""), vmsso.Anonymous},
		{"POST", "/lookupservice/sdk", message("List", ""), vmsso.Anonymous},
		{"POST", "/sso-adminserver/sdk/vsphere.local", message("Login", ""), vmsso.Anonymous},
		{"POST", "/sdk", message("RetrieveServiceContent", serviceInstance), vmsso.Anonymous},
		{"POST", "/sdk", message("CurrentTime", serviceInstance), vmsso.Normal},
		{"GET", "/folder/x.vmx", "", vmsso.Normal},
		{"POST", "/api/vcenter/vm", `{"Login":1}`, vmsso.Normal},
		{"POST", "/sdk", message("Login", ""), vmsso.OwnLogin},
		{"POST", "/sdk", message("LoginByToken", ""), vmsso.OwnLogin},
		{"POST", "/sdk", message("LoginExtensionByCertificate", ""), vmsso.OwnLogin},
		{"POST", "/sdk", message("CloneSession", ""), vmsso.OwnLogin},
		{"POST", "/sdk", message("AcquireCloneTicket", ""), vmsso.Normal},
		{"POST", "/sdk", message("Logout", ""), vmsso.OwnLogout},
		{"POST", "/sdk", `<s:Envelope xmlns:s="x"><s:Header><a><Login/></a></s:Header><!-- <Body> --><s:Body><v:Logout xmlns:v="urn:vim25"/></s:Body></s:Envelope>`, vmsso.OwnLogout},
		{"POST", "/sdk", message("WaitForUpdatesEx", pc), vmsso.Normal},
		{"POST", "/sdk", message("WaitForUpdatesEx", pc+`<version></version>`), vmsso.Normal},
		{"POST", "/sdk", message("WaitForUpdatesEx", pc+`<version/>`), vmsso.Normal},
		{"POST", "/sdk", message("WaitForUpdatesEx", pc+`<version>1</version>`), vmsso.SessionBound},
		{"POST", "/sdk", message("CheckForUpdates", pc+`<v:version>1</v:version>`), vmsso.SessionBound},
		{"POST", "/sdk", message("ContinueRetrievePropertiesEx", pc+`<token>0</token>`), vmsso.SessionBound},
		{"POST", "/sdk", message("DestroyView", `<_this type="ContainerView">session[52a]52b</_this>`), vmsso.SessionBound},
		{"POST", "/sdk", message("RetrievePropertiesEx", pc+`<obj type="ContainerView">session[52a]52b</obj>`), vmsso.SessionBound},
	} {
		req, err := http.NewRequest(tc.method, "https://vc.example.test"+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var head []byte
		if tc.head != "" {
			head = []byte(tc.head)
		}
		if got := (&soap.Authenticator{}).Classify(req, head); got != tc.want {
			t.Errorf("%s %s %.150s: class %d, want %d", tc.method, tc.path, tc.head, got, tc.want)
		}
	}
}

func FuzzExpiredLeavesTheBodyAsItIs(f *testing.F) {
	for _, s := range []string{notAuthenticated, invalidLogin, objectGone, missingSet, propSet, ""} {
		f.Add(true, []byte(s))
		f.Add(false, []byte(s))
	}
	f.Fuzz(func(t *testing.T, ok bool, body []byte) {
		resp := &http.Response{StatusCode: 500, Header: http.Header{"Content-Type": {"text/xml"}, "Content-Encoding": {"gzip"}}, Body: io.NopCloser(bytes.NewReader(body))}
		if ok {
			resp.StatusCode = 200
		}
		a := &soap.Authenticator{}
		a.Expired(resp)
		req, _ := http.NewRequest("POST", "https://vc.example.test/sdk", nil)
		a.Classify(req, body)
		if read, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(read, body) {
			t.Errorf("read %q and %v, want %q", read, err, body)
		}
	})
}
