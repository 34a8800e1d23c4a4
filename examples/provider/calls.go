package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// siteName returns the name of a Cloud Director, which the provider alone may ask
// for. It knows nothing of tokens and sessions.
func siteName(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/cloudapi/1.0.0/site", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("site: %s", resp.Status)
	}
	var site struct{ Name string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&site); err != nil {
		return "", fmt.Errorf("site: %w", err)
	}
	return site.Name, nil
}
