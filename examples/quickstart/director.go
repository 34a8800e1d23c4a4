package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
)

// callDirector is step 3: a Cloud Director, as a tenant and as its provider. A
// token must come from the identity provider of the organization, and name the
// organization's entity ID as its audience, which tokensource.STS does not ask
// for. So these tokens have another issuer, and a source that has just the one; a
// program that gets them anew implements vmsso.TokenSource, which is one method.
func (t *tour) callDirector(ctx context.Context) (err error) {
	t.out.title("3  A Cloud Director, with tokens from its own identity provider")
	bob := tokensource.Static(t.servers.issue("bob@example.com", nil))
	if t.tenant, err = t.useDirector(ctx, "tenant, bearer", "Finance", bob); err != nil {
		return err
	}
	carol := tokensource.Static(t.servers.issue("carol@example.com", &t.servers.laptop))
	t.provider, err = t.useDirector(ctx, "provider, holder-of-key", "", carol)
	return err
}

// useDirector logs in to an organization, "" being the provider, reads what the
// system told of the session, and makes a call that starts from there.
func (t *tour) useDirector(ctx context.Context, who, org string, source vmsso.TokenSource) (*cloud, error) {
	client, transport, err := vmsso.Wrap(&http.Client{Transport: t.servers.transport}, vmsso.Config{
		Endpoint: t.servers.directorURL,
		Source:   source,
		Auth:     &vcloud.Authenticator{Org: org},
		Logger:   t.logger,
	})
	if err != nil {
		return nil, err
	}
	t.transports = append(t.transports, transport)

	start, before := time.Now(), t.servers.director.Logins()
	login, err := transport.Session(ctx)
	if err != nil {
		return nil, err
	}
	session, err := vcloud.ReadSession(login)
	if err != nil {
		return nil, err
	}
	logins := plural(t.servers.director.Logins()-before, "login")
	t.out.line(who, fmt.Sprintf("%s of %s; %s", session.User, session.Org, logins), start)
	t.out.fact("  role", strings.Join(session.Roles, ", "))

	c := &cloud{client, session.QueryListURL}
	return c, t.call(ctx, caller{"  query, from its links", t.servers.director.Logins, c.listVMs})
}
