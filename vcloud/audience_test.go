package vcloud_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// A token that the token service issued for the organization's entity ID logs in;
// one for somebody else, or for nobody in particular, does not.
func TestTokenForTheOrganizationLogsIn(t *testing.T) {
	pair := rsaPair()
	for _, tc := range []struct {
		name      string
		audience  []string
		appliesTo string
		ok        bool
	}{
		{"by its entity ID", []string{entityID}, "", true},
		{"by AppliesTo", nil, entityID, true},
		{"among others", []string{"urn:a", entityID}, "", true},
		{"for somebody else", []string{"urn:a"}, "", false},
		{"for the host", []string{host}, "", false},
		{"for nobody in particular", nil, "", false},
	} {
		for kind, cfg := range map[string]tokensource.STSConfig{
			"bearer":        {Username: user, Password: "s3cr3t"},
			"holder-of-key": {Username: user, Password: "s3cr3t", Certificate: &pair},
			"ActAs":         {Certificate: &pair},
		} {
			t.Run(tc.name+", "+kind, func(t *testing.T) {
				l := newLab(t, vmssotest.DirectorConfig{})
				sts := vmssotest.NewSTS(vmssotest.STSConfig{
					Authority: authority(), Users: map[string]string{user: "s3cr3t"}, SolutionUsers: map[string]*x509.Certificate{"solution": pair.Leaf},
				})
				net := vmssotest.NewNetwork()
				net.Serve("vc.example.test", sts)
				base := net.Transport()
				t.Cleanup(func() {
					base.CloseIdleConnections()
					net.Close()
				})
				source := func(cfg tokensource.STSConfig) *tokensource.STS {
					cfg.URL, cfg.Base = "https://vc.example.test", base
					s, err := tokensource.NewSTS(cfg)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				if kind == "ActAs" {
					cfg.ActAs = source(tokensource.STSConfig{Username: user, Password: "s3cr3t"})
				}
				cfg.Audience, cfg.AppliesTo = tc.audience, tc.appliesTo
				c, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: host, Source: source(cfg), Auth: &vcloud.Authenticator{Org: "Finance"}, Base: l.base})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { tr.Close() })
				status, text, err := do(t.Context(), c, "GET", "/api/org", nil, nil)
				switch {
				case tc.ok && (err != nil || status != 200 || l.logins[0].Subject != user):
					t.Errorf("status %d, %v, %.200s; the servers say %q and %q", status, err, text, sts.Reasons(), l.server.Reasons())
				case !tc.ok && (!errors.Is(err, vmsso.ErrRejected) || !strings.Contains(strings.Join(l.server.Reasons(), ""), "assertion is for")):
					t.Errorf("got status %d, %v, want a refusal for the audience; the server says %q", status, err, l.server.Reasons())
				}
			})
		}
	}
}
