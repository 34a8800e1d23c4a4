package vmsso_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// vcenter stands for a vCenter Server with its token service.
func vcenter() (vsphere *vmssotest.VSphere, server *vmssotest.Server) {
	authority := vmssotest.NewAuthority()
	vsphere = vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	mux := http.NewServeMux()
	mux.Handle("/sts/", vmssotest.NewSTS(vmssotest.STSConfig{
		Authority: authority,
		Users:     map[string]string{"alice@vsphere.local": "pass"},
	}))
	mux.Handle("/", vsphere)
	return vsphere, vmssotest.Listen(mux)
}

const currentTime = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`

// Existing code that takes an *http.Client is logged in by wrapping that.
func ExampleWrap() {
	vsphere, server := vcenter()
	defer server.Close()

	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      server.URL,
		Username: "alice@vsphere.local",
		Password: "pass",
		Base:     server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL + "/sdk",
		Source:   source,
		Auth:     &soap.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close() // logs out

	for range 2 {
		resp, err := client.Post(server.URL+"/sdk", "text/xml", strings.NewReader(currentTime))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status, "logins:", vsphere.Logins())
		vsphere.Kill() // an administrator ends the session; the next call does not notice
	}
	// Output:
	// 200 OK logins: 1
	// 200 OK logins: 2
}

// Code that sets a RoundTripper by itself, as users of govmomi do, takes the
// transport.
func ExampleNew() {
	_, server := vcenter()
	defer server.Close()

	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: "<saml2:Assertion …"}),
		Auth:     &soap.Authenticator{},
		Base:     server.Transport(), // where the CA, a proxy or a pinned certificate goes
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = transport.Session(ctx) // logs in
	fmt.Println(errors.Is(err, vmsso.ErrUnsupportedToken))
	// Output: true
}

// An error tells at which stage the login failed, and what it comes down to.
func ExampleLoginError() {
	_, server := vcenter()
	defer server.Close()

	source, _ := tokensource.NewSTS(tokensource.STSConfig{
		URL: server.URL, Username: "alice@vsphere.local", Password: "wrong", Base: server.Transport(),
	})
	transport, _ := vmsso.New(vmsso.Config{
		Endpoint: server.URL, Source: source, Auth: &soap.Authenticator{}, Base: server.Transport(),
	})
	defer transport.Close()

	_, err := transport.Session(context.Background())
	var login *vmsso.LoginError
	if errors.As(err, &login) {
		fmt.Println(login.Stage, login.Status, login.Fault)
		fmt.Println("refused:", errors.Is(err, vmsso.ErrRejected), "locked:", errors.Is(err, vmsso.ErrLocked))
		fmt.Println("not tried again for", login.RetryAfter)
	}
	// Output:
	// Issue 500 FailedAuthentication: Invalid credentials
	// refused: true locked: false
	// not tried again for 3m0s
}

// One http.Client can serve all of a vCenter, with a session for each protocol.
func ExampleNewRoutes() {
	authority := vmssotest.NewAuthority() // instead of a vCenter
	trust := []*x509.Certificate{authority.Certificate()}
	mux := http.NewServeMux()
	mux.Handle("/", vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: trust}))
	mux.Handle("/api/", vmssotest.NewAutomation(vmssotest.AutomationConfig{Trust: trust}))
	server := vmssotest.Listen(mux)
	defer server.Close()
	base := server.Transport()
	source := tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})

	vim, err := vmsso.New(vmsso.Config{Endpoint: server.URL, Source: source, Auth: &soap.Authenticator{}, Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	rest, err := vmsso.New(vmsso.Config{Endpoint: server.URL, Source: source, Auth: &automation.Authenticator{}, Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{
		"/sdk": vim, "/folder": vim, // files of datastores are served in the session of SOAP
		"/api": rest, "/rest": rest,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer routes.Close() // logs out of both

	client := &http.Client{Transport: routes}
	for _, path := range []string{"/api/vcenter/vm", "/folder/vm-1/vm-1.vmx?dsName=datastore1"} {
		resp, err := client.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(path, resp.Status)
	}
	resp, err := client.Post(server.URL+"/sdk", "text/xml", strings.NewReader(currentTime))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println("/sdk", resp.Status)
	// Output:
	// /api/vcenter/vm 200 OK
	// /folder/vm-1/vm-1.vmx?dsName=datastore1 200 OK
	// /sdk 200 OK
}
