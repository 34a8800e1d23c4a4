package signer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func canonical(text string) (string, error) {
	v, err := parseJSON([]byte(text))
	if err != nil {
		return "", err
	}
	b, err := appendCanonical(nil, v, 0)
	return string(b), err
}

// TestCanonicalJSONIsThatOfJava: texts and what VMware's Java runtime makes of
// them.
func TestCanonicalJSONIsThatOfJava(t *testing.T) {
	var in, want []string
	for name, list := range map[string]*[]string{"inputs": &in, "expected": &want} {
		text, err := os.ReadFile("testdata/canonical/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, list); err != nil {
			t.Fatal(err)
		}
	}
	if len(in) == 0 || len(in) != len(want) {
		t.Fatalf("%d inputs and %d results", len(in), len(want))
	}
	for i := range in {
		if got, err := canonical(in[i]); got != want[i] || err != nil {
			t.Errorf("%s\ngot  %q, %v\nwant %q", in[i], got, err, want[i])
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{`{"a":1,"a":2}`, `{"a":2}`},
		{` [ 1 , [ ] , { } , null , true ] `, `[1,[],{},null,true]`},
		{`[1,1.0,1e0,10,-0,12345678901234567890123]`, `[1,1.0E0,1.0E0,10,0,12345678901234567890123]`},
		{`[1e2,1.50E-3,4.9E-324,1.7976931348623157E308,0.30000000000000004]`, `[1.0E2,1.5E-3,4.9E-324,1.7976931348623157E308,3.0000000000000004E-1]`},
		{`"é😀\u2028</"`, "\"é😀\u2028</\""},
		{`{"b":{"d":1,"c":2},"a":[{"f":1,"e":2}]}`, `{"a":[{"e":2,"f":1}],"b":{"c":2,"d":1}}`},
	} {
		if got, err := canonical(tc.in); got != tc.want || err != nil {
			t.Errorf("%s\ngot  %q, %v\nwant %q", tc.in, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "{", "1 2", `{"a":1}}`, "\"\xff\"", "[1e999]", strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat("[", 1<<20)} {
		if got, err := canonical(bad); err == nil {
			t.Errorf("%.20q became %.20q, want an error", bad, got)
		}
	}
}

// TestJSONRPCSignatureIsThatOfJava: the request that VMware's Java runtime
// signed, its canonical form and, RSA PKCS#1 v1.5 being deterministic, its
// signature.
func TestJSONRPCSignatureIsThatOfJava(t *testing.T) {
	body, err := os.ReadFile("testdata/jsonrpc/java-2.19.0-hok.body.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/jsonrpc/java-2.19.0-hok.canonical.bin")
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseJSON(body)
	if err != nil {
		t.Fatal(err)
	}
	security := member(member(member(v, "params"), "ctx"), "securityCtx").(map[string]any)
	value := member(security["signature"], "value")
	delete(security, "signature")
	got, err := appendCanonical(nil, v, 0)
	if !bytes.Equal(got, want) || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	signature, err := vectorSigner(t).key.sign(want)
	if base64.StdEncoding.EncodeToString(signature) != value || err != nil {
		t.Errorf("got %x, %v, want %s", signature, err, value)
	}
}

func TestJSONRPCFillsInTheSecurityContext(t *testing.T) {
	const request = `{"jsonrpc":"2.0","method":"invoke","id":"0","params":{"serviceId":"com.vmware.cis.session","operationId":"create","input":{"STRUCTURE":{"operation-input":{}}},"ctx":{"appCtx":{"opId":"1"}}}}`
	now := time.Date(2026, 3, 1, 12, 0, 5, 999_999_999, time.FixedZone("", 3600))
	s := vectorSigner(t)
	made, err := s.JSONRPC([]byte(request), now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseJSON(made)
	if err != nil {
		t.Fatal(err)
	}
	security := member(member(member(v, "params"), "ctx"), "securityCtx").(map[string]any)
	signature := security["signature"]
	delete(security, "signature")
	if got, _ := json.Marshal(security); string(got) != `{"schemeId":"com.vmware.vapi.std.security.saml_hok_token","signatureAlgorithm":"RS256","timestamp":{"created":"2026-03-01T11:00:00.999Z","expires":"2026-03-01T11:10:00.999Z"}}` {
		t.Errorf("security context %s", got)
	}
	text, _ := appendCanonical(nil, v, 0)
	raw, _ := s.key.sign(text)
	if member(signature, "samlToken") != string(s.proof) || member(signature, "value") != base64.StdEncoding.EncodeToString(raw) {
		t.Error("the token or the signature is not that of the request")
	}
	for _, bad := range []string{"", "[]", `{"params":{}}`, `{"params":{"ctx":1}}`} {
		if _, err := s.JSONRPC([]byte(bad), now); err == nil {
			t.Errorf("%q is signed", bad)
		}
	}
}

func FuzzCanonicalJSON(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":[1.5,-0.0,"\ud83d\ude00"]}`, `[1e400]`, `"\u0000"`, `{"":{"":null}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := canonical(text)
		if err != nil {
			return
		}
		twice, err := canonical(once)
		if err != nil || twice != once {
			t.Errorf("%q becomes %q and then %q, %v", text, once, twice, err)
		}
	})
}
