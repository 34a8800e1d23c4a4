package interop_test

import (
	"crypto"
	"net/http"
	"slices"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestInteropSTS: the token service of vcsim looks at nothing and issues one
// bearer token to all, a vCenter's of 2018, with a new lifetime around it. That
// token was signed by another implementation than ours, and each of the two APIs
// takes it.
func TestInteropSTS(t *testing.T) {
	v := newVcsim(t)
	pair := vmssotest.NewKeyPair("solution", nil)
	authority := vmssotest.NewAuthority()
	holder := tokensource.Static(&vmsso.Token{
		Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local", Holder: pair.Leaf}),
		Key:       pair.PrivateKey.(crypto.Signer),
	})
	person := tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "bob@vsphere.local"})})
	for name, tc := range map[string]struct {
		cfg  tokensource.STSConfig
		want []string // what the second login asks for, too
	}{
		"password":                 {tokensource.STSConfig{Username: "alice@vsphere.local", Password: "any"}, []string{"Issue", "Issue"}},
		"certificate":              {tokensource.STSConfig{Certificate: &pair}, []string{"Issue", "Renew"}},
		"password and certificate": {tokensource.STSConfig{Username: "alice@vsphere.local", Password: "any", Certificate: &pair}, []string{"Issue", "Renew"}},
		"token":                    {tokensource.STSConfig{Token: holder}, []string{"Issue", "Issue"}},
		"ActAs":                    {tokensource.STSConfig{Certificate: &pair, ActAs: person, Audience: []string{"urn:a"}}, []string{"Issue", "Renew"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := &actions{base: v.transport}
			tc.cfg.URL, tc.cfg.Base, tc.cfg.Renewable = v.url+"/sts/STSService/vsphere.local", asked, true
			source, err := tokensource.NewSTS(tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			for api, auth := range map[string]vmsso.Authenticator{"SOAP": &soap.Authenticator{}, "Automation": &automation.Authenticator{}} {
				transport, err := vmsso.New(vmsso.Config{Endpoint: v.url, Source: source, Auth: auth, Base: v.transport})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := transport.Session(t.Context()); err != nil {
					t.Errorf("%s: %v", api, err)
				}
				if err := transport.Close(); err != nil {
					t.Errorf("%s: Close: %v", api, err)
				}
			}
			if !slices.Equal(asked.list, tc.want) {
				t.Errorf("asked for %v, want %v", asked.list, tc.want)
			}
		})
	}
}

// actions notes what the token service is asked for, one at a time.
type actions struct {
	base http.RoundTripper
	list []string
}

func (a *actions) RoundTrip(req *http.Request) (*http.Response, error) {
	const action = `"http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/`
	a.list = append(a.list, req.Header.Get("SOAPAction")[len(action):len(action)+5])
	return a.base.RoundTrip(req)
}
