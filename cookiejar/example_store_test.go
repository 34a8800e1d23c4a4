package cookiejar_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// The runs of a command share one session, also those that run at the same time: the first one logs in.
func ExampleNewFileStore() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	source := tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})})
	dir, err := os.MkdirTemp("", "vmlist") // elsewhere below os.UserCacheDir
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	key := make([]byte, 32) // made once, and kept elsewhere, such as in the key ring of the system
	if _, err := rand.Read(key); err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		if err := list(server, source, dir, "alice@vsphere.local", key); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("logins:", vcenter.Logins())
	// Output: logins: 1
}

// list is one run of the command.
func list(server *vmssotest.Server, source vmsso.TokenSource, dir, user string, key []byte) error {
	sessions, err := cookiejar.NewFileStore(dir)
	if err != nil {
		return err
	}
	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
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

	resp, err := client.Get(server.URL + "/api/vcenter/vm")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
