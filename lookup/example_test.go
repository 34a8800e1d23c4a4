package lookup_test

import (
	"context"
	"fmt"

	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/vmssotest"
)

func ExampleClient() {
	net := vmssotest.NewNetwork() // instead of a network with a vCenter
	defer net.Close()
	net.Serve("vc.example.test", vmssotest.NewLookup(vmssotest.LookupConfig{Services: vmssotest.LookupServices("https://vc.example.test")}))

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

func ExampleWellKnown() {
	fmt.Println(lookup.WellKnown("vc.example.test").Automation)
	// Output: https://vc.example.test/api
}
