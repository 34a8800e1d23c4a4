package vmssotest_test

import (
	"fmt"

	"github.com/vmsso/vmsso/vmssotest"
)

// What a vCenter registers. A test changes what it likes before it hands the list to NewLookup, such as the URL of a server from Listen.
func ExampleLookupServices() {
	for _, service := range vmssotest.LookupServices("https://vc.example.test") {
		for _, endpoint := range service.Endpoints {
			fmt.Println(service.Type, endpoint.Protocol, endpoint.URL)
		}
	}
	// Output:
	// cs.identity wsTrust https://vc.example.test/sts/STSService/vsphere.local
	// cs.identity vmomi https://vc.example.test/sso-adminserver/sdk/vsphere.local
	// cs.vapi vapi.json.https.public https://vc.example.test/api
	// vcenterserver vmomi https://vc.example.test/sdk
	// sms https https://vc.example.test/pbm
}
