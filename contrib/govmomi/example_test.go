package vmssogovmomi_test

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/pbm"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
	"github.com/vmsso/vmsso/tokensource"
)

// A program against a vCenter of your own: it compiles, and is not run here.
func Example() {
	if err := list(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func list(ctx context.Context) error {
	source, err := tokensource.NewSTS(tokensource.STSConfig{
		URL:      "https://vcenter.example.com/sts/STSService",
		Username: "alice@vsphere.local", Password: os.Getenv("PASSWORD"),
	})
	if err != nil {
		return err
	}
	endpoint := &url.URL{Scheme: "https", Host: "vcenter.example.com", Path: "/sdk"}

	client := soap.NewClient(endpoint, false) // govmomi's package soap
	transports, err := vmssogovmomi.Attach(client, vmsso.Config{Source: source})
	if err != nil {
		return err
	}
	defer transports.Close() // logs out

	vc, err := vim25.NewClient(ctx, client)
	if err != nil {
		return err
	}
	vms, err := find.NewFinder(vc).VirtualMachineList(ctx, "*") // logs in
	if err != nil {
		return err
	}
	profiles, err := pbm.NewClient(ctx, vc) // in the same session
	if err != nil {
		return err
	}
	all, err := tags.NewManager(rest.NewClient(vc)).ListTags(ctx) // logs in to vSphere Automation
	fmt.Println(vms, profiles.ServiceContent.AboutInfo.Version, all)
	return err
}
