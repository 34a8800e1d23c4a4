package vmsso_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// The base transport decides whom to trust. Here it trusts a CA that the system
// does not know, and goes through a proxy where the environment names one.
func Example_caAndProxy() {
	server := vmssotest.Listen(http.NotFoundHandler())
	defer server.Close()
	// Of a vCenter: os.ReadFile of what https://vcenter.example.com/certs/download.zip has.
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		fmt.Println("the file has no certificate")
		return
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots}
	base.Proxy = http.ProxyFromEnvironment // or http.ProxyURL

	client := &http.Client{Transport: base} // base is for vmsso.Config.Base, and for STSConfig.Base
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 404 Not Found
}

// A base transport that trusts one certificate, known by its SHA-256 thumbprint.
func ExamplePinCertificate() {
	server := vmssotest.Listen(http.NotFoundHandler())
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	thumbprint := hex.EncodeToString(sum[:]) // from your configuration

	for _, t := range []string{thumbprint, strings.Repeat("00:", 31) + "00"} {
		base := http.DefaultTransport.(*http.Transport).Clone()
		var err error
		if base.TLSClientConfig, err = vmsso.PinCertificate(base.TLSClientConfig, t); err != nil {
			fmt.Println(err)
			return
		}
		resp, err := (&http.Client{Transport: base}).Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		fmt.Println("answered:", err == nil, "refused:", errors.Is(err, vmsso.ErrTLSIdentity))
		base.CloseIdleConnections()
	}
	// Output:
	// answered: true refused: false
	// answered: false refused: true
}
