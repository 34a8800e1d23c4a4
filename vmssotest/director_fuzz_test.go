package vmssotest

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// directorSIGN is the grammar of "Authorization: SIGN", written down a second time: what it takes and names each attribute once is to be accepted.
const directorSIGN = `^(?i:sign) +` + directorPair + `(?: *, *` + directorPair + `)*$`

const directorPair = `(token|org|signature|signature_alg)= *"([ !#-\[\]-~]+)"`

// directorClients are headers as the clients that are known write them, and as the documents print them.
var directorClients = []string{
	`SIGN token="H4sI",org="Finance",signature="YQ==",signature_alg="SHA256withRSA"`,    // cloud-director-java-clients
	`SIGN token="H4sI",org="my-org"`,                                                    // go-vcloud-director
	`SIGN token="H4sI",signature="YQ==",signature_alg="SHA512withRSA"`,                  // .NET SDK, for System
	`SIGN token= "H4sI",org="Finance",signature="YQ==",signature_alg="SHA512withRSA"`,   // PHP SDK
	`Sign token="H4sI", org="Finance", signature="YQ==", signature_alg="SHA256withRSA"`, // documents of 10.6
	`Sign token="H4sI", org="Finance", signature="YQ==" signature_alg="SHA1withRSA"`,    // documents before: a comma is missing
	`SIGN token="H4sI", nonce="1:2", bodyhash="YQ==", signature_alg="RSA-SHA384", signature="YQ=="`,
}

// FuzzDirectorSIGN: whatever comes, the parser answers; it takes what the grammar takes; what it accepts is no longer than what came, can be written
// again and is read the same; and only a header with the assertion of the seed logs in.
func FuzzDirectorSIGN(f *testing.F) {
	for _, line := range directorClients {
		f.Add(line)
	}
	token := authority().Issue(Claims{ID: "_token-1", Subject: "alice", NotBefore: testTime()})
	good := `SIGN token="` + encode(zipped(token)) + `",org="Finance"`
	for _, line := range []string{good, "", "SIGN", `SIGN token="`, `SIGN token="a",token="b"`, `SIGN token="a",`, `SIGN token="a" , org = "b"`, "SIGN token=\"a\r\nb\""} {
		f.Add(line)
	}
	whole, pair := regexp.MustCompile(directorSIGN), regexp.MustCompile(directorPair)
	f.Fuzz(func(t *testing.T, line string) {
		h, err := parseDirectorSIGN(line)
		keys := map[string]int{}
		if whole.MatchString(line) {
			for _, m := range pair.FindAllStringSubmatch(line, -1) {
				keys[m[1]]++
			}
		}
		twice := slices.ContainsFunc([]string{"token", "org", "signature", "signature_alg"}, func(k string) bool { return keys[k] > 1 })
		if want := keys["token"] == 1 && !twice; want != (err == nil) {
			t.Fatalf("%q: grammar %t, parser %v", line, want, err)
		}
		checkDirectorLogin(t, line, token)
		if err != nil {
			return
		}
		size, pairs := 0, []string(nil)
		for key, value := range h {
			size += len(key) + len(value)
			pairs = append(pairs, key+`="`+value+`"`)
		}
		again, err := parseDirectorSIGN("SIGN " + strings.Join(pairs, ","))
		if err != nil || size > len(line) || len(h) != len(keys) || len(again) != len(h) {
			t.Fatalf("%q is read as %q, which is read as %q: %v", line, h, again, err)
		}
		for key := range h {
			if again[key] != h[key] {
				t.Errorf("%s: %q, then %q", key, h[key], again[key])
			}
		}
		if plain, err := unpackToken(h["token"]); err == nil && len(plain) > maxToken {
			t.Errorf("a token of %d bytes", len(plain))
		}
	})
}

func checkDirectorLogin(t *testing.T, line, token string) {
	t.Helper()
	var login DirectorLogin
	d := NewDirector(DirectorConfig{
		Trust: []*x509.Certificate{authority().Certificate()}, Now: testTime, OnLogin: func(l DirectorLogin) { login = l },
	})
	r := httptest.NewRequest(http.MethodPost, legacyLogin, nil)
	r.Header["Accept"], r.Header["Authorization"] = []string{"application/*+xml;version=37.0"}, []string{line}
	if w := serve(d, r); w.Code == http.StatusOK && (login.Assertion != token || login.Subject != "alice") {
		t.Errorf("accepted: %q", line)
	}
}
