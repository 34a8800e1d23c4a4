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

// A base transport that trusts one certificate, known by its SHA-256
// thumbprint. VerifyConnection also runs behind a proxy, and on connections
// that resume a TLS session.
func Example_thumbprint() {
	server := vmssotest.Listen(http.NotFoundHandler())
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	thumbprint := hex.EncodeToString(sum[:]) // from your configuration

	pinned := func(thumbprint string) *http.Transport {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.TLSClientConfig = &tls.Config{
			InsecureSkipVerify: true, // VerifyConnection verifies instead
			VerifyConnection: func(c tls.ConnectionState) error {
				sum := sha256.Sum256(c.PeerCertificates[0].Raw)
				if got := hex.EncodeToString(sum[:]); got != strings.ToLower(strings.ReplaceAll(thumbprint, ":", "")) {
					return fmt.Errorf("%w: its thumbprint is %s", vmsso.ErrTLSIdentity, got)
				}
				return nil
			},
		}
		return base
	}
	for _, t := range []string{thumbprint, strings.Repeat("00:", 31) + "00"} {
		base := pinned(t)
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
