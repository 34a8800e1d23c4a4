package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A call is plain net/http: it knows nothing of tokens and sessions.
type call struct {
	name, method, path, contentType, body string

	want string // is in an answer that is a success; of JSON-RPC, errors too have status 200
}

func calls() []call {
	return []call{
		{"SOAP", http.MethodPost, "/sdk", "text/xml; charset=utf-8", `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>` +
			`<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`, "returnval"},
		{"file of a datastore", http.MethodGet, "/folder/web01/web01.vmx?dcPath=DC0&dsName=datastore1", "", "", "web01"},
		{"REST", http.MethodGet, "/api/vcenter/vm", "", "", "web01"},
		{"JSON-RPC", http.MethodPost, "/api", "application/json", `{"jsonrpc":"2.0","id":"1","method":"invoke","params":{` +
			`"serviceId":"com.vmware.vcenter.VM","operationId":"list","input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}}}`, "web01"},
	}
}

func (c call) do(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, c.method, url+c.path, strings.NewReader(c.body))
	if err != nil {
		return err
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(c.want)) {
		return fmt.Errorf("%s: %s: %.200q", c.name, resp.Status, answer)
	}
	return nil
}
