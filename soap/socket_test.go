package soap_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestOverRealSockets: sockets, TLS, HTTP/1.1 and HTTP/2, many goroutines, long
// uploads that the server refuses before it has read them.
func TestOverRealSockets(t *testing.T) {
	upload := make([]byte, 900<<10)
	_, _ = rand.Read(upload)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			vsphere := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}})
			server := vmssotest.Listen(vsphere)
			defer server.Close()
			base := server.Transport()
			defer base.CloseIdleConnections()
			if protocol == "HTTP/1.1" {
				base.ForceAttemptHTTP2 = false
				base.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
			}
			c, tr, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
				Endpoint: server.URL, Source: tokensource.Static(holderOfKey(rsaPair())), Auth: &soap.Authenticator{},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			do := func(method, path, typ string, body io.Reader) *http.Response {
				req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, body)
				if err != nil {
					t.Error(err)
					return nil
				}
				req.Header.Set("Content-Type", typ)
				req.Header.Set("SOAPAction", "urn:vim25/8.0.3.0")
				resp, err := c.Do(req)
				if err != nil {
					t.Error(err)
					return nil
				}
				resp.Body.Close()
				if resp.Proto != protocol {
					t.Errorf("the answer came by %s", resp.Proto)
				}
				return resp
			}
			for round := 1; round <= 3; round++ {
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						if resp := do("PUT", "/folder/disk.vmdk", "application/octet-stream", hidden{bytes.NewReader(upload)}); resp != nil && resp.StatusCode != http.StatusCreated {
							t.Errorf("upload: %s", resp.Status)
						}
					})
					wg.Go(func() {
						if resp := do("POST", "/sdk", "text/xml", hidden{strings.NewReader(message("CurrentTime", serviceInstance))}); resp != nil && resp.StatusCode != 200 {
							t.Errorf("CurrentTime: %s", resp.Status)
						}
					})
				}
				wg.Wait()
				if vsphere.Logins() != round || vsphere.Sessions() != 1 {
					t.Errorf("round %d: %d logins, %d sessions", round, vsphere.Logins(), vsphere.Sessions())
				}
				vsphere.Kill()
			}
		})
	}
}

// hidden keeps net/http from finding out how to read a body again.
type hidden struct{ io.Reader }
