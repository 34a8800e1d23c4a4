package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
)

// listVMs returns the names of the VMs on the first page of a typed query. It knows
// nothing of tokens and sessions. It sets no Accept header, which a Cloud Director
// wants to have for the version of the API: the transport adds that of the login.
func listVMs(ctx context.Context, client *http.Client, queryListURL string) (names []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, queryListURL+"?type=vm", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("query of VMs: %s", resp.Status)
	}
	var records struct {
		VMs []struct {
			Name string `xml:"name,attr"`
		} `xml:"VMRecord"`
	}
	if err := xml.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&records); err != nil {
		return nil, fmt.Errorf("query of VMs: %w", err)
	}
	for _, vm := range records.VMs {
		names = append(names, vm.Name)
	}
	return names, nil
}
