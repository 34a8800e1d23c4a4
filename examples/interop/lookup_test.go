package interop_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/lookup"
)

// The Lookup Service of vcsim knows the STS and the SOAP API, but not vSphere
// Automation, for which the well-known URL stands. The URL of the SOAP API has
// the path /sdk/sdk, where nothing is: vcsim adds the path to a URL that has it.

func TestInteropLookup(t *testing.T) {
	v := newVcsim(t)
	for _, url := range []string{v.url, v.url + "/lookupservice/sdk"} {
		client, err := lookup.New(lookup.Config{URL: url, Base: v.transport})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Endpoints(t.Context())
		want := lookup.Endpoints{Automation: v.url + "/api", STS: v.url + "/sts/STSService/vsphere.local", Vim: v.url + "/sdk/sdk"}
		if err != nil || *got != want {
			t.Errorf("%s: got %+v, %v; want %+v", url, got, err, want)
		}
	}
}

// TestInteropLookupOfAnotherHost: vcsim is asked by a name, and registers its
// services by its address. They are not used unless that is allowed.
func TestInteropLookupOfAnotherHost(t *testing.T) {
	v := newVcsim(t)
	address := strings.TrimPrefix(v.url, "https://")
	byName := v.transport.Clone()
	byName.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(byName.CloseIdleConnections)

	const url = "https://example.com" // is in the certificate
	endpoints := func(base http.RoundTripper, allow func(string) bool) (*lookup.Endpoints, error) {
		client, err := lookup.New(lookup.Config{URL: url, Base: base, AllowHost: allow})
		if err != nil {
			t.Fatal(err)
		}
		return client.Endpoints(t.Context())
	}
	if got, err := endpoints(byName, nil); err == nil || !strings.Contains(err.Error(), "AllowHost") || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v, %v; want an error that says %s and AllowHost", got, err, address)
	}
	got, err := endpoints(byName, func(host string) bool { return host == address })
	want := lookup.Endpoints{Automation: url + "/api", STS: v.url + "/sts/STSService/vsphere.local", Vim: v.url + "/sdk/sdk"}
	if err != nil || *got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
