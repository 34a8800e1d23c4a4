package toyprotocol_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/examples/toyprotocol"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// The session ends behind the client's back, and the caller does not notice.
func Example() {
	assertion := vmssotest.NewAuthority().Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})
	sys := newSystem(assertion)
	sys.takes = 0
	server := vmssotest.Listen(sys)
	defer server.Close()

	client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
		Endpoint: server.URL,
		Source:   tokensource.Static(&vmsso.Token{Assertion: assertion}),
		Auth:     &toyprotocol.Authenticator{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer transport.Close() // logs out

	for _, text := range []string{"hello", "hello again"} {
		resp, err := client.Post(server.URL+"/echo", "text/plain", strings.NewReader(text))
		if err != nil {
			fmt.Println(err)
			return
		}
		echo, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		logins, _, _ := sys.counts()
		fmt.Printf("%s %q, logins: %d\n", resp.Status, echo, logins)
		sys.kill()
	}
	// Output:
	// 200 OK "hello", logins: 1
	// 200 OK "hello again", logins: 2
}
