package lookup_test

import (
	"context"
	"fmt"

	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/vmssotest"
)

func ExampleNew() {
	net := vmssotest.NewNetwork() // instead of a network with a vCenter
	defer net.Close()
	net.Serve("vc.example.test", vmssotest.NewVCenter(vmssotest.VCenterConfig{}))

	client, err := lookup.New(lookup.Config{URL: "https://vc.example.test", Base: net.Transport()})
	if err != nil {
		fmt.Println(err)
		return
	}
	endpoints, err := client.Endpoints(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(endpoints.Automation)
	fmt.Println(endpoints.STS)
	// Output:
	// https://vc.example.test/api
	// https://vc.example.test/sts/STSService/vsphere.local
}

// The URLs that a vCenter has, without a question to it.
func ExampleWellKnown() {
	endpoints := lookup.WellKnown("vc.example.test")
	fmt.Println(endpoints.Vim) // for Config.Endpoint of vmsso
	fmt.Println(endpoints.Automation)
	fmt.Println(endpoints.STS) // for STSConfig.URL of package tokensource
	// Output:
	// https://vc.example.test/sdk
	// https://vc.example.test/api
	// https://vc.example.test/sts/STSService
}
