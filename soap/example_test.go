package soap_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A solution user logs in with its certificate, and without a password.
func ExampleAuthenticator() {
	pair := vmssotest.NewKeyPair("backup", nil) // elsewhere tls.LoadX509KeyPair, or a key in an HSM
	server := vmssotest.Listen(vmssotest.NewVCenter(vmssotest.VCenterConfig{
		SolutionUsers: map[string]*x509.Certificate{"backup@vsphere.local": pair.Leaf},
	})) // instead of a vCenter
	defer server.Close()
	base := server.Transport()

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: server.URL, Certificate: &pair, Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: server.URL + "/sdk", Source: source, Auth: &soap.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	resp, err := client.Post(server.URL+"/sdk", "text/xml", strings.NewReader(
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25">`+
			`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}
