package interop_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/automation"
)

const listVMs = `{"jsonrpc":"2.0","method":"invoke","params":{"serviceId":"com.vmware.vcenter.VM","operationId":"list",` +
	`"input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}},"id":"7"}`

// JSON-RPC of vcsim is "just enough json-rpc to support Supervisor upgrade
// testing", says its source: POST /api with the two operations create and delete
// of the session. It looks at serviceId and operationId alone: not at token,
// signature, timestamp and securityCtx, not at the vapi headers, Content-Type,
// method and version, and not at whether there is a session. create makes one,
// which counts for REST too; delete answers like any other call, with the
// output null, and deletes nothing. There are no errors. So these tests show
// that its answers are understood, and that a session serves both protocols;
// when it ends, only REST tells.

func TestInteropJSONRPCLogsIn(t *testing.T) {
	for name, tok := range kinds() {
		t.Run(name, func(t *testing.T) {
			v := newVcsim(t)
			client, transport, rec := v.login(t, automation.JSONRPC, tok)
			if got := v.callRPC(t, client); got != `{"id":"7","jsonrpc":"2.0","result":{"output":null}}` {
				t.Errorf("got %s", got)
			}
			if got := v.callRPC(t, &http.Client{Transport: v.transport}); !strings.Contains(got, `"output":null`) {
				t.Errorf("without a session: got %s, want an answer: if vcsim checks that by now, these tests can show more", got)
			}
			if _, err := v.listTags(t, client); err != nil {
				t.Errorf("REST in a session of JSON-RPC: %v", err)
			}
			for what, want := range map[string]int{byRPC: 1, byREST: 0, "POST /api/session 404": 0} {
				if got := rec.count(what); got != want {
					t.Errorf("%s: %d times, want %d", what, got, want)
				}
			}
			id := sessionID(t, transport)
			if err := transport.Close(); err != nil || rec.count("com.vmware.cis.session delete 200") != 1 {
				t.Errorf("Close: %v, and %d times delete, want once", err, rec.count("com.vmware.cis.session delete 200"))
			}
			if got := v.status(t, http.MethodGet, tagPath, id); got != http.StatusOK {
				t.Errorf("after delete: status %d, want 200: if vcsim deletes by now, this test can ask for 401", got)
			}
		})
	}
}

func TestInteropJSONRPCSessionEnds(t *testing.T) {
	v := newVcsim(t)
	client, transport, rec := v.login(t, automation.JSONRPC, kinds()["holder-of-key"])
	v.endSession(t, transport)
	v.callRPC(t, client)
	if got := rec.count(byRPC); got != 1 {
		t.Errorf("%d logins after a call over JSON-RPC, want 1: vcsim does not tell there", got)
	}
	for logins := 2; logins <= 3; logins++ {
		if err := atOnce(func() error {
			_, err := v.listTags(t, client)
			return err
		}); err != nil {
			t.Error(err)
		}
		if got := rec.count(byRPC); got != logins {
			t.Errorf("%d logins for %d callers of REST, want %d", got, goroutines, logins)
		}
		v.endSession(t, transport)
	}
}

// callRPC makes a call over JSON-RPC and returns the answer.
func (v *vcsim) callRPC(t *testing.T, client *http.Client) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url+"/api", strings.NewReader(listVMs))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	return string(bytes.TrimSpace(body))
}
