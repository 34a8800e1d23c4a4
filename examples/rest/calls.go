package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// listVMs returns the names of the VMs of a vCenter.
func listVMs(ctx context.Context, client *http.Client, url string) (names []string, err error) {
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
		return nil, fmt.Errorf("list of VMs: %s", resp.Status)
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
