package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// pinned returns a base that trusts the server whose certificate has this SHA-256
// thumbprint, and no other; README.md of the examples shows it.
func pinned(thumbprint string) (base *http.Transport, err error) {
	base = http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig, err = vmsso.PinCertificate(nil, thumbprint)
	return base, err
}

func TestPinnedBase(t *testing.T) {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := vmssotest.Listen(vcenter)
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	for _, tc := range []struct {
		name, thumbprint string
		want             error
		logins           int
	}{
		{"another certificate", strings.Repeat("ab", sha256.Size), vmsso.ErrTLSIdentity, 0},
		{"the vCenter's certificate", hex.EncodeToString(sum[:]), nil, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, err := pinned(tc.thumbprint)
			if err != nil {
				t.Fatal(err)
			}
			defer base.CloseIdleConnections()
			if err := callAll(t, server.URL, base); !errors.Is(err, tc.want) || vcenter.Logins() != tc.logins {
				t.Errorf("got %v with %d logins, want %v with %d", err, vcenter.Logins(), tc.want, tc.logins)
			}
		})
	}
}

func callAll(t *testing.T, url string, base http.RoundTripper) error {
	client, routes, err := newClient(t.Context(), url, tokensource.STSConfig{Username: "alice@vsphere.local", Password: "secret", Base: base})
	if err != nil {
		return err
	}
	for _, c := range calls() {
		err = errors.Join(err, c.do(t.Context(), client, url))
	}
	return errors.Join(err, routes.Close())
}
