package interop_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	govsoap "github.com/vmware/govmomi/vim25/soap"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// TestInteropRoutes: all of govmomi's clients on one RoundTripper. A VM, which
// SOAP finds, gets a tag, which is REST, and no client ever logs in.
func TestInteropRoutes(t *testing.T) {
	v := newVcsim(t)
	source := tokensource.Static(kinds()["holder-of-key"])
	vim, err := vmsso.New(vmsso.Config{Endpoint: v.url + "/sdk", Source: source, Auth: &soap.Authenticator{}, Base: v.transport})
	if err != nil {
		t.Fatal(err)
	}
	api, err := vmsso.New(vmsso.Config{Endpoint: v.url, Source: source, Auth: &automation.Authenticator{}, Base: v.transport})
	if err != nil {
		t.Fatal(err)
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/sdk": vim, "/folder": vim, "/api": api, "/rest": api})
	if err != nil {
		t.Fatal(err)
	}

	vc, rc := govmomi(t, v, routes)
	vm, err := find.NewFinder(vc).VirtualMachine(t.Context(), "/DC0/vm/DC0_H0_VM0")
	if err != nil {
		t.Fatal(err)
	}
	tag, err := newTag(t, rc, "blue")
	if err != nil {
		t.Fatal(err)
	}
	manager := tags.NewManager(rc)
	if err := manager.AttachTag(t.Context(), tag, vm); err != nil {
		t.Fatal(err)
	}

	v.endSession(t, api)
	if err := session.NewManager(vc).Logout(t.Context()); err != nil { // of SOAP alone
		t.Fatal(err)
	}
	if _, err := find.NewFinder(vc).VirtualMachine(t.Context(), "/DC0/vm/DC0_H0_VM0"); err != nil {
		t.Errorf("SOAP after the end of its session: %v", err)
	}
	if got, err := manager.GetAttachedTags(t.Context(), vm); err != nil || len(got) != 1 || got[0].ID != tag {
		t.Errorf("REST after the end of its session: %v, %v; want the tag %s", got, err, tag)
	}

	id := sessionID(t, api)
	if err := routes.Close(); err != nil {
		t.Error(err)
	}
	if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusUnauthorized {
		t.Errorf("after Close: status %d, want 401", got)
	}
}

// govmomi returns its clients of both APIs, neither logged in.
func govmomi(t *testing.T, v *vcsim, transport http.RoundTripper) (*vim25.Client, *rest.Client) {
	t.Helper()
	u, err := url.Parse(v.url + "/sdk")
	if err != nil {
		t.Fatal(err)
	}
	client := govsoap.NewClient(u, false)
	client.Client.Transport = transport
	vc, err := vim25.NewClient(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	rc := rest.NewClient(vc)
	rc.Transport = transport
	return vc, rc
}
