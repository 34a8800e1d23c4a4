package faults_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 47: the Lookup Service names a token service on another host. The password goes there only if the caller allows that host.
func TestPasswordGoesOnlyToHostsThatAreAllowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const elsewhere = "psc.example.test"
		l := newLab(t)
		other := vmssotest.NewSTS(vmssotest.STSConfig{Authority: authority(), Users: map[string]string{user: password}})
		l.net.Serve(elsewhere, other)
		services := vmssotest.NewLookup(vmssotest.LookupConfig{Services: vmssotest.LookupServices("https://" + elsewhere)})
		mux := http.NewServeMux()
		mux.Handle("/", l.vcenter)
		mux.Handle("/lookupservice/", services)
		l.net.Serve(vcHost, mux)

		ask := func(allow func(string) bool) (*lookup.Endpoints, error) {
			c, err := lookup.New(lookup.Config{URL: vcURL, Base: l.base, AllowHost: allow})
			if err != nil {
				t.Fatal(err)
			}
			return c.Endpoints(t.Context())
		}
		if e, err := ask(nil); err == nil || !strings.Contains(err.Error(), elsewhere) {
			t.Errorf("nothing allowed: %+v, error %v, want one that names the host", e, err)
		}
		if e, err := ask(func(host string) bool { return host == "another.example.test" }); err == nil {
			t.Errorf("another host allowed: %+v", e)
		}
		if other.Requests() != 0 {
			t.Fatalf("%d requests to the other host", other.Requests())
		}
		e, err := ask(func(host string) bool { return host == elsewhere })
		if err != nil {
			t.Fatal(err)
		}
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{URL: e.STS}))
		must(t, currentTime, c)
		if other.Issued() != 1 || l.sts.Requests() != 0 {
			t.Errorf("%d tokens of the other host, %d requests to the own one, want 1 and 0", other.Issued(), l.sts.Requests())
		}
		if services.Refused() != 0 {
			t.Errorf("the Lookup Service refused: %q", services.Reasons())
		}
		expect(t, l.vsphere, 1, 1)
	})
}
