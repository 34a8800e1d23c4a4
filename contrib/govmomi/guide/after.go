package guide

import (
	"context"
	"crypto/tls"
	"net/url"
	"path/filepath"
	"time"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/tokensource"
)

// LoginAfter gets a token for a password, does the work, and logs out.
func LoginAfter(ctx context.Context, client *soap.Client, user *url.Userinfo, work func(*vim25.Client) error) error {
	password, _ := user.Password()
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      "https://" + client.URL().Host + "/sts/STSService",
		Username: user.Username(), Password: password,
		Base: vmssogovmomi.Base(client), // with govmomi's CA, thumbprints and proxy
	})
	if err != nil {
		return err
	}
	transports, err := vmssogovmomi.Attach(client, vmsso.Config{Source: source})
	if err != nil {
		return err
	}
	defer transports.Close() // logs out

	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	return work(vc) // no Login: the first call that needs a session logs in
}

// CacheAfter takes the session of an earlier run from a directory, or logs in.
func CacheAfter(ctx context.Context, client *soap.Client, source vmsso.TokenSource, dir string, work func(*vim25.Client) error) error {
	store, err := cookiejar.NewFileStore(filepath.Join(dir, "vmsso"))
	if err != nil {
		return err
	}
	transports, err := vmssogovmomi.Attach(client, vmsso.Config{
		Source:   source,
		Store:    store,
		Identity: "alice@vsphere.local", // whose session it is
	})
	if err != nil {
		return err
	}
	defer transports.Close() // leaves the session to the next run

	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	return work(vc)
}

// KeepAliveAfter keeps the session alive for as long as it is used.
func KeepAliveAfter(ctx context.Context, client *soap.Client, source vmsso.TokenSource, work func(*vim25.Client) error) error {
	transports, err := vmssogovmomi.Attach(client, vmsso.Config{
		Source:    source,
		KeepAlive: 10 * time.Minute, // needed only for what lives in the session, such as views
	})
	if err != nil {
		return err
	}
	defer transports.Close()

	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	return work(vc)
}

// TokenAfter logs in with a solution user's certificate, to SOAP and to vSphere Automation.
func TokenAfter(ctx context.Context, client *soap.Client, certificate *tls.Certificate, work func(*vim25.Client, *rest.Client) error) error {
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:         "https://" + client.URL().Host + "/sts/STSService",
		Certificate: certificate, // its key may be any crypto.Signer
		Lifetime:    time.Hour,
		Base:        vmssogovmomi.Base(client),
	})
	if err != nil {
		return err
	}
	transports, err := vmssogovmomi.Attach(client, vmsso.Config{Source: source})
	if err != nil {
		return err
	}
	defer transports.Close()

	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	api := rest.NewClient(vc) // no LoginByToken here either
	return work(vc, api)
}
