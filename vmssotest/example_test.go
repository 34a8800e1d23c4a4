package vmssotest_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vmsso/vmsso/vmssotest"
)

// A security token service and a vCenter on a network in memory. A program under test gets the network's transport and logs in; afterwards the test
// asks the servers what they saw.
func Example() {
	authority := vmssotest.NewAuthority()
	sts := vmssotest.NewSTS(vmssotest.STSConfig{
		Authority: authority,
		Users:     map[string]string{"alice@vsphere.local": "secret"},
	})
	vc := vmssotest.NewVSphere(vmssotest.VSphereConfig{
		Trust: []*x509.Certificate{authority.Certificate()},
		OnLogin: func(l vmssotest.Login) {
			fmt.Println("logged in:", l.Subject, "holder of key:", l.HolderOfKey)
		},
	})

	network := vmssotest.NewNetwork()
	defer network.Close()
	network.Serve("sso.example.test", sts)
	network.Serve("vc.example.test", vc)
	client := &http.Client{Transport: network.Transport()}

	// What follows is the program under test; a real one leaves this to a library.
	token := authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})
	cookie := post(client, nil, `<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></RetrieveServiceContent>`, "")
	session := post(client, cookie, `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>`, token)
	post(client, session, `<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>`, "")

	fmt.Println("logins:", vc.Logins(), "sessions:", vc.Sessions(), "calls:", vc.Calls("CurrentTime"), "tokens issued:", sts.Issued())
	fmt.Println("killed:", vc.Kill())
	// Output:
	// logged in: alice@vsphere.local holder of key: false
	// logins: 1 sessions: 1 calls: 1 tokens issued: 0
	// killed: 1
}

// Faults are injected by operation: the next CurrentTime is answered with 503, the one after that as usual.
func ExampleVSphere_Inject() {
	authority := vmssotest.NewAuthority()
	vc := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	vc.Inject("CurrentTime", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	})

	server := vmssotest.Listen(vc)
	defer server.Close()
	client := &http.Client{Transport: server.Transport()}
	for range 2 {
		body := `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"/></Body></Envelope>`
		resp, err := client.Post(server.URL+"/sdk", "text/xml", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	client.CloseIdleConnections()
	// Output:
	// 503 Service Unavailable
	// 500 Internal Server Error
}

// post sends a SOAP request, with a bearer token in its header if there is one, and returns the cookie to go on with.
func post(client *http.Client, cookie *http.Cookie, operation, token string) *http.Cookie {
	now := time.Now().UTC()
	header := ""
	if token != "" {
		header = `<Header><wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">` +
			`<wsu:Timestamp xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">` +
			`<wsu:Created>` + now.Format(time.RFC3339) + `</wsu:Created><wsu:Expires>` + now.Add(time.Minute).Format(time.RFC3339) + `</wsu:Expires></wsu:Timestamp>` +
			token + `</wsse:Security></Header>`
	}
	envelope := `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/">` + header + `<Body>` + operation + `</Body></Envelope>`
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://vc.example.test/sdk", strings.NewReader(envelope))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", "urn:vim25/8.0.3.0")
	if cookie != nil {
		req.AddCookie(cookie)
	}
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		panic(fmt.Sprint(resp.Status, err, string(answer)))
	}
	for _, c := range resp.Cookies() {
		cookie = c
	}
	return cookie
}
