// Package guide has the snippets of docs/guide.md, so that they compile, and its test runs them.
package guide

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
)

// Automation is a client of vSphere Automation.
func Automation(base http.RoundTripper, origin string, source vmsso.TokenSource) (*http.Client, *vmsso.Transport, error) {
	return vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: origin, // "https://vcenter.example.com": the origin alone counts
		Source:   source,
		Auth:     &automation.Authenticator{}, // or {Protocol: automation.JSONRPC}
	})
}

// Director is a client of a tenant of a Cloud Director.
func Director(ctx context.Context, base http.RoundTripper, origin string, source vmsso.TokenSource) (*http.Client, *vmsso.Transport, error) {
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: origin, // "https://vcd.example.com"
		Source:   source,
		Auth:     &vcloud.Authenticator{Org: "Finance"}, // no Org: the provider
	})
	if err != nil {
		return nil, nil, err
	}
	session, err := transport.Session(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, transport.Close())
	}
	login, err := vcloud.ReadSession(session) // who that is, and the URLs to browse from
	if err != nil {
		return nil, nil, errors.Join(err, transport.Close())
	}
	slog.Info("logged in", "user", login.User, "organization", login.Org)
	return client, transport, nil
}

// VCenter is one client for all protocols of a vCenter, and what closes it.
func VCenter(ctx context.Context, base http.RoundTripper, host string, certificate *tls.Certificate) (*http.Client, *vmsso.Routes, error) {
	endpoints := lookup.WellKnown(host)
	sts, err := tokensource.NewSTS(tokensource.STSConfig{URL: endpoints.STS, Certificate: certificate, Base: base})
	if err != nil {
		return nil, nil, err
	}
	source := tokensource.Reuse(sts, 0) // one token for both

	soapTransport, err := vmsso.New(vmsso.Config{Endpoint: endpoints.Vim, Source: source, Auth: &soap.Authenticator{}, Base: base})
	if err != nil {
		return nil, nil, err
	}
	automationTransport, err := vmsso.New(vmsso.Config{Endpoint: endpoints.Automation, Source: source, Auth: &automation.Authenticator{}, Base: base})
	if err != nil {
		return nil, nil, err
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{
		"/api": automationTransport, "/rest": automationTransport,
		"/": soapTransport, // /sdk, and the files of /folder and the like, which are served in its session
	})
	if err != nil {
		return nil, nil, err
	}
	return &http.Client{Transport: routes}, routes, nil
}

// Kept is a client whose session is kept in a directory of this user alone.
func Kept(base http.RoundTripper, endpoint, cacheDir string, source vmsso.TokenSource, key []byte) (*http.Client, *vmsso.Transport, error) {
	store, err := cookiejar.NewFileStore(filepath.Join(cacheDir, "my-program"))
	if err != nil {
		return nil, nil, err
	}
	return vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: endpoint,
		Source:   source,
		Auth:     &soap.Authenticator{},
		Store:    store,
		Identity: "alice@vsphere.local", // whose session this is: nobody gets another's
		StoreKey: key,                   // 32 random bytes: records are encrypted; or nil
	})
}

// TrustCA is a base transport that trusts a CA and uses a proxy.
func TrustCA(roots *x509.CertPool, proxy *url.URL) *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: roots} // vCenter's CA: https://vcenter.example.com/certs/download.zip
	base.Proxy = http.ProxyURL(proxy)                  // without this line it obeys HTTPS_PROXY
	return base
}

// TrustOne is a base transport that trusts one certificate, whoever issued it.
func TrustOne(thumbprint string) (*http.Transport, error) {
	pinned, err := vmsso.PinCertificate(nil, thumbprint) // SHA-256: "AB:CD:…"
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = pinned
	return base, nil
}

// LongRunning is a client of a program that runs for months.
func LongRunning(base http.RoundTripper, endpoint string, source vmsso.TokenSource, logger *slog.Logger) (*http.Client, *vmsso.Transport, error) {
	return vmsso.Wrap(&http.Client{Transport: base, Timeout: time.Minute}, vmsso.Config{
		Endpoint:       endpoint,
		Source:         source,
		Auth:           &soap.Authenticator{},
		KeepAlive:      10 * time.Minute, // views and collectors outlive a pause; stops when nobody calls for two hours
		MaxAge:         20 * time.Hour,   // a new session before a limit of the server ends the old one
		ExpectContinue: 1 << 20,          // uploads of a MiB and more ask first
		Logger:         logger,           // logins, expiries, replays, retries, logouts; no secrets
	})
}

// Explain says what to do about an error of a request.
func Explain(err error) string {
	var login *vmsso.LoginError
	switch {
	case !errors.As(err, &login):
		return "the request failed, not the login"
	case errors.Is(err, vmsso.ErrLocked):
		return "the account is locked: an administrator can unlock it"
	case errors.Is(err, vmsso.ErrRejected): // final: the same credentials are not sent again for three minutes
		return "user name, password or certificate are wrong: " + login.Fault
	case errors.Is(err, vmsso.ErrTLSIdentity):
		return "the server is not trusted, and was sent nothing: see Config.Base"
	case errors.Is(err, vmsso.ErrClockSkew):
		return fmt.Sprintf("the server's clock is ahead by %v", login.ClockOffset)
	case errors.Is(err, vmsso.ErrSessionLimit):
		return fmt.Sprintf("no room for another session; try again in %v", login.RetryAfter)
	default:
		return login.Error() // host, stage, what the server said, what to do
	}
}
