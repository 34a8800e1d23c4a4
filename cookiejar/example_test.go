package cookiejar_test

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/vmsso/vmsso/cookiejar"
)

func Example() {
	endpoint := &url.URL{Scheme: "https", Host: "vc.example.com", Path: "/sdk"}
	jar := cookiejar.New(endpoint)
	jar.SetCookies(endpoint, []*http.Cookie{{Name: "vmware_soap_session", Value: "52d4a1f0", Path: "/", Secure: true, HttpOnly: true}})

	// The appliance's management interface, another port of the same host, does not get the session.
	vami := &url.URL{Scheme: "https", Host: "vc.example.com:5480", Path: "/"}
	fmt.Println(len(jar.Cookies(endpoint)), len(jar.Cookies(vami)))

	// A jar can be logged without giving the session away.
	fmt.Println(jar)
	// Output:
	// 1 0
	// cookiejar.Jar(https://vc.example.com:443, 1 cookie)
}

// A session outlives its program when its cookies are saved, and restored into a jar for the same endpoint.
func ExampleJar_All() {
	endpoint := &url.URL{Scheme: "https", Host: "vc.example.com", Path: "/sdk"}
	jar := cookiejar.New(endpoint)
	jar.SetCookies(endpoint, []*http.Cookie{{Name: "vmware_soap_session", Value: "52d4a1f0"}})
	saved := jar.All()

	restored := cookiejar.New(endpoint)
	restored.SetCookies(endpoint, saved)
	fmt.Println(restored)
	// Output: cookiejar.Jar(https://vc.example.com:443, 1 cookie)
}
