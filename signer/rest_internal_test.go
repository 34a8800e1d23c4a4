package signer

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/vmsso/vmsso"
)

// TestAutomationHeaderIsThatOfGovmomi: with the same key, nonce, URL and body,
// RSA PKCS#1 v1.5 gives the same signature.
func TestAutomationHeaderIsThatOfGovmomi(t *testing.T) {
	var v struct{ Method, URL, Body, Authorization string }
	text, err := os.ReadFile("testdata/rest/govmomi-hok-post-session.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	theirs := attributes(t, v.Authorization)
	s := vectorSigner(t)
	req, err := http.NewRequest(v.Method, v.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	header, err := s.automationHeader(req, []byte(v.Body), theirs["nonce"])
	if err != nil {
		t.Fatal(err)
	}
	ours := attributes(t, header)
	for name, want := range theirs {
		if name == "token" { // compressed in another way
			want, ours[name] = unpack(t, want), unpack(t, ours[name])
		}
		if ours[name] != want {
			t.Errorf("%s: got %s, want %s", name, ours[name], want)
		}
	}
	if len(ours) != len(theirs) {
		t.Errorf("attributes %v, want those of %v", ours, theirs)
	}
}

func vectorSigner(t *testing.T) *Signer {
	t.Helper()
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile("testdata/hok.xml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Credentials{Token: &vmsso.Token{Assertion: strings.TrimSpace(string(token)), Key: pair.PrivateKey.(crypto.Signer)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attributes reads a SIGN header as servers do.
func attributes(t *testing.T, header string) map[string]string {
	t.Helper()
	list, ok := strings.CutPrefix(header, "SIGN ")
	if !ok {
		t.Fatalf("%.20q is no SIGN header", header)
	}
	m := map[string]string{}
	for part := range strings.SplitSeq(list, ", ") {
		name, value, _ := strings.Cut(part, "=")
		unquoted, err := strconv.Unquote(value)
		if _, twice := m[name]; err != nil || twice {
			t.Fatalf("%.40q: %v, twice %t", part, err, twice)
		}
		m[name] = unquoted
	}
	return m
}

func unpack(t *testing.T, value string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestHostAndPortAreThoseOfTheHostHeader(t *testing.T) {
	for _, tc := range []struct{ url, host, wantHost, wantPort string }{
		{"https://VC.example.test/x", "", "vc.example.test", "80"},
		{"https://vc.example.test:443/x", "", "vc.example.test", "443"},
		{"https://vc.example.test:8443/x", "", "vc.example.test", "8443"},
		{"https://vc.example.test/x", "Front.example.test:444", "front.example.test", "444"},
		{"https://10.0.0.1/x", "", "10.0.0.1", "80"},
		{"https://[2001:DB8::1]/x", "", "[2001:db8::1]", "80"},
		{"https://[2001:db8::1]:443/x", "", "[2001:db8::1]", "443"},
	} {
		req, err := http.NewRequest("POST", tc.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tc.host != "" {
			req.Host = tc.host
		}
		if host, port := hostAndPort(req); host != tc.wantHost || port != tc.wantPort {
			t.Errorf("%s, Host %q: got %s and %s, want %s and %s", tc.url, tc.host, host, port, tc.wantHost, tc.wantPort)
		}
	}
}

func TestNoncesOnlyGrow(t *testing.T) {
	var n nonces
	now := time.Now()
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := ""
			for range 200 {
				ms, random, ok := strings.Cut(n.next(now), ":") // the clock stands still
				if ms <= last {                                 // of the same length
					t.Errorf("%s comes behind %s", ms, last)
				}
				last = ms
				mu.Lock()
				if seen[ms] || !ok || random == "" {
					t.Errorf("the millisecond %s comes twice, or %q is no number", ms, random)
				}
				seen[ms] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	before, _, _ := strings.Cut(n.next(now.Add(-time.Hour)), ":") // the clock was set back
	if seen[before] || before < strconv.FormatInt(now.UnixMilli(), 10) {
		t.Errorf("after the clock went back: %s", before)
	}
}

func TestCacheMakesOneSignerPerToken(t *testing.T) {
	var c Cache
	text, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		t.Fatal(err)
	}
	tokens := []*vmsso.Token{{Assertion: strings.TrimSpace(string(text))}, {Assertion: strings.TrimSpace(string(text))}}
	first, err := c.Signer(Options{}, tokens[0])
	again, err2 := c.Signer(Options{}, tokens[0])
	other, err3 := c.Signer(Options{}, tokens[1])
	if err != nil || err2 != nil || err3 != nil || first != again || first == other {
		t.Fatalf("%v, %v, %v: the same signer %t, another for another token %t", err, err2, err3, first == again, first != other)
	}
	now := time.Now()
	a, _, _ := strings.Cut(first.nonces.next(now), ":")
	b, _, _ := strings.Cut(other.nonces.next(now), ":")
	if a >= b {
		t.Errorf("nonces %s and then %s, want them to grow from token to token", a, b)
	}
	if _, err := c.Signer(Options{}, &vmsso.Token{}); err == nil {
		t.Error("an empty token has a signer")
	}
}

func TestBearerHeaderHoldsTheTokenAlone(t *testing.T) {
	text, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Credentials{Token: &vmsso.Token{Assertion: strings.TrimSpace(string(text))}})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", "https://vc.example.test/api/session", nil)
	header, err := s.AutomationHeader(req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := attributes(t, header); len(a) != 1 || unpack(t, a["token"]) != strings.TrimSpace(string(text)) {
		t.Errorf("attributes %v, want the token alone", a)
	}
}

func TestAutomationHeaderNeedsAToken(t *testing.T) {
	s, err := New(Credentials{Username: "jo", Password: "x"})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", "https://vc.example.test/api/session", nil)
	if _, err := s.AutomationHeader(req, nil); err == nil {
		t.Error("a password made a header")
	}
}

// Gzip at its best takes some time, and a token is used for many logins.
func TestHeaderOfABearerTokenIsMadeOnce(t *testing.T) {
	text, err := os.ReadFile("testdata/bearer.xml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Credentials{Token: &vmsso.Token{Assertion: strings.TrimSpace(string(text))}})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", "https://vc.example.test/api/session", nil)
	for name, header := range map[string]func() (string, error){
		"Automation":     func() (string, error) { return s.AutomationHeader(req, nil) },
		"Cloud Director": func() (string, error) { return s.VCloudHeader("Finance") },
	} {
		first, err := header()
		again, err2 := header()
		if err != nil || err2 != nil || unsafe.StringData(first) != unsafe.StringData(again) {
			t.Errorf("%s: %v, %v, want the same string in the same place", name, err, err2)
		}
	}
}
