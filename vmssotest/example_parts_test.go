package vmssotest_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// An authority issues what a program under test is to be shown, such as a token
// that has expired.
func ExampleNewAuthority() {
	authority := vmssotest.NewAuthority()
	trust := []*x509.Certificate{authority.Certificate()} // also for VSphereConfig and the like
	yesterday := time.Now().AddDate(0, 0, -1)
	for _, claims := range []vmssotest.Claims{
		{Subject: "alice@vsphere.local"},
		{Subject: "alice@vsphere.local", NotBefore: yesterday, NotOnOrAfter: yesterday.Add(time.Hour)},
	} {
		_, err := signer.Verify(authority.Issue(claims), trust, time.Now())
		fmt.Println("valid:", err == nil)
	}
	// Output:
	// valid: true
	// valid: false
}

// A key pair is a solution user once it is registered.
func ExampleNewKeyPair() {
	pair := vmssotest.NewKeyPair("backup", nil)
	server := vmssotest.Listen(vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     vmssotest.NewAuthority(),
		SolutionUsers: map[string]*x509.Certificate{"backup@vsphere.local": pair.Leaf},
	}))
	defer server.Close()

	source, err := tokensource.NewSTS(tokensource.STSConfig{URL: server.URL, Certificate: &pair, Base: server.Transport()})
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := source.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := signer.ParseAssertion(tok.Assertion)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Subject, "holder of key:", a.HolderOfKey)
	// Output: backup@vsphere.local holder of key: true
}

// What a program says of a certificate that has expired.
func ExampleNewKeyPairBetween() {
	yesterday := time.Now().AddDate(0, 0, -1)
	pair := vmssotest.NewKeyPairBetween("backup", nil, yesterday.AddDate(-1, 0, 0), yesterday)
	_, err := tokensource.NewSTS(tokensource.STSConfig{URL: "https://vcenter.example.com", Certificate: &pair})
	fmt.Println("unusable:", errors.Is(err, vmsso.ErrUnsupportedKey))
	// Output: unusable: true
}

// A server on a port of this machine, for a program that gets a URL.
func ExampleListen() {
	server := vmssotest.Listen(vmssotest.NewVCenter(vmssotest.VCenterConfig{}))
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // or as a PEM file, for a program that takes one
	base := server.Transport()
	base.TLSClientConfig.RootCAs = roots
	resp, err := (&http.Client{Transport: base}).Get(server.URL + "/api/vcenter/vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	// Output: HTTP/2.0 401 Unauthorized
}

// A network in memory has hosts with the names of one's choice, and hosts that are
// down.
func ExampleNewNetwork() {
	network := vmssotest.NewNetwork()
	defer network.Close()
	network.Serve("vc.example.test", vmssotest.NewVCenter(vmssotest.VCenterConfig{}))
	client := &http.Client{Transport: network.Transport()}

	resp, err := client.Get("https://vc.example.test/api/vcenter/vm")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)

	network.Stop("vc.example.test")
	_, err = client.Get("https://vc.example.test/api/vcenter/vm")
	fmt.Println("down:", errors.Is(err, syscall.ECONNREFUSED))
	// Output:
	// 401 Unauthorized
	// down: true
}

// A test of a store of sessions, as it stands in a file of tests.
func ExampleTestSessionStore() {
	_ = func(t *testing.T) { // func TestStore(t *testing.T)
		dir := filepath.Join(t.TempDir(), "sessions")
		vmssotest.TestSessionStore(t, func() vmsso.SessionStore {
			store, err := cookiejar.NewFileStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	}
}
