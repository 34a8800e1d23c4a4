package tokensource_test

import (
	"context"
	"fmt"
	"log"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// What govc needs, and nothing else, configures the program.
func ExampleFromEnv() {
	variables := map[string]string{"GOVC_URL": "vcenter.example.com", "GOVC_USERNAME": "jo@vsphere.local", "GOVC_PASSWORD": "pa55word"}
	env, err := tokensource.FromEnv(func(name string) string { return variables[name] }) // elsewhere os.Getenv
	if err != nil {
		log.Fatal(err)
	}
	network := vmssotest.NewNetwork() // that vCenter, in memory
	defer network.Close()
	network.Serve("vcenter.example.com", vmssotest.NewVCenter(vmssotest.VCenterConfig{Users: map[string]string{"jo@vsphere.local": "pa55word"}}))
	env.Base.Proxy, env.Base.DialContext, env.Base.TLSClientConfig.RootCAs = nil, network.DialContext, network.RootCAs()

	source, err := tokensource.NewSTS(env.STS)
	if err != nil {
		log.Fatal(err)
	}
	transport, err := vmsso.New(vmsso.Config{Endpoint: env.Endpoint, Base: env.Base, Source: source, Auth: &soap.Authenticator{}})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.Close()
	_, err = transport.Session(context.Background()) // logs in
	fmt.Println("error:", err)
	// Output: error: <nil>
}
