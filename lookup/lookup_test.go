package lookup_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	own   = "https://vc.example.test"
	other = "https://psc.example.test:7444"
	third = "https://vc2.example.test"
)

// serve serves a Lookup Service at vc.example.test.
func serve(t *testing.T, services ...vmssotest.LookupService) (*vmssotest.Lookup, http.RoundTripper) {
	t.Helper()
	l := vmssotest.NewLookup(vmssotest.LookupConfig{Services: services})
	net := vmssotest.NewNetwork()
	net.Serve("vc.example.test", l)
	base := net.Transport()
	t.Cleanup(func() {
		base.CloseIdleConnections()
		net.Close()
	})
	return l, base
}

func TestEndpointsAreThoseThatAreRegistered(t *testing.T) {
	all := func(origins ...string) (list []vmssotest.LookupService) {
		for _, origin := range origins {
			list = append(list, vmssotest.LookupServices(origin)...)
		}
		return list
	}
	at := func(origin string) lookup.Endpoints {
		return lookup.Endpoints{Automation: origin + "/api", STS: origin + "/sts/STSService/vsphere.local", Vim: origin + "/sdk"}
	}
	anyHost := func(string) bool { return true }
	for _, tc := range []struct {
		name     string
		services []vmssotest.LookupService
		allow    func(string) bool
		want     lookup.Endpoints
		say      string // of the error
	}{
		{"one vCenter", all(own), nil, at(own), ""},
		{"the own host comes first", all(other, third, own), anyHost, at(own), ""},
		{"the own host on another port", all("https://VC.example.test:7444"), nil, at("https://VC.example.test:7444"), ""},
		{"another host", all(other), nil, lookup.Endpoints{}, "https://psc.example.test:7444/api"},
		{"another host that is allowed", all(third, other), func(host string) bool { return host == "psc.example.test:7444" }, at(other), ""},
		{"the first of those that are allowed", all(third, other), anyHost, at(third), ""},
		{"others that are not allowed", all(third, other), func(host string) bool { return false }, lookup.Endpoints{}, "AllowHost"},
		{"the STS on another host", append(all(own)[1:], all(other)[0]), func(host string) bool { return host == "psc.example.test:7444" },
			lookup.Endpoints{Automation: own + "/api", STS: other + "/sts/STSService/vsphere.local", Vim: own + "/sdk"}, ""},
		{"plain http", all("http://vc.example.test"), anyHost, lookup.Endpoints{}, "no https URL"},
		{"a password in the URL", all("https://a:b@vc.example.test"), anyHost, lookup.Endpoints{}, "no https URL"},
		{"nothing registered", nil, nil, lookup.WellKnown("vc.example.test"), ""},
		{"no Automation", append(all(own)[:1], all(own)[2:]...), nil, at(own), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, base := serve(t, tc.services...)
			c, err := lookup.New(lookup.Config{URL: own, Base: base, AllowHost: tc.allow})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Endpoints(t.Context())
			if tc.say != "" {
				if err == nil || got != nil || !strings.Contains(err.Error(), tc.say) {
					t.Errorf("got %v, %v, want an error that says %q", got, err, tc.say)
				}
			} else if err != nil || *got != tc.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
			if server.Refused() != 0 || server.Calls("List") == 0 {
				t.Errorf("refused: %q; %d lists", server.Reasons(), server.Calls("List"))
			}
		})
	}
}

// A service has several endpoints, and not every Lookup Service leaves out those
// that were not asked for.
func TestEndpointOfAnotherTypeIsNotTaken(t *testing.T) {
	endpoint := func(path, protocol, kind string) string {
		return "<serviceEndpoints><url>" + own + path + "</url><endpointType><protocol>" + protocol + "</protocol><type>" + kind + "</type></endpointType></serviceEndpoints>"
	}
	all := "<returnval><serviceVersion>1</serviceVersion>" + endpoint("/ui", "https", "com.vmware.vim") + endpoint("/other", "vmomi", "com.vmware.other") + endpoint("/right", "vmomi", "com.vmware.vim") + "</returnval>"
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		body := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><ListResponse xmlns="urn:lookup">` + all + `</ListResponse></s:Body></s:Envelope>`
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})
	c, err := lookup.New(lookup.Config{URL: own, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Endpoints(t.Context())
	if want := (lookup.Endpoints{Automation: own + "/api", STS: own + "/sts/STSService", Vim: own + "/right"}); err != nil || *got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestWellKnownURLs(t *testing.T) {
	want := lookup.Endpoints{Automation: "https://vc.example.test:8443/api", STS: "https://vc.example.test:8443/sts/STSService", Vim: "https://vc.example.test:8443/sdk"}
	if got := lookup.WellKnown("vc.example.test:8443"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWithoutALookupServiceTheWellKnownURLsAreUsed(t *testing.T) {
	for _, tc := range []struct {
		status int
		typ    string
		body   string
		say    string // "": no error
	}{
		{404, "text/html", "<html>not found", ""},
		{503, "text/html", "<html>busy", "HTTP 503"},
		{200, "text/html", "<html>log in", "is this URL right"},
		{500, "text/xml", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>ServerFaultCode</faultcode><faultstring>broken</faultstring></s:Fault></s:Body></s:Envelope>`, "broken"},
	} {
		base := roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: tc.status, Header: http.Header{"Content-Type": {tc.typ}}, Body: io.NopCloser(strings.NewReader(tc.body)), Request: req}, nil
		})
		c, err := lookup.New(lookup.Config{URL: own, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Endpoints(t.Context())
		var le *vmsso.LoginError
		switch {
		case tc.say == "":
			if err != nil || *got != lookup.WellKnown("vc.example.test") {
				t.Errorf("%d: got %v, %v, want the well-known URLs", tc.status, got, err)
			}
		case got != nil || !errors.As(err, &le) || !strings.Contains(err.Error(), tc.say) || !strings.Contains(err.Error(), "find the endpoints of vc.example.test"):
			t.Errorf("%d: got %v, %v, want a LoginError that says %q", tc.status, got, err, tc.say)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestURLsThatCannotBeAskedAreRefused(t *testing.T) {
	for _, bad := range []string{"", "vc.example.test", "http://vc.example.test", "https://a:b@vc.example.test", "https://vc.example.test/?x"} {
		if c, err := lookup.New(lookup.Config{URL: bad}); err == nil || c != nil || !strings.HasPrefix(err.Error(), "lookup: Config.URL ") {
			t.Errorf("%q: got %v, %v, want an error", bad, c, err)
		}
	}
	server, base := serve(t)
	c, err := lookup.New(lookup.Config{URL: own + "/lookupservice/sdk", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Endpoints(t.Context()); err != nil || server.Calls("List") != 3 {
		t.Errorf("with the path: %v, %d lists, want 3", err, server.Calls("List"))
	}
}
