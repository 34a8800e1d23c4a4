package vmssogovmomi_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/pbm"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"

	vmssogovmomi "github.com/vmsso/vmsso/contrib/govmomi"
)

// kills are the ways in which a session ends behind the client's back: the front
// tells of it as a vCenter does, and vcsim in its own words.
var kills = map[string]func(t *testing.T, l *lab) int{
	"by the front":                 func(_ *testing.T, l *lab) int { return l.front.Kill() },
	"by an administrator of vcsim": func(t *testing.T, l *lab) int { return l.terminate(t) },
}

// TestInteropCallsGoOn: clients that were made before the session ended go on in
// another, after one login.
func TestInteropCallsGoOn(t *testing.T) {
	for how, kill := range kills {
		t.Run(how, func(t *testing.T) {
			l := newLab(t)
			vc, transports := l.attached(t)
			profiles, err := pbm.NewClient(t.Context(), vc)
			if err != nil {
				t.Fatal(err)
			}
			disks, err := vslm.NewClient(t.Context(), vc)
			if err != nil {
				t.Fatal(err)
			}
			events := event.NewManager(vc)
			for _, tt := range []struct {
				name string
				call func() error
			}{
				{"properties", func() error { return readRoot(t.Context(), vc) }},
				{"events", func() error {
					got, err := events.QueryEvents(t.Context(), types.EventFilterSpec{})
					return some(len(got), err)
				}},
				{"a view", func() error { return listByView(t.Context(), vc) }},
				{"PBM", func() error { return queryProfiles(t.Context(), profiles) }},
				{"VSLM", func() error {
					_, err := vslm.NewGlobalObjectManager(disks).List(t.Context())
					return err
				}},
			} {
				if err := tt.call(); err != nil {
					t.Errorf("%s, before: %v", tt.name, err)
				}
				if n := kill(t, l); n != 1 {
					t.Fatalf("%s: %d sessions were ended, want 1", tt.name, n)
				}
				before := l.front.Logins()
				if err := tt.call(); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				if got := l.front.Logins() - before; got != 1 {
					t.Errorf("%s: %d logins, want 1", tt.name, got)
				}
			}
			checkElements(t, l, transports)
		})
	}
}

// checkElements: each message had the same session in both places.
func checkElements(t *testing.T, l *lab, transports *vmssogovmomi.Transports) {
	t.Helper()
	s, err := transports.SOAP.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sessions := map[string]bool{}
	for _, r := range l.vcenter.since(0) {
		if r.element != "" {
			sessions[r.element] = true
		}
		if r.placeholder || r.element != "" && r.element != r.cookie {
			t.Errorf("to vCenter came %+v", r)
		}
	}
	if len(sessions) < 3 || !sessions[s.Cookies[0].Value] {
		t.Errorf("the SOAP headers had %d sessions, want several and the last one", len(sessions))
	}
}

// TestInteropTagsGoOn: the session of vSphere Automation ends, and govmomi's REST
// client does not notice.
func TestInteropTagsGoOn(t *testing.T) {
	l := newLab(t)
	vc, transports := l.attached(t)
	manager := tags.NewManager(rest.NewClient(vc))
	for _, tt := range []struct {
		name string
		call func() error
	}{
		{"create", func() error {
			_, err := manager.CreateCategory(t.Context(), &tags.Category{Name: "kind", Cardinality: "SINGLE"})
			return err
		}},
		{"list", func() error {
			got, err := manager.ListCategories(t.Context())
			return some(len(got), err)
		}},
	} {
		l.endREST(t, transports)
		before := l.vcenter.at("/api/session") // which vcsim does not have: each login asks there first
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := l.vcenter.at("/api/session") - before; got != 1 {
			t.Errorf("%s: %d logins, want 1", tt.name, got)
		}
	}
	if got := l.front.Logins(); got != 0 {
		t.Errorf("%d logins of SOAP for REST, want none", got)
	}
}

