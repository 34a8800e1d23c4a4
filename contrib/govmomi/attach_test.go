package vmssogovmomi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/pbm"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
	vsoap "github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestAttachRefuses: before anything is sent, with what to do about it.
func TestAttachRefuses(t *testing.T) {
	u := parse(t, "https://vc.example.test/sdk")
	good := vmsso.Config{Source: source()}
	attached := soap.NewClient(u, false)
	attach(t, attached, good)
	foreign := soap.NewClient(u, false)
	foreign.Client.Transport = http.DefaultTransport
	plain := parse(t, "http://vc.example.test/sdk")
	for name, tt := range map[string]struct {
		client *soap.Client
		cfg    vmsso.Config
		want   string
	}{
		"a client twice":                {attached, good, "attach each client once"},
		"a service client of it":        {attached.NewServiceClient("/pbm", "pbm"), good, "which then serves it too"},
		"another transport":             {foreign, good, "Config.Base"},
		"no client":                     {nil, good, "soap.NewClient"},
		"a client that was not made":    {new(soap.Client), good, "soap.NewClient"},
		"no source":                     {soap.NewClient(u, false), vmsso.Config{}, "Config.Source"},
		"an endpoint on another host":   {soap.NewClient(u, false), vmsso.Config{Source: source(), Endpoint: "https://other.example.test/sdk"}, "leave Endpoint empty"},
		"an endpoint at another port":   {soap.NewClient(u, false), vmsso.Config{Source: source(), Endpoint: "https://vc.example.test:9443/sdk"}, "leave Endpoint empty"},
		"an endpoint that is no URL":    {soap.NewClient(u, false), vmsso.Config{Source: source(), Endpoint: "https://vc.example.test:x/"}, "Config.Endpoint"},
		"plain HTTP that nobody wanted": {soap.NewClient(plain, false), good, "use https"},
	} {
		got, err := vmssogovmomi.Attach(tt.client, tt.cfg)
		if err == nil || got != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want an error with %q", name, got, err, tt.want)
		}
	}
	if err := vmssogovmomi.Under(soap.NewClient(u, false), nil); err == nil {
		t.Error("Under without a RoundTripper: no error")
	}
	for _, endpoint := range []string{"", "https://VC.example.test:443/sdk"} { // the same
		attach(t, soap.NewClient(u, false), vmsso.Config{Source: source(), Endpoint: endpoint})
	}
}

// TestAttachedAgainAfterAnError: what was refused for its configuration is as it
// was.
func TestAttachedAgainAfterAnError(t *testing.T) {
	c := newLab(t).client(t)
	if _, err := vmssogovmomi.Attach(c, vmsso.Config{}); err == nil {
		t.Fatal("no error without a source")
	}
	attach(t, c, vmsso.Config{Source: source()})
	if err := currentTime(t, c); err != nil {
		t.Error(err)
	}
}

