package bench_test

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// BenchmarkLoopback is a request over TLS on the loopback interface. Limit: the
// base transport alone.
func BenchmarkLoopback(b *testing.B) {
	authority := rig.Authority()
	server := vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: []*x509.Certificate{authority.Certificate()}}))
	defer server.Close()
	base := server.Transport()
	defer base.CloseIdleConnections()
	tr := rig.NewTransport(b, vmsso.Config{Endpoint: server.URL, Auth: &automation.Authenticator{}, Base: base, Source: tokensource.Static(rig.Token())})
	s, err := tr.Session(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	through := func(rt http.RoundTripper) func() error {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/api/vcenter/vm", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header = s.Header.Clone()
		return func() error {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
	}
	rig.Each(b, "limit:base", through(base))
	rig.Against(b, "vmsso", through(base), through(tr))
}
