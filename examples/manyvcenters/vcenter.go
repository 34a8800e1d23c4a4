package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
)

// An answer is what came of one vCenter.
type answer struct {
	vms int
	err error
}

// countVMs logs in to one vCenter, counts its virtual machines, and logs out.
func countVMs(ctx context.Context, url string, source vmsso.TokenSource, base http.RoundTripper) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // one that hangs does not hold up the rest
	defer cancel()
	client, transport, err := vmsso.Wrap(&http.Client{Transport: base}, vmsso.Config{
		Endpoint:   url,
		Source:     source,
		Auth:       &automation.Authenticator{},
		MaxRetries: -1, // one that is down is told at once, not after some seconds
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, transport.Close()) }() // logs out

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/vcenter/vm", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", url, resp.Status)
	}
	var vms []struct{ Name string }
	err = json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&vms)
	return len(vms), err
}
