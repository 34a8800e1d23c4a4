// Package soap logs in to the SOAP endpoint of vCenter Server and ESXi with
// SAML tokens: the vSphere Web Services API's SessionManager.LoginByToken.
//
// RetrieveServiceContent gives a session cookie; LoginByToken carries the
// token, a timestamp and, for a holder-of-key token, a signature in the SOAP
// header; from then on the cookie alone identifies the session; Logout ends it.
// This is what VMware's document "Establishing a Single Sign On Session with a
// vCenter Server" describes.
//
//	/sdk: inventory, views, performance, events, tasks              here
//	/folder, /nfc and the other file services, in the same session  here
//	an ESXi host's own /sdk, if it trusts the token's issuer        here
//	/api and /rest                                                  package automation
//
// # Below govmomi
//
// In a program that imports govmomi's package soap as well, the name vsoap
// serves well for this one. The transport goes below govmomi's client, before
// the first call, and there is no session.Manager.Login:
//
//	client := soap.NewClient(endpoint, false)
//	client.Client.Transport = transport // a *vmsso.Transport with &vsoap.Authenticator{}
//	vc, err := vim25.NewClient(ctx, client)
//
// What govmomi makes of that client for other services (NewServiceClient, and
// with it rest, pbm, vslm and others) does not inherit the transport. The module
// github.com/vmsso/vmsso/contrib/govmomi puts it under all of them.
package soap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/internal/envelope"
	"github.com/vmsso/vmsso/signer"
)

// An Authenticator logs in to vSphere's SOAP endpoint. Use a pointer to it; the
// zero value works. It is safe for concurrent use and can serve many
// transports.
//
// The path of the endpoint's URL is that of the service; /sdk if it is empty.
type Authenticator struct {
	vmsso.Defaults // for Apply

	// Locale is the language of the session's messages, such as en_US.
	// Empty: the server decides.
	Locale string

	// Signing says how messages are signed for a holder-of-key token. The zero
	// value is what servers take.
	Signing signer.Options

	signers signer.Cache
}

var _ vmsso.Authenticator = (*Authenticator)(nil)

const (
	vim25 = "urn:vim25"
	// firstVersion is the API version of the first call, which asks for the
	// server's own. Servers take every version up to theirs.
	firstVersion = "6.0"

	sessionCookie = "vmware_soap_session"

	retrieveServiceContent = `<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>`
	currentTime            = `<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>`
	logout                 = `<Logout xmlns="urn:vim25"><_this type="SessionManager">%s</_this></Logout>`
	loginByToken           = `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">%s</_this>%s</LoginByToken>`
)

// What a Session.Values holds.
const (
	valueManager = "sessionManager" // the SessionManager's managed object ID
	valueVersion = "apiVersion"
)

// Login implements [vmsso.Authenticator]. A token that cannot work, such as one
// whose key is not that of its subject confirmation, is refused before anything
// is sent; the error then wraps [vmsso.ErrUnsupportedToken] or
// [vmsso.ErrUnsupportedKey].
func (a *Authenticator) Login(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sign, err := a.signers.Signer(a.Signing, tok)
	if err == nil {
		err = sign.CheckMessage()
	}
	if bad := envelope.Valid(a.Locale); err == nil && bad != nil {
		err = fmt.Errorf("soap: Authenticator.Locale has %w", bad)
	}
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "token", Err: err}
	}
	c := &client{rt: rt, url: service(endpoint), jar: cookiejar.New(endpoint), version: firstVersion}
	content, err := c.call(ctx, "RetrieveServiceContent", envelope.Message(retrieveServiceContent))
	if err != nil {
		return nil, err
	}
	manager := envelope.Find(content.Body, "returnval", "sessionManager")
	if v := envelope.Find(content.Body, "returnval", "about", "apiVersion"); v != "" {
		c.version = v
	}
	if manager == "" {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "RetrieveServiceContent", Status: content.Status,
			Err: errors.New("the server has no session manager: is this a vSphere SOAP endpoint?")}
	}
	message, err := sign.Message(a.loginByToken(manager), time.Now())
	if err != nil {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "LoginByToken", Err: err}
	}
	reply, err := c.call(ctx, "LoginByToken", message, tok.Assertion)
	if err != nil {
		return nil, c.refused(ctx, err, manager)
	}
	cookies := c.jar.Cookies(c.url)
	if !slices.ContainsFunc(cookies, func(k *http.Cookie) bool { return k.Name == sessionCookie && k.Value != "" }) {
		return nil, &vmsso.LoginError{Endpoint: endpoint.Host, Stage: "LoginByToken", Status: reply.Status,
			Err: errors.New("the server accepted the token but set no session cookie")}
	}
	return &vmsso.Session{
		Cookies: cookies,
		Values:  map[string]string{valueManager: manager, valueVersion: c.version},
		Created: time.Now(),
	}, nil
}

