package cookiejar_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

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

// A jar is for one server: net/http/cookiejar would give the cookie to every port of the host.
func ExampleNew() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "vmware_soap_session", Value: "52d4a1f0", HttpOnly: true})
		fmt.Fprintln(w, "cookies that came:", len(r.Cookies()))
	})
	server, other := httptest.NewServer(handler), httptest.NewServer(handler)
	defer server.Close()
	defer other.Close()

	endpoint, err := url.Parse(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Jar: cookiejar.New(endpoint)}
	for _, u := range []string{server.URL, server.URL, other.URL} {
		resp, err := client.Get(u)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = io.Copy(os.Stdout, resp.Body)
		resp.Body.Close()
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// cookies that came: 0
	// cookies that came: 1
	// cookies that came: 0
}
