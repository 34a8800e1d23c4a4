package main

import (
	"context"
	"net/url"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vsoap "github.com/vmsso/vmsso/soap"
)

// callByGovmomi is step 4: the same below a library that makes its own
// http.Client. govmomi gets our transport; there is no Login. The clients that it
// makes of this one, such as that of its package pbm, would not have the transport:
// module contrib/govmomi puts it under them too.
func (t *tour) callByGovmomi(ctx context.Context) error {
	t.out.title("4  govmomi's vcsim, behind a front that verifies logins")
	transport, err := vmsso.New(vmsso.Config{
		Endpoint: t.servers.frontURL,
		Source:   t.both,
		Auth:     &vsoap.Authenticator{},
		Base:     t.servers.transport,
		Logger:   t.logger,
	})
	if err != nil {
		return err
	}
	t.transports = append(t.transports, transport)

	endpoint, err := url.Parse(t.servers.frontURL)
	if err != nil {
		return err
	}
	client := soap.NewClient(endpoint, false)
	client.Client.Transport = transport // this is all
	if t.govmomi, err = vim25.NewClient(ctx, client); err != nil {
		return err
	}
	for _, which := range []string{"first call", "second call"} {
		if err := t.call(ctx, caller{"govmomi, " + which, t.servers.front.Logins, t.listByGovmomi}); err != nil {
			return err
		}
	}
	return nil
}