// TestAttachAfterCalls: clients that were made before are served too.
func TestAttachAfterCalls(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	sc := c.NewServiceClient("/sdk", "vim25")
	if _, err := methods.GetCurrentTime(t.Context(), sc); err == nil {
		t.Fatal("no session was needed: this test proves nothing")
	}
	attach(t, c, vmsso.Config{Source: source()})
	for name, client := range map[string]soap.RoundTripper{"the client": vc, "its service client": sc} {
		if _, err := methods.GetCurrentTime(t.Context(), client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := l.front.Logins(); got != 1 {
		t.Errorf("%d logins, want 1", got)
	}
}

// TestPlainHTTPOnLoopback: as between the containers of a pod.
func TestPlainHTTPOnLoopback(t *testing.T) {
	v := vmssotest.NewVCenter(vmssotest.VCenterConfig{Authority: authority()})
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	c := soap.NewClient(parse(t, server.URL+"/sdk"), false)
	t.Cleanup(c.CloseIdleConnections)
	attach(t, c, vmsso.Config{Source: source()})
	if err := currentTime(t, c.NewServiceClient("/sdk", "vim25")); err != nil || v.Logins() != 1 {
		t.Errorf("%v, %d logins, want 1", err, v.Logins())
	}
}

// TestResponseIsThatOfTheRequest, and not of a copy that carries marks.
func TestResponseIsThatOfTheRequest(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	attach(t, c, vmsso.Config{Source: source()})
	for name, rt := range map[string]http.RoundTripper{"the client": c.Client.Transport, "a service client": c.DefaultTransport(), "the base": vmssogovmomi.Base(c)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url.String()+"/vimServiceVersions.xml", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Request != req {
			t.Errorf("%s: the response is that of another request", name)
		}
	}
}

func TestOwnLoginsFail(t *testing.T) {
	l := newLab(t)
	vc, _ := l.attached(t)
	manager, api := session.NewManager(vc), rest.NewClient(vc)
	for name, login := range map[string]func() error{
		"Login":              func() error { return manager.Login(t.Context(), password) },
		"LoginByToken":       func() error { return manager.LoginByToken(t.Context()) },
		"CloneSession":       func() error { return manager.CloneSession(t.Context(), "ticket") },
		"REST, Login":        func() error { return api.Login(t.Context(), password) },
		"REST, LoginByToken": func() error { return api.LoginByToken(t.Context()) },
	} {
		if err := login(); !errors.Is(err, vmsso.ErrOwnLogin) {
			t.Errorf("%s: got %v, want vmsso.ErrOwnLogin", name, err)
		}
	}
	if err := errors.Join(listProfiles(t.Context(), vc), listTags(t.Context(), vc)); err != nil {
		t.Fatal(err)
	}
	for name, logout := range map[string]func(context.Context) error{"Logout": manager.Logout, "REST, Logout": api.Logout} {
		if err := logout(t.Context()); err != nil { // ends the session; the next call logs in
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(listProfiles(t.Context(), vc), listTags(t.Context(), vc)); err != nil || l.front.Logins() != 2 {
		t.Errorf("after Logout: %v, %d logins of SOAP; want another", err, l.front.Logins())
	}
}

func TestCloseLogsOut(t *testing.T) {
	l := newLab(t)
	vc, transports := l.attached(t)
	if err := errors.Join(listProfiles(t.Context(), vc), listTags(t.Context(), vc)); err != nil {
		t.Fatal(err)
	}
	profiles, err := pbm.NewClient(t.Context(), vc)
	if err != nil {
		t.Fatal(err)
	}
	if err := transports.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := l.front.Sessions(); got != 0 {
		t.Errorf("%d sessions after Close, want none", got)
	}
	for name, err := range map[string]error{"PBM": queryProfiles(t.Context(), profiles), "REST": listTags(t.Context(), vc), "SOAP": readRoot(t.Context(), vc)} {
		if !errors.Is(err, vmsso.ErrClosed) {
			t.Errorf("%s, after Close: got %v, want vmsso.ErrClosed", name, err)
		}
	}
}

// TestOneTokenForBoth: and again where it was kept by the caller already.
func TestOneTokenForBoth(t *testing.T) {
	for name, wrap := range map[string]func(vmsso.TokenSource) vmsso.TokenSource{
		"a source":         func(s vmsso.TokenSource) vmsso.TokenSource { return s },
		"one that is kept": func(s vmsso.TokenSource) vmsso.TokenSource { return tokensource.Reuse(s, 0) },
	} {
		l := newLab(t)
		var asked atomic.Int32
		c := l.client(t)
		attach(t, c, vmsso.Config{Source: wrap(tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) {
			asked.Add(1)
			return source().Token(ctx)
		}))})
		vc, err := vim25.NewClient(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(readRoot(t.Context(), vc), listTags(t.Context(), vc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := asked.Load(); got != 1 {
			t.Errorf("%s: %d tokens, want 1 for both logins", name, got)
		}
	}
}

// TestTokenSourceMayUseTheClient for what needs no session.
func TestTokenSourceMayUseTheClient(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	sc := c.NewServiceClient("/sts/STSService", "sts")
	attach(t, c, vmsso.Config{Source: tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, sc.URL().String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := sc.Client.Do(req)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return source().Token(ctx)
	})})
	if err := currentTime(t, c.NewServiceClient("/sdk", "vim25")); err != nil {
		t.Error(err)
	}
	if l.vcenter.at("/sts/STSService") == 0 {
		t.Error("the source sent nothing: this test proves nothing")
	}
}

// TestBaseThatLeadsBack is an error, and not for ever.
func TestBaseThatLeadsBack(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	attach(t, c, vmsso.Config{Source: source(), Base: counted{&l.base, c.DefaultTransport()}, MaxRetries: -1})
	for name, client := range map[string]*soap.Client{"the client": c, "a service client": c.NewServiceClient("/sdk", "vim25")} {
		if err := currentTime(t, client); err == nil || !strings.Contains(err.Error(), "Base(c)") {
			t.Errorf("%s: got %v, want what to do", name, err)
		}
	}
	if got := l.vcenter.count(); got != 0 {
		t.Errorf("%d requests were sent, want none", got)
	}

	other := l.client(t)
	attach(t, other, vmsso.Config{Source: source(), Base: other.DefaultTransport()}) // plainly meant
	if err := currentTime(t, other); err != nil {
		t.Error(err)
	}
}

// TestBaseOfOnesOwn: what govmomi was told of the server does not count, and PBM is
// served all the same.
func TestBaseOfOnesOwn(t *testing.T) {
	l := newLab(t)
	trusted := l.client(t) // whose transport is a good one
	c := soap.NewClient(l.url, false)
	attach(t, c, vmsso.Config{Source: source(), Base: trusted.DefaultTransport()})
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := listProfiles(t.Context(), vc); err != nil {
		t.Error(err)
	}
}

// TestUnder: transports of one's own, here of SOAP alone.
func TestUnder(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	transport, err := vmsso.New(vmsso.Config{Endpoint: l.url.String(), Source: source(), Auth: &vsoap.Authenticator{Locale: "de_DE"}, Base: vmssogovmomi.Base(c)})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.Close()
	if err := vmssogovmomi.Under(c, transport); err != nil {
		t.Fatal(err)
	}
	vc, err := vim25.NewClient(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := listProfiles(t.Context(), vc); err != nil {
		t.Error(err)
	}
	for _, closed := range []bool{false, true} { // down to govmomi's connections
		if closed {
			transport.CloseIdleConnections()
		}
		var reused bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { reused = got.Reused }})
		if _, err := methods.GetCurrentTime(ctx, vc); err != nil || reused == closed {
			t.Errorf("%v; after CloseIdleConnections: %t, the connection was used before: %t", err, closed, reused)
		}
	}
}

// TestPlaceholderStaysHere: govmomi's jar has a cookie for PBM, which no server
// gets to see: neither one that is asked without a session nor one at another
// port, for which cookie jars make no difference.
func TestPlaceholderStaysHere(t *testing.T) {
	l := newLab(t)
	vc, transports := l.attached(t) // which has asked for the service content
	if got := vc.SessionCookie(); got == nil || got.Value != "vmsso-keeps-the-session" {
		t.Errorf("govmomi has the cookie %v, want the placeholder", got)
	}
	if err := errors.Join(listServices(t.Context(), vc), listProfiles(t.Context(), vc), listTags(t.Context(), vc)); err != nil {
		t.Fatal(err)
	}
	elsewhere := vc.NewServiceClient(l.psc.url+"/pbm", "pbm")
	elsewhere.Cookie = vc.SessionCookie
	if _, err := pbmmethods.PbmRetrieveServiceContent(t.Context(), elsewhere, &pbmtypes.PbmRetrieveServiceContent{This: pbm.ServiceInstance}); err != nil {
		t.Error(err)
	}
	if l.psc.at("/pbm") != 1 {
		t.Error("nothing came to the other host: this test proves nothing")
	}
	checkSessions(t, l, transports.SOAP)
}

// TestSetCertificateAndTunnel: what the package's documentation says of them.
func TestSetCertificateAndTunnel(t *testing.T) {
	l := newLab(t)
	c := l.client(t)
	l.attach(t, c)
	tunnel := c.Tunnel()
	if _, ok := tunnel.Client.Transport.(*http.Transport); !ok || tunnel.URL().Host != "sdkTunnel:8089" {
		t.Errorf("the tunnel has the transport %T and the host %s", tunnel.Client.Transport, tunnel.URL().Host)
	}
	tunnel.DefaultTransport().Proxy = nil
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.CloseIdleConnections()
	resp, err := tunnel.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if l.base.count() != 0 || l.vcenter.count() != 1 {
		t.Errorf("%d requests of the tunnel passed our transport, %d came; want that it is not attached", l.base.count(), l.vcenter.count())
	}
	defer func() {
		if recover() == nil {
			t.Error("SetCertificate did not panic")
		}
	}()
	c.SetCertificate(tls.Certificate{})
}

func currentTime(t *testing.T, c *soap.Client) error {
	t.Helper()
	_, err := methods.GetCurrentTime(t.Context(), c)
	return err
}
