package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vsoap "github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// In these tests govmomi is on top of our transport, and vcsim below it. vcsim
// decides what a session is and when it is gone; the front, whether a login is
// good.

func TestInteropVcsimListsVMs(t *testing.T) {
	s := newServers(t)
	for name, cfg := range map[string]tokensource.STSConfig{
		"password":                 {Username: userName, Password: userPassword},
		"certificate":              {Certificate: &s.machine},
		"password and certificate": {Username: userName, Password: userPassword, Certificate: &s.laptop},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, s, s.frontURL, cfg, s.transport)
			got, err := listVMs(t.Context(), client)
			if want := []string{"DC0_C0_RP0_VM0", "DC0_C0_RP0_VM1", "DC0_H0_VM0", "DC0_H0_VM1"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
}

// TestInteropVcsimSessionsEnd by the doing of another administrator.
func TestInteropVcsimSessionsEnd(t *testing.T) {
	s := newServers(t)
	byPassword := tokensource.STSConfig{Username: userName, Password: userPassword}

	t.Run("terminated session, told by a fault", func(t *testing.T) {
		client := newClient(t, s, s.frontURL, byPassword, s.transport)
		loseSession(t, s, client)
		before := s.front.Logins()
		if _, err := methods.GetCurrentTime(t.Context(), client); err != nil {
			t.Error(err)
		}
		if got := s.front.Logins() - before; got != 1 {
			t.Errorf("%d logins after the end of the session, want 1", got)
		}
	})

	t.Run("terminated session, told by a 200 with missingSet", func(t *testing.T) {
		counter := &missingSets{base: s.transport}
		client := newClient(t, s, s.frontURL, byPassword, counter)
		loseSession(t, s, client)
		before := s.front.Logins()
		var root mo.Folder
		err := property.DefaultCollector(client).RetrieveOne(t.Context(), client.ServiceContent.RootFolder, []string{"name"}, &root)
		if err != nil || root.Name != "Datacenters" {
			t.Errorf("got the name %q and error %v, want Datacenters", root.Name, err)
		}
		if got := s.front.Logins() - before; got != 1 {
			t.Errorf("%d logins after the end of the session, want 1", got)
		}
		if got := counter.seen.Load(); got != 1 {
			t.Errorf("vcsim answered with 200 and NotAuthenticated %d times, want once: else this test proves nothing", got)
		}
	})

	t.Run("one login for all", func(t *testing.T) {
		client := newClient(t, s, s.frontURL, byPassword, s.transport)
		loseSession(t, s, client)
		before := s.front.Logins()
		if err := storm(func() error {
			names, err := listVMs(t.Context(), client)
			if err == nil && len(names) != 4 {
				err = errors.New("not all VMs: " + strings.Join(names, " "))
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		if got := s.front.Logins() - before; got != 1 {
			t.Errorf("%d logins for %d goroutines, want 1", got, goroutines)
		}
		if got, err := s.admin.others(t.Context()); err != nil || len(got) != 1 {
			t.Errorf("vcsim has the sessions %v, %v; want one", got, err)
		}
	})
}

// TestInteropVcsimForgedAssertion: a token that was altered by one byte is
// refused, by the front; vcsim alone takes it, which is why there is a front.
func TestInteropVcsimForgedAssertion(t *testing.T) {
	s := newServers(t)
	cfg := tokensource.STSConfig{Username: userName, Password: userPassword}
	for _, tt := range []struct{ name, mark string }{
		{"another subject", ">alic"},
		{"another signature", "SignatureValue>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forging := &forger{base: s.transport, mark: tt.mark}
			before, logins := s.front.Refused(), s.front.Logins()
			client := newClient(t, s, s.frontURL, cfg, forging)
			_, err := methods.GetCurrentTime(t.Context(), client)
			if !errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("got the error %v, want vmsso.ErrRejected", err)
			}
			if refused, more := s.front.Refused()-before, s.front.Logins()-logins; refused != 1 || more != 0 {
				t.Errorf("the front refused %d and accepted %d, want 1 and 0", refused, more)
			}
			if reasons := s.front.Reasons(); len(reasons) == 0 || !strings.Contains(reasons[len(reasons)-1], "assertion: ") {
				t.Errorf("the front's reasons are %q, want the last to blame the assertion", reasons)
			}

			client = newClient(t, s, s.vcsimURL, cfg, forging)
			if _, err := methods.GetCurrentTime(t.Context(), client); err != nil {
				t.Errorf("vcsim alone: got the error %v, want none: if it verifies logins by now, the front can go", err)
			}
			if got := forging.forged.Load(); got != 2 {
				t.Errorf("%d logins were altered, want 2", got)
			}
		})
	}
}

// newClient returns a govmomi client on top of a transport, which is closed when
// the test ends.
func newClient(t *testing.T, s *servers, endpoint string, cfg tokensource.STSConfig, base http.RoundTripper) *vim25.Client {
	t.Helper()
	cfg.URL, cfg.Base = s.vcenterURL, s.transport
	source, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := vmsso.New(vmsso.Config{Endpoint: endpoint, Source: source, Auth: &vsoap.Authenticator{}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client := soap.NewClient(u, false)
	client.Client.Transport = transport
	vc, err := vim25.NewClient(context.Background(), client)
	if err != nil {
		t.Fatal(err)
	}
	return vc
}

// loseSession makes the client log in, and ends the session as another
// administrator would.
func loseSession(t *testing.T, s *servers, client *vim25.Client) {
	t.Helper()
	if _, err := methods.GetCurrentTime(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if n, err := s.admin.endOthers(t.Context()); err != nil || n != 1 {
		t.Fatalf("the administrator ended %d sessions, error %v; want 1", n, err)
	}
}

// missingSets counts the answers that say NotAuthenticated with status 200.
type missingSets struct {
	base http.RoundTripper
	seen atomic.Int64
}

func (m *missingSets) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte("<missingSet>")) && bytes.Contains(body, []byte("NotAuthenticated")) {
		m.seen.Add(1)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// A forger alters one byte of the assertion in each login: the one behind mark.
type forger struct {
	base   http.RoundTripper
	mark   string
	forged atomic.Int64
}

func (f *forger) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		return f.base.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	req.Body.Close()
	if err != nil {
		return nil, err
	}
	if i := bytes.Index(body, []byte(f.mark)); i >= 0 && bytes.Contains(body, []byte("LoginByToken")) {
		b := &body[i+len(f.mark)]
		if *b == 'A' { // both letters fit into a name and into base64
			*b = 'B'
		} else {
			*b = 'A'
		}
		f.forged.Add(1)
	}
	altered := req.Clone(req.Context())
	altered.Body, altered.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return f.base.RoundTrip(altered)
}