// endREST ends the session of vSphere Automation, as another program could that
// knows its ID.
func (l *lab) endREST(t *testing.T, transports *vmssogovmomi.Transports) {
	t.Helper()
	s, err := transports.Automation.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u := l.admin.URL()
	u.Path = "/rest/com/vmware/cis/session"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = s.Header.Clone()
	resp, err := l.admin.DefaultTransport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// TestInteropWhatLivedInTheSessionIsReportedLost, and never silently empty.
func TestInteropWhatLivedInTheSessionIsReportedLost(t *testing.T) {
	for how, kill := range kills {
		t.Run(how, func(t *testing.T) {
			l := newLab(t)
			vc, _ := l.attached(t)
			for name, make := range map[string]func(ctx context.Context, vc *vim25.Client) (func() error, error){
				"a container view":            useView,
				"a collector of events":       useEventCollector,
				"a filter and its updates":    useFilter,
				"the latest page of events":   useLatestPage,
				"a property collector of its": usePropertyCollector,
			} {
				use, err := make(t.Context(), vc)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := use(); err != nil {
					t.Errorf("%s, before: %v", name, err)
				}
				kill(t, l)
				before := l.front.Logins()
				if err := use(); err == nil {
					t.Errorf("%s: no error, want that it is lost", name)
				} else {
					t.Logf("%s: %v", name, err)
				}
				if err := readRoot(t.Context(), vc); err != nil {
					t.Errorf("the next call after that of %s: %v", name, err)
				}
				if got := l.front.Logins() - before; got != 1 {
					t.Errorf("%s: %d logins, want 1", name, got)
				}
				if err := use(); err == nil {
					t.Errorf("%s, in the next session: no error", name)
				}
			}
		})
	}
}

func useView(ctx context.Context, vc *vim25.Client) (func() error, error) {
	v, err := view.NewManager(vc).CreateContainerView(ctx, vc.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, err
	}
	return func() error {
		var vms []mo.VirtualMachine
		err := v.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name"}, &vms)
		return some(len(vms), err)
	}, nil
}

func useEventCollector(ctx context.Context, vc *vim25.Client) (func() error, error) {
	c, err := event.NewManager(vc).CreateCollectorForEvents(ctx, types.EventFilterSpec{})
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := c.ReadNextEvents(ctx, 10)
		return err
	}, nil
}

func useLatestPage(ctx context.Context, vc *vim25.Client) (func() error, error) {
	c, err := event.NewManager(vc).CreateCollectorForEvents(ctx, types.EventFilterSpec{})
	if err != nil {
		return nil, err
	}
	return func() error {
		page, err := c.LatestPage(ctx)
		return some(len(page), err)
	}, nil
}

func usePropertyCollector(ctx context.Context, vc *vim25.Client) (func() error, error) {
	c, err := property.DefaultCollector(vc).Create(ctx)
	if err != nil {
		return nil, err
	}
	return func() error {
		var root mo.Folder
		return c.RetrieveOne(ctx, vc.ServiceContent.RootFolder, []string{"name"}, &root)
	}, nil
}

// useFilter waits for updates that follow those that came before. What is asked
// first, without a version, would be answered in any session.
func useFilter(ctx context.Context, vc *vim25.Client) (func() error, error) {
	c, err := property.DefaultCollector(vc).Create(ctx)
	if err != nil {
		return nil, err
	}
	_, err = c.CreateFilter(ctx, types.CreateFilter{Spec: types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vc.ServiceContent.RootFolder}},
		PropSet:   []types.PropertySpec{{Type: "Folder", PathSet: []string{"name"}}},
	}})
	if err != nil {
		return nil, err
	}
	version := ""
	return func() error {
		res, err := methods.WaitForUpdatesEx(ctx, vc, &types.WaitForUpdatesEx{
			This: c.Reference(), Version: version, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(0)},
		})
		if err == nil && res.Returnval != nil {
			version = res.Returnval.Version
		}
		return err
	}, nil
}

func readRoot(ctx context.Context, vc *vim25.Client) error {
	var root mo.Folder
	err := property.DefaultCollector(vc).RetrieveOne(ctx, vc.ServiceContent.RootFolder, []string{"name"}, &root)
	if err == nil && root.Name != "Datacenters" {
		err = errors.New("the root folder has no name")
	}
	return err
}

func listByView(ctx context.Context, vc *vim25.Client) error {
	use, err := useView(ctx, vc)
	if err != nil {
		return err
	}
	return use()
}

// TestInteropGovmomiAloneFailsWhereOursGoesOn: 200 goroutines call when the
// session has ended. That is the same for both, and so is the lab.
func TestInteropGovmomiAloneFailsWhereOursGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name             string
		client           func(t *testing.T, l *lab) *vim25.Client
		failures, logins int
	}{
		{"attached", func(t *testing.T, l *lab) *vim25.Client {
			vc, _ := l.attached(t)
			return vc
		}, 0, 1},
		{"govmomi alone", func(t *testing.T, l *lab) *vim25.Client { return l.govmomiAlone(t, l.url, l.pem) }, goroutines, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			vc := tt.client(t, l)
			if _, err := methods.GetCurrentTime(t.Context(), vc); err != nil {
				t.Fatal(err)
			}
			if n := l.terminate(t); n != 1 {
				t.Fatalf("%d sessions were ended, want 1", n)
			}
			before := l.vcenter.logins()
			failures := atOnce(func() error {
				_, err := methods.GetCurrentTime(t.Context(), vc)
				return err
			})
			logins := l.vcenter.logins() - before
			t.Logf("%d goroutines on a session that has ended: %d failures, %d logins", goroutines, failures, logins)
			if failures != tt.failures || logins != tt.logins {
				t.Errorf("want %d failures and %d logins", tt.failures, tt.logins)
			}
		})
	}
}

// atOnce makes a call from each of many goroutines, and counts the errors.
func atOnce(call func() error) (failures int) {
	var all sync.WaitGroup
	gate := make(chan struct{})
	errs := make([]error, goroutines)
	for i := range errs {
		all.Go(func() {
			<-gate
			errs[i] = call()
		})
	}
	close(gate)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			failures++
		}
	}
	return failures
}
