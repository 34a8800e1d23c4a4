package main

import (
	"context"
	"net/http"

	"github.com/vmware/govmomi/session/cache"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
)

// saveSOAP writes a SOAP session where govc looks for one, and Terraform's vsphere
// provider with persist_session. It asks the server for its service content; config
// may set that client's transport.
func saveSOAP(ctx context.Context, s *vmsso.Session, at cache.Session, config func(*soap.Client) error) error {
	cookie, err := soapCookie(s)
	if err != nil {
		return err
	}
	at.Reauth = true // what is there already is replaced
	at.LoginSOAP = func(_ context.Context, c *vim25.Client) error {
		c.Jar.SetCookies(c.URL(), []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Quoted: cookie.Quoted, Path: "/"}})
		return nil
	}
	return at.Login(ctx, new(vim25.Client), config)
}

// saveREST is saveSOAP for an Automation session.
func saveREST(ctx context.Context, s *vmsso.Session, at cache.Session, config func(*soap.Client) error) error {
	id, err := automationID(s)
	if err != nil {
		return err
	}
	at.Reauth = true
	at.LoginREST = func(_ context.Context, c *rest.Client) error {
		c.SessionID(id)
		return nil
	}
	return at.Login(ctx, new(rest.Client), config)
}
