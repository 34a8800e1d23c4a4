package vmssotest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/vmssotest"
)

// A test of a program that logs in to a vCenter begins like this. The program gets
// the URL, and a transport that trusts the server.
func ExampleNewVCenter() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := vmssotest.Listen(vcenter)
	defer server.Close()

	client := &http.Client{Transport: server.Transport()}
	resp, err := client.Get(server.URL + "/api/vcenter/vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, vcenter.Logins())
	// Output: 401 Unauthorized 0
}

func TestEachServiceOfAVCenterHasItsPath(t *testing.T) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter)
	defer server.Close()
	base := server.Transport()
	defer base.CloseIdleConnections()
	const (
		soapMessage = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>%s</Body></Envelope>`
		list        = `<List xmlns="urn:lookup"><_this type="LookupServiceRegistration">ServiceRegistration</_this><filterCriteria></filterCriteria></List>`
		content     = `<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>`
	)
	for _, tc := range []struct {
		method, path, body, want string
	}{
		{"GET", "/api/vcenter/vm", "", "UNAUTHENTICATED"},
		{"POST", "/api", "{}", "jsonrpc"},
		{"GET", "/rest/vcenter/vm", "", "unauthenticated"},
		{"POST", "/sdk", fmt.Sprintf(soapMessage, content), "RetrieveServiceContentResponse"},
		{"POST", "/sts/STSService/vsphere.local", fmt.Sprintf(soapMessage, content), "Fault"},
		{"POST", "/lookupservice/sdk", fmt.Sprintf(soapMessage, list), server.URL + "/sts/STSService/vsphere.local"},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/xml; charset=utf-8")
			if strings.HasPrefix(tc.path, "/lookupservice") {
				req.Header.Set("SOAPAction", "urn:lookup/2.0")
			}
			if strings.HasPrefix(tc.body, "{") {
				req.Header.Set("Content-Type", "application/json")
			}
			resp, err := base.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), tc.want) {
				t.Errorf("got %s %s, want it to contain %q", resp.Status, got, tc.want)
			}
		})
	}
}

// Two vCenters of one SSO domain accept the tokens of its authority, and nobody else's.
func TestVCentersOfOneDomainTrustOneAuthority(t *testing.T) {
	authority := vmssotest.NewAuthority()
	one, two := vmssotest.NewVCenter(vmssotest.VCenterConfig{Authority: authority}), vmssotest.NewVCenter(vmssotest.VCenterConfig{Authority: authority})
	stranger := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	token := authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})
	for _, tc := range []struct {
		name    string
		vcenter *vmssotest.VCenter
		logins  int
	}{{"one", one, 1}, {"two", two, 1}, {"of another domain", stranger, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/api/session", nil)
			r.Header.Set("Authorization", `SIGN token="`+packed(token)+`"`)
			tc.vcenter.ServeHTTP(httptest.NewRecorder(), r)
			if n := tc.vcenter.Logins(); n != tc.logins {
				t.Errorf("%d logins, want %d", n, tc.logins)
			}
			if n := tc.vcenter.Sessions(); n != tc.logins {
				t.Errorf("%d sessions, want %d", n, tc.logins)
			}
			if n := tc.vcenter.Kill(); n != tc.logins || tc.vcenter.Sessions() != 0 {
				t.Errorf("Kill ended %d sessions and left %d, want %d and 0", n, tc.vcenter.Sessions(), tc.logins)
			}
		})
	}
	if one.Authority != authority || stranger.Authority == nil {
		t.Error("Authority is not the one in use")
	}
}

// packed is a token as it stands in a SIGN header.
func packed(token string) string {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, _ = zip.Write([]byte(token))
	_ = zip.Close()
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}
