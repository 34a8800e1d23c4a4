package main

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// A system is a server, how to log in to it, and what another program takes of the
// session and asks for.
type system struct {
	name   string
	server *vmssotest.Server
	source vmsso.TokenSource
	auth   vmsso.Authenticator
	take   func(*vmsso.Session) (header, value string, err error)

	method, path, accept, body string // of the other program's request
}

const currentTime = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25">` +
	`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`

// startSystems starts one system of each kind, instead of real ones. Their servers
// are to be closed.
func startSystems() []*system {
	authority := vmssotest.NewAuthority()
	trust := []*x509.Certificate{authority.Certificate()}
	source := tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})
	return []*system{
		{
			"vSphere SOAP", vmssotest.Listen(vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trust})), source,
			&soap.Authenticator{}, takeCookie, "POST", "/sdk", "", currentTime,
		},
		{
			"vSphere Automation", vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust})), source,
			&automation.Authenticator{}, takeID, "GET", "/api/vcenter/vm", "", "",
		},
		{
			"Cloud Director", vmssotest.Listen(vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: trust})), source,
			&vcloud.Authenticator{Org: "Finance"}, takeToken, "GET", "/api/org", "application/*+xml;version=37.0", "",
		},
	}
}

func takeCookie(s *vmsso.Session) (header, value string, err error) {
	cookie, err := soapCookie(s)
	if err != nil {
		return "", "", err
	}
	return "Cookie", cookieLine(cookie), nil
}

func takeID(s *vmsso.Session) (header, value string, err error) {
	id, err := automationID(s)
	return "vmware-api-session-id", id, err
}

func takeToken(s *vmsso.Session) (header, value string, err error) {
	token, err := directorToken(s)
	return "Authorization", "Bearer " + token, err
}

// An otherProgram knows nothing of this library: it has one header.
type otherProgram struct {
	*system
	header, value string
}

// call makes the request and returns the status.
func (o *otherProgram) call(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, o.method, o.server.URL+o.path, strings.NewReader(o.body))
	if err != nil {
		return "", err
	}
	req.Header.Set(o.header, o.value)
	req.Header.Set("Accept", o.accept)
	if o.body != "" {
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	base := o.server.Transport()
	defer base.CloseIdleConnections()
	resp, err := base.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	return resp.Status, nil
}
