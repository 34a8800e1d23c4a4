// Package guide has the snippets of docs/from-govmomi.md, so that they compile, and its test runs them: what programs do with govmomi alone (before.go),
// and the same with vmsso below it (after.go).
package guide

import (
	"context"
	"crypto/tls"
	"net/url"
	"time"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/session/cache"
	"github.com/vmware/govmomi/session/keepalive"
	"github.com/vmware/govmomi/sts"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
)

// LoginBefore logs in with a password, does the work, and logs out.
func LoginBefore(ctx context.Context, client *soap.Client, user *url.Userinfo, work func(*vim25.Client) error) error {
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	manager := session.NewManager(vc)
	if err := manager.Login(ctx, user); err != nil {
		return err
	}
	defer manager.Logout(ctx)
	return work(vc)
}

// CacheBefore takes the session of an earlier run from a file, or logs in.
func CacheBefore(ctx context.Context, endpoint *url.URL, dir string, trust func(*soap.Client) error, work func(*vim25.Client) error) error {
	cached := &cache.Session{URL: endpoint, DirSOAP: dir} // the URL has user name and password
	vc := new(vim25.Client)
	if err := cached.Login(ctx, vc, trust); err != nil {
		return err
	}
	return work(vc) // no Logout: the next run takes the session
}

// KeepAliveBefore keeps the session alive for as long as the program runs.
func KeepAliveBefore(ctx context.Context, client *soap.Client, user *url.Userinfo, work func(*vim25.Client) error) error {
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	vc.RoundTripper = keepalive.NewHandlerSOAP(vc.RoundTripper, 10*time.Minute, func() error {
		_, err := methods.GetCurrentTime(ctx, vc)
		return err // after the first error nobody keeps it alive
	})
	manager := session.NewManager(vc)
	if err := manager.Login(ctx, user); err != nil { // starts the handler
		return err
	}
	defer manager.Logout(ctx) // stops it
	return work(vc)
}

// TokenBefore logs in with a solution user's certificate.
func TokenBefore(ctx context.Context, client *soap.Client, certificate *tls.Certificate, work func(*vim25.Client) error) error {
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	tokens, err := sts.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	signer, err := tokens.Issue(ctx, sts.TokenRequest{Certificate: certificate, Lifetime: time.Hour})
	if err != nil {
		return err
	}
	manager := session.NewManager(vc)
	if err := manager.LoginByToken(vc.WithHeader(ctx, soap.Header{Security: signer})); err != nil {
		return err
	}
	defer manager.Logout(ctx)
	return work(vc)
}

// RESTBefore logs in to vSphere Automation with a solution user's certificate.
func RESTBefore(ctx context.Context, client *soap.Client, certificate *tls.Certificate, work func(*rest.Client) error) error {
	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	tokens, err := sts.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	signer, err := tokens.Issue(ctx, sts.TokenRequest{Certificate: certificate, Delegatable: true})
	if err != nil {
		return err
	}
	api := rest.NewClient(vc)
	if err := api.LoginByToken(api.WithSigner(ctx, signer)); err != nil {
		return err
	}
	defer api.Logout(ctx)
	return work(api)
}