// refused makes of the error of a LoginByToken that of a login.
func (c *client) refused(ctx context.Context, err error, manager string) error {
	var le *vmsso.LoginError
	if !errors.As(err, &le) {
		return err
	}
	if errors.Is(le, vmsso.ErrNoSession) { // not even a login is allowed
		le.Err = fmt.Errorf("%w: it asks for another kind of login", vmsso.ErrRejected)
	}
	if strings.HasPrefix(le.Fault, "NoPermission") { // the session has begun
		_, _ = c.call(ctx, "Logout", envelope.Message(fmt.Sprintf(logout, envelope.Text(manager))))
	}
	return le
}

// Logout implements [vmsso.Authenticator].
func (a *Authenticator) Logout(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	c := resume(rt, endpoint, s)
	_, err := c.call(ctx, "Logout", envelope.Message(fmt.Sprintf(logout, envelope.Text(s.Values[valueManager]))))
	if errors.Is(err, vmsso.ErrNoSession) {
		return nil
	}
	return err
}

// Probe implements [vmsso.Authenticator] by CurrentTime, which every user may
// call.
func (a *Authenticator) Probe(ctx context.Context, rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) error {
	_, err := resume(rt, endpoint, s).call(ctx, "CurrentTime", envelope.Message(currentTime))
	return err
}

func (a *Authenticator) loginByToken(manager string) []byte {
	locale := ""
	if a.Locale != "" {
		locale = "<locale>" + envelope.Text(a.Locale) + "</locale>"
	}
	return fmt.Appendf(nil, loginByToken, envelope.Text(manager), locale)
}

// service is the URL that messages are posted to.
func service(endpoint *url.URL) *url.URL {
	u := *endpoint
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/sdk"
	}
	return &u
}

// A client makes the calls of one session. It begins without any cookie: a
// login with that of a session that is logged in is refused.
type client struct {
	rt      http.RoundTripper
	url     *url.URL
	jar     *cookiejar.Jar
	version string
}

// resume returns a client with the session's cookies.
func resume(rt http.RoundTripper, endpoint *url.URL, s *vmsso.Session) *client {
	c := &client{rt: rt, url: service(endpoint), jar: cookiejar.New(endpoint), version: firstVersion}
	c.jar.SetCookies(c.url, s.Cookies)
	if v := s.Values[valueVersion]; v != "" {
		c.version = v
	}
	return c
}

// call makes one call. A fault becomes an error that quotes the server, less
// the secrets.
func (c *client) call(ctx context.Context, operation string, message []byte, secrets ...string) (*envelope.Reply, error) {
	call := &envelope.Call{URL: c.url, Stage: operation, Action: vim25 + "/" + c.version, Message: message, Cookies: c.jar.Cookies(c.url)}
	reply, err := call.Do(ctx, c.rt)
	if err != nil {
		return nil, meaning(err)
	}
	c.jar.SetCookies(c.url, reply.Cookies)
	if reply.Fault != nil {
		for _, k := range call.Cookies {
			secrets = append(secrets, k.Value)
		}
		return nil, call.Fail(reply, kind(reply.Fault), secrets...)
	}
	return reply, nil
}

// meaning adds what an HTTP status without a SOAP message means.
func meaning(err error) error {
	var le *vmsso.LoginError
	if errors.As(err, &le) && le.Status == http.StatusUnauthorized {
		le.Err = fmt.Errorf("%w: %w", vmsso.ErrNoSession, le.Err)
	}
	return err
}

// kind tells what a fault comes down to.
func kind(f *envelope.Fault) error {
	text := strings.ToLower(f.Text)
	switch {
	case f.Is("NotAuthenticated"):
		return vmsso.ErrNoSession
	case strings.Contains(text, "maxusersessioncount") || strings.Contains(text, "out of http sessions"):
		return vmsso.ErrSessionLimit
	case f.Is("InvalidLogin") && strings.Contains(text, "locked"):
		return vmsso.ErrLocked
	case f.Is("InvalidLogin"), f.Is("NoPermission"):
		return vmsso.ErrRejected
	}
	return errors.New("the server answered with a fault")
}
