package main

import (
	"context"
	"fmt"
	"net/http"
)

// list is plain net/http, and knows nothing of tokens.
func list(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/vcenter/vm", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	fmt.Println("list of VMs:", resp.Status)
	return resp.Body.Close()
}
