package vmssotest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// FuzzSIGNHeader: whatever comes, the parser answers; what it accepts can be written again and is read the same; and only the recorded request logs
// in.
func FuzzSIGNHeader(f *testing.F) {
	for _, v := range vectorLogins {
		f.Add(strings.Join(v.request(f).Header["Authorization"], "\n"))
	}
	f.Add(newAutomationLogin().build(f).Header.Get("Authorization"))
	f.Add("SIGN token=\"a\",\ntoken=\"b\", nonce=\"1:2\"")
	f.Add("SIGN token=\"")
	f.Add("SIGN ")
	vector := vectorLogins[0]
	f.Fuzz(func(t *testing.T, header string) {
		lines := strings.Split(header, "\n")
		if s, err := parseSIGN(lines); err == nil {
			var pairs []string
			for key, value := range s {
				pairs = append(pairs, key+`="`+value+`"`)
			}
			again, err := parseSIGN([]string{"SIGN " + strings.Join(pairs, ", ")})
			if err != nil || len(again) != len(s) {
				t.Fatalf("%q is read as %q, which is read as %q: %v", header, s, again, err)
			}
			for key := range s {
				if again[key] != s[key] {
					t.Errorf("%s: %q, then %q", key, s[key], again[key])
				}
			}
		}
		server, r := vector.server(t), vector.request(t)
		r.Header["Authorization"] = lines
		var login AutomationLogin
		server.cfg.OnLogin = func(l AutomationLogin) { login = l }
		if w := serve(server, r); w.Code == http.StatusCreated && (login.AssertionID == "" || !login.HolderOfKey) {
			t.Errorf("accepted: %q", header)
		}
	})
}

// FuzzJSONRPC: whatever comes, the server answers with JSON; the canonical form of what is read is JSON, and its own canonical form; and only with a
// recorded token does anybody log in, by a request that says what was signed.
func FuzzJSONRPC(f *testing.F) {
	for _, name := range []string{"java-2.19.0-hok.body.json", "go-runtime-bearer.body.json", "canonical-inputs.json", "canonical-expected.json"} {
		f.Add([]byte(read(f, name)))
	}
	f.Add([]byte(indented(read(f, "java-2.19.0-hok.body.json"))))
	f.Add([]byte(rpcText("com.vmware.vcenter.VM", "list", `"a":[1.5e-3,-0,1e400,"\ud83d\ude00\u001f",{"\ud83d":null}]`, "")))
	f.Add([]byte(`[{"id":null,"jsonrpc":2.0,"method":[]},"\ude00\\",1E9,-0.0]`))
	recorded := map[string]bool{read(f, "hok.xml"): true, read(f, "bearer.xml"): true}
	signed := read(f, "java-2.19.0-hok.canonical.bin")
	f.Fuzz(func(t *testing.T, body []byte) {
		var tree any
		if v, err := parseJSON(body); err == nil {
			tree = v
			if out, err := canonicalJSON(v); err == nil {
				if again := canonical(t, string(out)); again != string(out) || !json.Valid(out) {
					t.Errorf("%q: %s, then %s", body, out, again)
				}
			}
		}
		v, r := rpcVector(t, "java-2.19.0-hok.body.json")
		var login *AutomationLogin
		v.cfg.OnLogin = func(l AutomationLogin) { login = &l }
		w := serve(v, withBody(r, body))
		if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK {
			t.Fatalf("%q: status %d, answer %s", body, w.Code, w.Body)
		}
		if v.Logins() == 0 {
			return
		}
		if !recorded[login.Assertion] {
			t.Errorf("%q: login with another token", body)
		}
		ctx := tree.(map[string]any)["params"].(map[string]any)["ctx"].(map[string]any)["securityCtx"].(map[string]any)
		delete(ctx, "signature")
		if out, _ := canonicalJSON(tree); login.HolderOfKey && string(out) != signed {
			t.Errorf("%q: login by another request", body)
		}
	})
}
