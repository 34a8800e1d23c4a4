package vmssotest_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

// A token service counts what it refuses, and says why.
func ExampleNewSTS() {
	sts := vmssotest.NewSTS(vmssotest.STSConfig{
		Authority: vmssotest.NewAuthority(),
		Users:     map[string]string{"alice@vsphere.local": "secret"},
	})
	server := vmssotest.Listen(sts)
	defer server.Close()

	for _, password := range []string{"secret", "wrong"} {
		source, err := tokensource.NewSTS(tokensource.STSConfig{
			URL: server.URL, Username: "alice@vsphere.local", Password: password, Base: server.Transport(),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = source.Token(context.Background())
		fmt.Println(password, "is taken:", err == nil)
	}
	fmt.Println("issued:", sts.Issued(), "refused:", sts.Failures())
	// Output:
	// secret is taken: true
	// wrong is taken: false
	// issued: 1 refused: 1
}

// The session ends behind the back of the program under test.
func ExampleNewVSphere() {
	authority := vmssotest.NewAuthority()
	vsphere := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	server := vmssotest.Listen(vsphere)
	defer server.Close()
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &soap.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	for range 2 {
		resp, err := client.Get(server.URL + "/folder/vm-1/vm-1.vmx?dsName=datastore1")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status, "sessions:", vsphere.Sessions(), "killed:", vsphere.Kill())
	}
	// Output:
	// 200 OK sessions: 1 killed: 1
	// 200 OK sessions: 1 killed: 1
}

// OnLogin tells a test who has logged in.
func ExampleNewAutomation() {
	authority := vmssotest.NewAuthority()
	server := vmssotest.Listen(vmssotest.NewAutomation(vmssotest.AutomationConfig{
		Trust:   []*x509.Certificate{authority.Certificate()},
		OnLogin: func(l vmssotest.AutomationLogin) { fmt.Println(l.Subject, "holder of key:", l.HolderOfKey) },
	}))
	defer server.Close()
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
		Auth:     &automation.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close()

	resp, err := client.Get(server.URL + "/api/vcenter/vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// alice@vsphere.local holder of key: false
	// 200 OK
}

// An organization takes the tokens that are for it.
func ExampleNewDirector() {
	const audience = "https://vcd.example.com/cloud/org/Finance/saml/metadata/alias/vcd"
	idp := vmssotest.NewAuthority()
	director := vmssotest.NewDirector(vmssotest.DirectorConfig{
		Trust: []*x509.Certificate{idp.Certificate()},
		Orgs:  map[string]string{"System": "", "Finance": audience},
	})
	server := vmssotest.Listen(director)
	defer server.Close()

	for _, audiences := range [][]string{{audience}, {"https://elsewhere.example.com"}} {
		transport, err := vmsso.New(vmsso.Config{
			Endpoint: server.URL,
			Source:   tokensource.Static(&vmsso.Token{Assertion: idp.Issue(vmssotest.Claims{Subject: "bob", Audiences: audiences})}),
			Auth:     &vcloud.Authenticator{Org: "Finance"},
			Base:     server.Transport(),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = transport.Session(context.Background())
		fmt.Println("logged in:", err == nil)
		transport.Close()
	}
	fmt.Println("logins:", director.Logins(), "refused:", director.Refused())
	// Output:
	// logged in: true
	// logged in: false
	// logins: 1 refused: 1
}

// The token service of this SSO domain is on another host, which the program allows.
func ExampleNewLookup() {
	services := vmssotest.LookupServices("https://vc.example.test")
	services[0].Endpoints[0].URL = "https://sso.example.test/sts/STSService"
	network := vmssotest.NewNetwork()
	defer network.Close()
	network.Serve("vc.example.test", vmssotest.NewLookup(vmssotest.LookupConfig{Services: services}))

	client, err := lookup.New(lookup.Config{
		URL: "https://vc.example.test", Base: network.Transport(),
		AllowHost: func(host string) bool { return host == "sso.example.test" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	endpoints, err := client.Endpoints(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(endpoints.STS)
	// Output: https://sso.example.test/sts/STSService
}
