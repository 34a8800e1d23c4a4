package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// listVMs returns the names of the VMs of a vCenter. It knows nothing of tokens and
// sessions.
func listVMs(ctx context.Context, client *http.Client, url string) (names []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api", strings.NewReader(
		`{"jsonrpc":"2.0","id":"1","method":"invoke","params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list",`+
			`"input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}}}`))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Result struct {
			Output []struct {
				Structure struct {
					Summary struct{ Name string } `json:"com.vmware.vcenter.VM.summary"`
				}
			}
			Error json.RawMessage // of the operation
		}
		Error json.RawMessage // of JSON-RPC
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("list of VMs: %s: %w", resp.Status, err)
	}
	if answer.Result.Output == nil { // errors, too, have status 200
		return nil, fmt.Errorf("list of VMs: %.500s%.500s", answer.Result.Error, answer.Error)
	}
	for _, vm := range answer.Result.Output {
		names = append(names, vm.Structure.Summary.Name)
	}
	return names, nil
}
