package vmsso_test

import (
	"context"
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

const currentTime = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`

// Existing code that takes an *http.Client is logged in by wrapping that.
func ExampleWrap() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	base := server.Transport() // elsewhere http.DefaultTransport

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: server.URL, Username: "alice@vsphere.local", Password: "secret", Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint: server.URL + "/sdk", Source: source, Auth: &soap.Authenticator{},
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
		fmt.Println(resp.Status, "logins:", vcenter.Logins())
		vcenter.Kill() // an administrator ends the session; the next call does not notice
	}
	// Output:
	// 200 OK logins: 1
	// 200 OK logins: 2
}

// Code that sets a RoundTripper by itself, as users of govmomi do, takes the
// transport.
func ExampleNew() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	assertion := vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})

	transport, err := vmsso.New(vmsso.Config{
		Endpoint: server.URL + "/sdk",
		Source:   tokensource.Static(&vmsso.Token{Assertion: assertion}),
		Auth:     &soap.Authenticator{},
		Base:     server.Transport(), // where the CA, a proxy or a pinned certificate goes
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close() // logs out

	client := &http.Client{Transport: transport, Timeout: time.Minute}
	resp, err := client.Post(server.URL+"/sdk", "text/xml", strings.NewReader(currentTime))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// An error tells at which stage the login failed, and what it comes down to.
func ExampleLoginError() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"alice@vsphere.local": "secret"}})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	base := server.Transport()
	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: server.URL, Username: "alice@vsphere.local", Password: "wrong", Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport, err := vmsso.New(vmsso.Config{Endpoint: server.URL, Source: source, Auth: &soap.Authenticator{}, Base: base})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	_, err = transport.Session(context.Background())
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
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	source := tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})

	config := vmsso.Config{Endpoint: server.URL, Source: source, Base: server.Transport(), Auth: &soap.Authenticator{}}
	vim, err := vmsso.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Auth = &automation.Authenticator{}
	rest, err := vmsso.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/": vim, "/api": rest, "/rest": rest})
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
	// Output:
	// /api/vcenter/vm 200 OK
	// /folder/vm-1/vm-1.vmx?dsName=datastore1 200 OK
}
