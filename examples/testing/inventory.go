// Package inventory shows how to test a program of yours without a vCenter, with
// package vmssotest. This file is the program: it takes an http.Client that is logged
// in, and knows nothing of tokens and sessions. The tests beside it are the example.
package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// VMs returns the names of the VMs of the vCenter at url.
func VMs(ctx context.Context, client *http.Client, url string) (names []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/vcenter/vm", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list of VMs: the vCenter answers %s", resp.Status)
	}
	var vms []struct{ Name string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&vms); err != nil {
		return nil, fmt.Errorf("list of VMs: %w", err)
	}
	for _, vm := range vms {
		names = append(names, vm.Name)
	}
	return names, nil
}
