package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"
)

// A caller is somebody who makes a call, again and again.
type caller struct {
	who    string
	logins func() int // of all who call the same system
	call   func(context.Context) (result string, err error)
}

// call makes the call, and tells what came of it and how many logins the server
// counted meanwhile.
func (t *tour) call(ctx context.Context, c caller) error {
	start, before := time.Now(), c.logins()
	result, err := c.call(ctx)
	if err != nil {
		return err
	}
	t.out.line(c.who, result+"; "+plural(c.logins()-before, "login"), start)
	return nil
}

// goroutines is how many callers come at once.
const goroutines = 50

// atOnce makes the call from each of many goroutines.
func (t *tour) atOnce(ctx context.Context, c caller) error {
	start, before := time.Now(), c.logins()
	if err := storm(func() error {
		_, err := c.call(ctx)
		return err
	}); err != nil {
		return err
	}
	logins := c.logins() - before
	t.late, t.relogins = t.late+goroutines, t.relogins+logins
	t.out.line(c.who, fmt.Sprintf("%d calls at once succeed; %s", goroutines, plural(logins, "login")), start)
	return nil
}

// storm returns the error of one of those that failed.
func storm(call func() error) error {
	var (
		all  sync.WaitGroup
		gate = make(chan struct{})
		errs = make(chan error, goroutines)
	)
	for range goroutines {
		all.Go(func() {
			<-gate
			errs <- call()
		})
	}
	close(gate)
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A vcenter has calls as any code makes them that takes an http.Client and the
// URL of a vCenter.
type vcenter struct {
	client *http.Client
	url    string // without a path
}

// currentTime asks over SOAP.
func (v *vcenter) currentTime(ctx context.Context) (string, error) {
	const message = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>` +
		`<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`
	header := http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Soapaction": {"urn:vim25/8.0"}}
	body, err := send(ctx, v.client, http.MethodPost, v.url+"/sdk", header, message)
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(body), "<returnval>")
	value, _, _ := strings.Cut(rest, "</returnval>")
	now, err := time.Parse(time.RFC3339, value)
	return now.Format("CurrentTime 15:04:05.000"), err
}

// readFile reads a file of a datastore, in the session of SOAP.
func (v *vcenter) readFile(ctx context.Context) (string, error) {
	body, err := send(ctx, v.client, http.MethodGet, v.url+"/folder/web01/web01.vmx?dcPath=DC0&dsName=datastore1", nil, "")
	return fmt.Sprintf("web01.vmx, %d bytes", len(body)), err
}

// listByREST lists the VMs.
func (v *vcenter) listByREST(ctx context.Context) (string, error) {
	body, err := send(ctx, v.client, http.MethodGet, v.url+"/api/vcenter/vm", nil, "")
	if err != nil {
		return "", err
	}
	var vms []struct{ VM, Name string }
	err = json.Unmarshal(body, &vms)
	return listOf(len(vms)), err
}

// listByRPC lists the VMs as programs with VMware's SDK for Automation do.
func (v *vcenter) listByRPC(ctx context.Context) (string, error) {
	const message = `{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list",` +
		`"input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}},"id":"1"}`
	body, err := send(ctx, v.client, http.MethodPost, v.url+"/api", http.Header{"Content-Type": {"application/json"}}, message)
	if err != nil {
		return "", err
	}
	var answer struct {
		Result struct{ Output []json.RawMessage }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", err
	}
	if answer.Result.Output == nil { // errors, too, have status 200
		return "", errors.New("list of VMs: the server answered with an error")
	}
	return listOf(len(answer.Result.Output)), nil
}

// A cloud has a call to a Cloud Director. It starts from a URL that the system
// gave.
type cloud struct {
	client *http.Client
	query  string
}

func (c *cloud) listVMs(ctx context.Context) (string, error) {
	body, err := send(ctx, c.client, http.MethodGet, c.query+"?type=vm", nil, "")
	if err != nil {
		return "", err
	}
	var records struct {
		VMs []struct{} `xml:"VMRecord"`
	}
	err = xml.Unmarshal(body, &records)
	return listOf(len(records.VMs)), err
}

func (t *tour) listByGovmomi(ctx context.Context) (string, error) {
	names, err := listVMs(ctx, t.govmomi)
	return listOf(len(names)), err
}

// listVMs is plain govmomi.
func listVMs(ctx context.Context, client *vim25.Client) (names []string, err error) {
	vms, err := find.NewFinder(client).VirtualMachineList(ctx, "/*/vm/*")
	for _, vm := range vms {
		names = append(names, vm.Name())
	}
	return names, err
}

func listOf(n int) string { return fmt.Sprintf("a list of %d VMs", n) }

// send is plain net/http. It returns the body of an answer that is a success.
func send(ctx context.Context, client *http.Client, method, url string, header http.Header, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: the server answered %s", method, req.URL.Path, resp.Status)
	}
	return answer, err
}
