package faults_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// counting serves h and counts the requests.
func counting(n *atomic.Int64, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h.ServeHTTP(w, r)
	})
}

// Fault 5: nobody whom the program trusts has signed the server's certificate. No request is sent, the one connection is not tried again, and no
// refusal is counted, neither at the account nor in the library: with the right CA the next call logs in.
func TestLoginAtAnUnknownCASendsNothing(t *testing.T) {
	l := newLab(t)
	w := newWire(l)
	var requests atomic.Int64
	l.net.Serve(vcHost, counting(&requests, l.vcenter))
	l.net.Serve(vcdHost, counting(&requests, l.director))
	strangers := vmssotest.NewNetwork()
	defer strangers.Close()
	distrusting := l.base.Clone()
	distrusting.TLSClientConfig.RootCAs = strangers.RootCAs()
	defer distrusting.CloseIdleConnections()
	base := &switchable{}
	base.use(distrusting)
	through := func(cfg *vmsso.Config) { cfg.Base = base }

	password := l.source(t, tokensource.STSConfig{Base: base})
	fixed := tokensource.Static(bearer())
	soapBySTS, _ := l.soap(t, password, through)
	soapByToken, _ := l.soap(t, fixed, through)
	restByToken, _ := l.rest(t, fixed, through)
	vcdByToken, _ := l.vcd(t, fixed, through)
	clients := []struct {
		name string
		c    *http.Client
		call func(context.Context, *http.Client) (int, string, error)
	}{{"SOAP by STS", soapBySTS, currentTime}, {"SOAP", soapByToken, currentTime}, {"REST", restByToken, vms}, {"Cloud Director", vcdByToken, orgs}}
	for _, tc := range clients {
		for range 6 { // five failures lock an account
			before := w.dials.Load()
			_, _, err := tc.call(t.Context(), tc.c)
			var authority x509.UnknownAuthorityError
			if !errors.Is(err, vmsso.ErrTLSIdentity) || !errors.As(err, &authority) || errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("%s: got %v, want ErrTLSIdentity for an unknown authority", tc.name, err)
			}
			if n := w.dials.Load() - before; n != 1 {
				t.Errorf("%s: %d connections for one call, want 1", tc.name, n)
			}
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("the servers saw %d requests, want none", n)
	}
	base.use(l.base)
	for _, tc := range clients {
		must(t, tc.call, tc.c)
	}
	expect(t, l.vsphere, 2, 2)
	expect(t, l.automation, 1, 1)
	expect(t, l.director, 1, 1)
	if l.sts.Failures() != 0 || l.sts.Locked(user) {
		t.Errorf("the token service counted %d failures, locked: %t", l.sts.Failures(), l.sts.Locked(user))
	}
}

// A switchable base is one transport now and another later.
type switchable struct {
	rt atomic.Pointer[http.RoundTripper]
}

func (s *switchable) use(rt http.RoundTripper) { s.rt.Store(&rt) }

func (s *switchable) RoundTrip(req *http.Request) (*http.Response, error) {
	return (*s.rt.Load()).RoundTrip(req)
}

// Fault 6: somebody answers for the server with a good certificate for another name, at the login and again in the middle of a session. He sees
// neither the token nor the session, which goes on when the right server is back.
func TestHostnameMismatchEndsNoSession(t *testing.T) {
	l := newLab(t)
	w := newWire(l)
	var seen atomic.Int64
	l.net.Serve("other.example.test", counting(&seen, l.vcenter))
	hijack := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return l.net.DialContext(ctx, network, "other.example.test:443")
	}
	refused := func(err error) {
		t.Helper()
		var name x509.HostnameError
		if !errors.As(err, &name) || errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("got %v, want a HostnameError", err)
		}
	}
	c, _ := l.rest(t, l.source(t, tokensource.STSConfig{}))
	w.bendTo(hijack)
	for range 6 {
		_, _, err := vms(t.Context(), c)
		refused(err)
		if !errors.Is(err, vmsso.ErrTLSIdentity) || loginError(err).Endpoint != vcHost {
			t.Errorf("got %v, want ErrTLSIdentity of %s", err, vcHost)
		}
	}
	if n := w.dials.Load(); n != 6 {
		t.Errorf("%d connections for 6 calls, want 6", n)
	}
	w.straighten()
	must(t, vms, c)
	l.base.CloseIdleConnections()
	w.bendTo(hijack)
	_, _, err := vms(t.Context(), c)
	refused(err)
	if n := seen.Load(); n != 0 {
		t.Errorf("the other server saw %d requests", n)
	}
	w.straighten()
	must(t, vms, c)
	expect(t, l.automation, 1, 1)
	if l.sts.Requests() != 1 || l.sts.Failures() != 0 {
		t.Errorf("the token service counted %d requests and %d failures, want 1 and 0", l.sts.Requests(), l.sts.Failures())
	}
}

// thumbprint is that of the certificate that a host of the network shows.
func thumbprint(t *testing.T, l *lab, host string) (sum256, sum1 string) {
	t.Helper()
	conn, err := l.net.DialContext(t.Context(), "tcp", host+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	shown := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: l.net.RootCAs()})
	if err := shown.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw := shown.ConnectionState().PeerCertificates[0].Raw
	return fmt.Sprintf("%X", sha256.Sum256(raw)), fmt.Sprintf("%X", sha1.Sum(raw))
}

// Fault 7: the server has another certificate than the pinned one, by a CA that would have been trusted. It sees nothing, whether the program logs in
// or has a session; the error names what was found. A pin by SHA-1 is none.
func TestPinnedThumbprintThatChangedEndsTheConversation(t *testing.T) {
	l := newLab(t)
	w := newWire(l)
	pin, sum1 := thumbprint(t, l, vcHost)
	if cfg, err := vmsso.PinCertificate(l.base.TLSClientConfig, sum1); err == nil || cfg != nil {
		t.Errorf("the SHA-1 thumbprint is taken: %v", err)
	}
	var err error
	if l.base.TLSClientConfig, err = vmsso.PinCertificate(l.base.TLSClientConfig, pin); err != nil {
		t.Fatal(err)
	}
	before, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	after, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, before)

	l.net.Stop(vcHost)
	var seen atomic.Int64
	l.net.Serve(vcHost, counting(&seen, l.vcenter)) // with a new certificate
	found, _ := thumbprint(t, l, vcHost)
	if found == pin {
		t.Fatal("the server has its certificate still: the test proves nothing")
	}
	for name, c := range map[string]*http.Client{"in a session": before, "logging in": after} {
		dials := w.dials.Load()
		_, _, err := currentTime(t.Context(), c)
		if !errors.Is(err, vmsso.ErrTLSIdentity) || !strings.Contains(err.Error(), found) {
			t.Errorf("%s: got %v, want ErrTLSIdentity with %s", name, err, found)
		}
		if n := w.dials.Load() - dials; n != 1 {
			t.Errorf("%s: %d connections, want 1", name, n)
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the server with the other certificate saw %d requests", n)
	}
	expect(t, l.vsphere, 1, 1)
	if l.sts.Requests() != 1 || l.sts.Failures() != 0 {
		t.Errorf("the token service counted %d requests and %d failures, want 1 and 0", l.sts.Requests(), l.sts.Failures())
	}
}
