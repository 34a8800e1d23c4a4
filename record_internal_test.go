package vmsso

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"testing"
	"time"
)

// FuzzRecord: whatever is in a store, it is read or refused, and what is read can be
// used and comes back as it was.
func FuzzRecord(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clear, _ := newRecordCodec(nil, "https://vc.example.test:443", "soap.Authenticator", "alice")
	sealed, _ := newRecordCodec(make([]byte, 32), "https://vc.example.test:443", "soap.Authenticator", "alice")
	for _, r := range []record{
		{},
		{session: &Session{Header: http.Header{"A": {"1", "2"}, "B": nil}, Cookies: []*http.Cookie{{Name: "c", Value: "v", MaxAge: -1, Quoted: true}}, Values: map[string]string{"version": "8"}, Created: now, Raw: []byte("<a/>")}},
		{refusals: []refusal{{until: now, err: &LoginError{Stage: "Issue", Err: ErrLocked}}, {full: true, until: now, err: &LoginError{Status: 503, Err: ErrSessionLimit}}}},
	} {
		for _, c := range []*recordCodec{clear, sealed} {
			b, err := c.encode(r)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			f.Add(bytes.TrimPrefix(b, []byte(clearRecord))[min(len(b), sha256.Size):])
		}
	}
	f.Add([]byte(`{"Key":"` + clear.key + `","Session":{"Cookies":[null]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := sha256.Sum256(b)
		for _, c := range []*recordCodec{clear, sealed} {
			for _, b := range [][]byte{b, append(append([]byte(clearRecord), sum[:]...), b...)} {
				r, err := c.decode(b)
				if err != nil {
					continue
				}
				if r.session != nil {
					_ = r.session.ready().ID()
				}
				again, err := c.encode(r)
				if err != nil {
					continue // a year that JSON does not know
				}
				r2, err := c.decode(again)
				if err != nil || len(r2.refusals) != len(r.refusals) || (r.session != nil) != r.session.same(r2.session) && r.session != nil {
					t.Fatalf("not read again: %v", err)
				}
			}
		}
	})
}
