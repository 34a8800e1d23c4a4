package vmssotest

import (
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
