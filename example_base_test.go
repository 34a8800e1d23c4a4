package vmsso_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// The base transport decides whom to trust. Here it trusts a CA that the system
// does not know, and goes through a proxy.
func Example_caAndProxy() {
	caPEM := []byte("-----BEGIN CERTIFICATE-----\n…") // of vCenter: https://vcenter.example.com/certs/download.zip

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(caPEM)
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots}
	base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example.com:3128"})

	cfg := vmsso.Config{Base: base} // and in STSConfig.Base
	fmt.Println(cfg.Base != nil)
	// Output: true
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
