package vmssogovmomi_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestStrictVCenter verifies every token and signature, and has its token service
// on the same host. Its sessions end; one token is enough for all logins.
func TestStrictVCenter(t *testing.T) {
	machine := vmssotest.NewKeyPair("backup", nil)
	for name, cfg := range map[string]tokensource.STSConfig{
		"bearer":        {Username: "alice@vsphere.local", Password: "known to alice"},
		"holder-of-key": {Certificate: &machine},
	} {
		t.Run(name, func(t *testing.T) {
			v := vmssotest.NewVCenter(vmssotest.VCenterConfig{
				Authority:     authority(),
				Users:         map[string]string{"alice@vsphere.local": "known to alice"},
				SolutionUsers: map[string]*x509.Certificate{"backup": machine.Leaf},
			})
			server := vmssotest.Listen(v)
			t.Cleanup(server.Close)
			base := server.Transport()
			t.Cleanup(base.CloseIdleConnections)
			cfg.URL, cfg.Base = server.URL+"/sts/STSService", base
			sts, err := tokensource.NewSTS(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c := soap.NewClient(parse(t, server.URL+"/sdk"), false)
			t.Cleanup(c.CloseIdleConnections)
			if err := c.SetRootCAs(writePEM(t, server.Certificate())); err != nil {
				t.Fatal(err)
			}
			transports := attach(t, c, vmsso.Config{Source: sts})
			vc, err := vim25.NewClient(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			api := rest.NewClient(vc)
			for range 2 {
				v.Kill()
				var vms []struct{ Name string }
				err := api.Do(t.Context(), api.Resource("/api/vcenter/vm").Request(http.MethodGet), &vms)
				_, soapErr := methods.GetCurrentTime(t.Context(), vc)
				if err := errors.Join(some(len(vms), err), soapErr); err != nil {
					t.Error(err)
				}
			}
			if v.Logins() != 4 || v.STS.Issued() != 1 {
				t.Errorf("%d logins with %d tokens, want 4 with 1", v.Logins(), v.STS.Issued())
			}
			if err := transports.Close(); err != nil || v.Sessions() != 0 {
				t.Errorf("Close: %v, and %d sessions are left", err, v.Sessions())
			}
		})
	}
}

// TestReadmeShowsTheExample: what it shows compiles.
func TestReadmeShowsTheExample(t *testing.T) {
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(example), "Path: \"/sdk\"}\n\n")
	code, _, ok := strings.Cut(code, "\n}\n")
	code = strings.ReplaceAll(strings.TrimPrefix(code, "\t"), "\n\t", "\n")
	if !ok || !strings.Contains(string(readme), "```go\n"+code+"\n```") {
		t.Errorf("README.md does not hold word for word\n%s", code)
	}
}
