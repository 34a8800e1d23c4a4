package vmssogovmomi_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/cns"
	cnstypes "github.com/vmware/govmomi/cns/types"
	"github.com/vmware/govmomi/eam"
	eamobject "github.com/vmware/govmomi/eam/object"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/lookup"
	lookuptypes "github.com/vmware/govmomi/lookup/types"
	"github.com/vmware/govmomi/pbm"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/session/cache"
	"github.com/vmware/govmomi/ssoadmin"
	"github.com/vmware/govmomi/sts"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vsan"
	"github.com/vmware/govmomi/vslm"

	"github.com/vmsso/vmsso"
)

// A service is one for which govmomi makes a client of its own.
type service struct {
	path string // where its call goes
	psc  bool   // on the other host, which gets no session
	call func(ctx context.Context, vc *vim25.Client) error
}

// services are they all, by the function of govmomi that makes the client; but for
// that of package session/cache, see TestInteropSessionCache.
var services = map[string]service{
	"cns.NewClient":       {path: "/vsanHealth", call: createVolume},
	"eam.NewClient":       {path: "/eam/sdk", call: listAgencies},
	"lookup.NewClient":    {path: "/lookupservice/sdk", psc: true, call: listServices},
	"pbm.NewClient":       {path: "/pbm", call: listProfiles},
	"ssoadmin.NewClient":  {path: "/sso-adminserver/sdk/vsphere.local", psc: true, call: administrate},
	"sts.NewClient":       {path: "/sts/STSService/vsphere.local", psc: true, call: issue},
	"vapi/rest.NewClient": {path: "/rest/com/vmware/cis/tagging/tag", call: listTags},
	"vsan.NewClient":      {path: "/vsanHealth", call: readVSAN},
	"vslm.NewClient":      {path: "/vslm/sdk", call: listDisks},
}

// TestEveryServiceClientIsAttached: govmomi has made no service client that is not
// in the table, and what each of the table sends has passed our transport.
func TestEveryServiceClientIsAttached(t *testing.T) {
	want := append(slices.Collect(maps.Keys(services)), "session/cache.Login")
	slices.Sort(want)
	if got := makers(t); !slices.Equal(got, want) {
		t.Fatalf("govmomi makes service clients in\n%v\nand this test knows\n%v", got, want)
	}
	l := newLab(t)
	vc, transports := l.attached(t)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		t.Run(name, func(t *testing.T) {
			s := services[name]
			host, other := &l.vcenter, &l.psc
			if s.psc {
				host, other = other, host
			}
			before := host.at(s.path)
			if err := s.call(t.Context(), vc); err != nil {
				t.Error(err)
			}
			if got := host.at(s.path) - before; got == 0 || other.at(s.path) != 0 {
				t.Errorf("%d calls of %s, and %d at the other host; want some, and none", got, s.path, other.at(s.path))
			}
			if sent, came := l.base.count(), l.vcenter.count()+l.psc.count(); sent != came {
				t.Errorf("%d requests came, and %d of them passed our transport", came, sent)
			}
		})
	}
	checkSessions(t, l, transports.SOAP)
	if got := l.front.Logins(); got != 1 {
		t.Errorf("%d logins, want 1", got)
	}
}

