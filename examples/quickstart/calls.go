package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25"
)

// currentTime is a call as any SOAP code makes it.
func currentTime(ctx context.Context, client *http.Client, url string) (now time.Time, err error) {
	const message = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>` +
		`<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(message))
	if err != nil {
		return now, err
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", "urn:vim25/8.0")
	resp, err := client.Do(req)
	if err != nil {
		return now, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return now, err
	}
	_, rest, _ := strings.Cut(string(body), "<returnval>")
	value, _, found := strings.Cut(rest, "</returnval>")
	if !found {
		return now, fmt.Errorf("CurrentTime: the server answered %s", resp.Status)
	}
	return time.Parse(time.RFC3339, value)
}

// listVMs is plain govmomi.
func listVMs(ctx context.Context, client *vim25.Client) (names []string, err error) {
	vms, err := find.NewFinder(client).VirtualMachineList(ctx, "/*/vm/*")
	for _, vm := range vms {
		names = append(names, vm.Name())
	}
	return names, err
}

// twice makes a call two times: the first has to log in. It reports how many
// logins the server counted meanwhile.
func (t *tour) twice(who string, logins func() int, call func() (string, error)) error {
	for _, which := range []string{"first call", "second call"} {
		start, before := time.Now(), logins()
		result, err := call()
		if err != nil {
			return err
		}
		t.out.line(who+", "+which, result+"; "+plural(logins()-before, "login"), start)
	}
	return nil
}

// goroutines is how many callers come at once.
const goroutines = 50

// atOnce makes a call from each of many goroutines.
func (t *tour) atOnce(who, what string, logins func() int, call func() error) error {
	start, before := time.Now(), logins()
	if err := storm(call); err != nil {
		return err
	}
	t.late += goroutines
	t.out.line(who, fmt.Sprintf("%d %s at once succeed; %s", goroutines, what, plural(logins()-before, "login")), start)
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
