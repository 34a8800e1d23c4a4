package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

const (
	userName     = "alice@vsphere.local"
	userPassword = "correct horse battery staple"

	adminName     = "administrator@vsphere.local"
	adminPassword = "known to vcsim alone"

	// entityID is that of the SAML metadata of the Cloud Director's organizations.
	// The audience of a token must be this.
	entityID = "https://cloud.example.com/saml/metadata"
)

// servers are a small data centre: a vCenter and a Cloud Director that are
// strict, and a vcsim that is made strict by a front.
type servers struct {
	vcenter  *vmssotest.VCenter
	director *vmssotest.Director
	issuer   *vmssotest.Authority // whom the director trusts

	front *vmssotest.VSphere // verifies logins, and hands on to vcsim
	admin *admin             // logged in to vcsim, past the front

	vcenterURL, directorURL string // without a path
	frontURL, vcsimURL      string

	machine   tls.Certificate // of a solution user that is registered at the STS
	laptop    tls.Certificate // of alice, registered nowhere
	transport *http.Transport // trusts the servers

	closers []func() // called from the last to the first
}

// startServers starts everything on ports of 127.0.0.1.
func startServers(ctx context.Context) (_ *servers, err error) {
	// The servers panic if they cannot listen, as those of net/http/httptest do.
	// That is the one thing that may fail on a user's machine.
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("no port of 127.0.0.1 to listen on: %w", err)
	}
	probe.Close()

	s := &servers{machine: vmssotest.NewKeyPair("backup", nil), laptop: vmssotest.NewKeyPair("alice", nil)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	trusted := x509.NewCertPool()
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: goroutines}
	s.closers = append(s.closers, s.transport.CloseIdleConnections)

	s.vcenter = vmssotest.NewVCenter(vmssotest.VCenterConfig{
		Users:         map[string]string{userName: userPassword},
		SolutionUsers: map[string]*x509.Certificate{"backup": s.machine.Leaf},
	})
	s.vcenterURL = s.listen(s.vcenter, trusted)
	s.startDirector(trusted)
	vcsim, err := s.startVcsim(trusted)
	if err != nil {
		return nil, err
	}
	s.front = vmssotest.NewVSphere(vmssotest.VSphereConfig{
		Trust:   []*x509.Certificate{s.vcenter.Authority.Certificate()},
		Backend: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(vcsim) }, Transport: s.transport},
	})
	s.frontURL = s.listen(s.front, trusted) + "/sdk"
	s.admin, err = newAdmin(ctx, vcsim, s.transport)
	return s, err
}

// startDirector starts a Cloud Director. It trusts another issuer than the
// vCenter does.
func (s *servers) startDirector(trusted *x509.CertPool) {
	s.issuer = vmssotest.NewAuthority()
	s.director = vmssotest.NewDirector(vmssotest.DirectorConfig{
		Trust: []*x509.Certificate{s.issuer.Certificate()},
		Orgs:  map[string]string{"System": entityID, "Finance": entityID},
	})
	s.directorURL = s.listen(s.director, trusted)
}

// issue returns a token for the Cloud Director, as its identity provider would.
// With a holder it is a holder-of-key token.
func (s *servers) issue(user string, holder *tls.Certificate) *vmsso.Token {
	claims := vmssotest.Claims{Subject: user, Audiences: []string{entityID}}
	if holder == nil {
		return &vmsso.Token{Assertion: s.issuer.Issue(claims)}
	}
	claims.Holder = holder.Leaf
	return &vmsso.Token{Assertion: s.issuer.Issue(claims), Key: holder.PrivateKey.(crypto.Signer)}
}

// listen serves h and adds the server to those that are trusted.
func (s *servers) listen(h http.Handler, trusted *x509.CertPool) string {
	server := vmssotest.Listen(h)
	s.closers = append(s.closers, server.Close)
	trusted.AddCert(server.Certificate())
	return server.URL
}

// startVcsim starts govmomi's simulator, and returns the URL without a path. It
// accepts any assertion, even a forged one, which is why a front stands before
// it; passwords are checked since there is a Listen.User.
func (s *servers) startVcsim(trusted *x509.CertPool) (*url.URL, error) {
	model := simulator.VPX()
	if err := model.Create(); err != nil {
		return nil, fmt.Errorf("start vcsim: %w", err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(adminName, adminPassword)}
	server := model.Service.NewServer()
	s.closers = append(s.closers, model.Remove, server.Close, s.transport.CloseIdleConnections)
	trusted.AddCert(server.Certificate())
	s.vcsimURL = server.URL.Scheme + "://" + server.URL.Host + server.URL.Path
	return &url.URL{Scheme: server.URL.Scheme, Host: server.URL.Host}, nil
}

func (s *servers) close() {
	if s.admin != nil {
		s.admin.logout()
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// sessions is how many sessions there are, without that of the administrator.
func (s *servers) sessions(ctx context.Context) (int, error) {
	others, err := s.admin.others(ctx)
	return s.vcenter.Sessions() + s.director.Sessions() + len(others), err
}

// killVCenter ends all sessions behind the clients' backs, and returns how many.
func (s *servers) killVCenter(context.Context) (int, error) { return s.vcenter.Kill(), nil }

// killDirector does the same to the Cloud Director.
func (s *servers) killDirector(context.Context) (int, error) { return s.director.Kill(), nil }

// An admin is another user of vcsim: logged in with a password, past the front
// and without vmsso.
type admin struct {
	client  *vim25.Client
	manager *session.Manager
}

func newAdmin(ctx context.Context, vcsim *url.URL, transport http.RoundTripper) (*admin, error) {
	client := soap.NewClient(vcsim.JoinPath("sdk"), false)
	client.Client.Transport = transport
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return nil, err
	}
	a := &admin{vc, session.NewManager(vc)}
	return a, a.manager.Login(ctx, url.UserPassword(adminName, adminPassword))
}

// others returns the sessions of all but the administrator.
func (a *admin) others(ctx context.Context) (keys []string, err error) {
	var all mo.SessionManager
	err = property.DefaultCollector(a.client).RetrieveOne(ctx, a.manager.Reference(), []string{"sessionList", "currentSession"}, &all)
	if err != nil {
		return nil, err
	}
	for _, s := range all.SessionList {
		if s.Key != all.CurrentSession.Key {
			keys = append(keys, s.Key)
		}
	}
	return keys, nil
}

// endOthers ends these sessions, and returns how many they were.
func (a *admin) endOthers(ctx context.Context) (int, error) {
	keys, err := a.others(ctx)
	if err != nil {
		return 0, err
	}
	return len(keys), a.manager.TerminateSession(ctx, keys)
}

// logout also works after an interrupt, which ended the tour's context.
func (a *admin) logout() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = a.manager.Logout(ctx) // vcsim ends anyway
}