// makers returns the functions of govmomi that make a service client, but for
// those of the package that has the method.
func makers(t *testing.T) (names []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/vmware/govmomi").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(out))
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		folder = filepath.ToSlash(folder)
		if err != nil || folder == "vim25/soap" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			name := "a declaration"
			if fn, ok := decl.(*ast.FuncDecl); ok {
				name = fn.Name.Name
			}
			if makesClient(decl) {
				names = append(names, folder+"."+name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func makesClient(decl ast.Decl) (found bool) {
	ast.Inspect(decl, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && (sel.Sel.Name == "NewServiceClient" || sel.Sel.Name == "newServiceClientWithTransport") {
			found = true
		}
		return !found
	})
	return found
}

// checkSessions checks what has come to the hosts: to the vCenter, the session of
// SOAP, in both places where there are two; to the other, none. The placeholder
// came to neither.
func checkSessions(t *testing.T, l *lab, transport *vmsso.Transport) {
	t.Helper()
	s, err := transport.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	elements := 0
	for _, r := range l.vcenter.since(0) {
		if r.element != "" {
			elements++
		}
		if r.placeholder || r.element != "" && (r.element != r.cookie || r.element != s.Cookies[0].Value) {
			t.Errorf("to vCenter came %+v", r)
		}
	}
	for _, r := range l.psc.since(0) {
		if r.placeholder || r.cookie != "" || r.element != "" {
			t.Errorf("to the other host came %+v", r)
		}
	}
	if elements == 0 || l.psc.count() == 0 {
		t.Errorf("%d messages had a session in the SOAP header, and %d came to the other host: want some of both", elements, l.psc.count())
	}
}

// TestInteropSessionCache: package session/cache makes a client of its own, which
// its function for settings can attach.
func TestInteropSessionCache(t *testing.T) {
	l := newLab(t)
	cached := &cache.Session{URL: l.url, Passthrough: true, LoginREST: func(context.Context, *rest.Client) error { return nil }}
	rc := new(rest.Client)
	err := cached.Login(t.Context(), rc, func(c *soap.Client) error {
		l.attach(t, c)
		t.Cleanup(c.CloseIdleConnections)
		return c.SetRootCAs(l.pem)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tags.NewManager(rc).ListTags(t.Context()); err != nil {
		t.Error(err)
	}
	if sent, came := l.base.count(), l.vcenter.count(); sent != came || came == 0 {
		t.Errorf("%d requests came, and %d of them passed our transport", came, sent)
	}
}

func createVolume(ctx context.Context, vc *vim25.Client) error {
	c, err := cns.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	ds, err := find.NewFinder(vc).Datastore(ctx, "LocalDS_0")
	if err != nil {
		return err
	}
	task, err := c.CreateVolume(ctx, []cnstypes.CnsVolumeCreateSpec{{
		Name: "data", VolumeType: string(cnstypes.CnsVolumeTypeBlock), Datastores: []types.ManagedObjectReference{ds.Reference()},
		BackingObjectDetails: &cnstypes.CnsBlockBackingDetails{CnsBackingObjectDetails: cnstypes.CnsBackingObjectDetails{CapacityInMb: 10}},
	}})
	if err != nil {
		return err
	}
	return task.Wait(ctx) // by the second client, which cns hides
}

func listAgencies(ctx context.Context, vc *vim25.Client) error {
	_, err := eamobject.NewEsxAgentManager(eam.NewClient(vc), eam.EsxAgentManager).Agencies(ctx)
	return err
}

func listServices(ctx context.Context, vc *vim25.Client) error {
	c, err := lookup.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	_, err = c.List(ctx, &lookuptypes.LookupServiceRegistrationFilter{})
	return err
}

func listProfiles(ctx context.Context, vc *vim25.Client) error {
	c, err := pbm.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	return queryProfiles(ctx, c)
}

func queryProfiles(ctx context.Context, c *pbm.Client) error {
	ids, err := c.QueryProfile(ctx, pbmtypes.PbmProfileResourceType{ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE)}, "")
	return some(len(ids), err)
}

// some tells an empty list from one that was read.
func some(n int, err error) error {
	if err == nil && n == 0 {
		err = errors.New("the list is empty")
	}
	return err
}

// administrate: vcsim wants a session of single sign-on. That of vCenter is none.
func administrate(ctx context.Context, vc *vim25.Client) error {
	_, err := ssoadmin.NewClient(ctx, vc)
	if fault.Is(err, &types.NotAuthenticated{}) {
		return nil
	}
	return err
}

func issue(ctx context.Context, vc *vim25.Client) error {
	c, err := sts.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	_, err = c.Issue(ctx, sts.TokenRequest{Userinfo: password})
	return err
}

func listTags(ctx context.Context, vc *vim25.Client) error {
	_, err := tags.NewManager(rest.NewClient(vc)).ListTags(ctx)
	return err
}

func readVSAN(ctx context.Context, vc *vim25.Client) error {
	c, err := vsan.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	cluster, err := find.NewFinder(vc).ClusterComputeResource(ctx, "DC0_C0")
	if err != nil {
		return err
	}
	_, err = c.VsanClusterGetConfig(ctx, cluster.Reference())
	return err
}

func listDisks(ctx context.Context, vc *vim25.Client) error {
	c, err := vslm.NewClient(ctx, vc)
	if err != nil {
		return err
	}
	_, err = vslm.NewGlobalObjectManager(c).List(ctx)
	return err
}
