package cookiejar_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
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

// The runs of a command share one session, also those that run at the same time: the first one logs in. The key has 32 random bytes, and is kept
// elsewhere, such as in the key ring of the system.
func ExampleFileStore() {
	list := func(ctx context.Context, source vmsso.TokenSource, user string, key []byte) error {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		sessions, err := cookiejar.NewFileStore(filepath.Join(cache, "vmlist", "sessions"))
		if err != nil {
			return err
		}
		client, transport, err := vmsso.Wrap(nil, vmsso.Config{
			Endpoint: "https://vc.example.com",
			Source:   source,
			Auth:     &automation.Authenticator{},
			Store:    sessions,
			Identity: user, // and whatever else decides what the session may do
			StoreKey: key,
		})
		if err != nil {
			return err
		}
		defer transport.Close() // leaves the session to the next run; Logout would end it

		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://vc.example.com/api/vcenter/vm", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	_ = list
}
