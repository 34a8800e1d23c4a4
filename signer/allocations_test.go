package signer_test

import (
	"crypto"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"

	"github.com/vmsso/vmsso/signer"
)

// What a message takes besides the operation of its key is next to nothing, and a
// header that was made before takes nothing. A key of this process is not checked
// again, which would show here. Each bound has room for the two that the race
// detector adds.
func TestMessagesAndHeadersTakeFewAllocations(t *testing.T) {
	content := []byte(loginByToken)
	req := &http.Request{Method: "POST", URL: &url.URL{Scheme: "https", Host: "vc.example.test", Path: "/api/session"}}
	allocations := func(f func() error) float64 {
		return testing.AllocsPerRun(20, func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	bearer := newSigner(t, signer.Credentials{Token: bearerToken(t)})
	for name, tt := range map[string]struct {
		make func() error
		most float64
	}{
		"message":  {func() error { _, err := bearer.Message(content, noon); return err }, 5},
		"REST":     {func() error { _, err := bearer.AutomationHeader(req, nil); return err }, 0},
		"Director": {func() error { _, err := bearer.VCloudHeader("Finance"); return err }, 0},
	} {
		if got := allocations(tt.make); got > tt.most {
			t.Errorf("bearer, %s: %v allocations, want at most %v", name, got, tt.most)
		}
	}
	for _, kind := range []string{"RSA-2048", "P-256", "P-384", "P-521"} {
		key := testKeys[kind]()
		digest := make([]byte, 32)
		raw := allocations(func() error { _, err := key.Sign(rand.Reader, digest, crypto.SHA256); return err })
		s := newSigner(t, signer.Credentials{Token: bound(t, validPair(t, key))})
		if got := allocations(func() error { _, err := s.Message(content, noon); return err }); got > raw+6 {
			t.Errorf("%s, message: %v allocations, want at most 6 more than the %v of the key", kind, got, raw)
		}
		if kind != "RSA-2048" {
			continue
		}
		if got := allocations(func() error { _, err := s.AutomationHeader(req, nil); return err }); got > raw+6 {
			t.Errorf("%s, REST: %v allocations, want at most 6 more than the %v of the key", kind, got, raw)
		}
	}
}
