package faults_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// Fault 15: the answer of a login comes byte by byte, one each second, so that no timeout between bytes helps; and another one fast enough for the
// timeout but without an end. The first is bounded by LoginTimeout, the second by the size of what is read; the server sees its connection closed.
func TestAnswerThatDripsIsBoundedByTimeAndSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const timeout = 20 * time.Second
		for _, tc := range []struct {
			name    string
			piece   []byte
			every   time.Duration
			atLeast time.Duration
			atMost  time.Duration
			most    int64 // bytes that the server gets rid of; what pipes and buffers hold is among them
			timeout bool
		}{
			{"a byte each second", []byte(" "), time.Second, timeout, timeout, 21, true},
			{"1 KiB each millisecond", bytes.Repeat([]byte(" "), 1<<10), time.Millisecond, 4 * time.Second, 5 * time.Second, 5 << 20, false},
		} {
			for _, stage := range []string{"Issue", "RetrieveServiceContent", "LoginByToken"} {
				l := newLab(t)
				var sent atomic.Int64
				ended := make(chan time.Time, 1)
				drip := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
					defer func() { ended <- time.Now() }()
					w.Header().Set("Content-Type", "text/xml")
					for r.Context().Err() == nil {
						n, err := w.Write(tc.piece)
						if err != nil {
							return
						}
						sent.Add(int64(n))
						w.(http.Flusher).Flush()
						time.Sleep(tc.every)
					}
				}
				l.sts.Inject(stage, 1, drip)
				l.vsphere.Inject(stage, 1, drip)
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}), func(cfg *vmsso.Config) { cfg.LoginTimeout = timeout })
				took, err := leaves(t.Context(), currentTime, c)
				le := loginError(err)
				if le == nil || le.Timeout() != tc.timeout || !tc.timeout && !strings.Contains(err.Error(), "longer than") || took < tc.atLeast || took > tc.atMost {
					t.Errorf("%s, %s: after %v got %v, want an error after %v to %v", stage, tc.name, took, err, tc.atLeast, tc.atMost)
				}
				left := time.Now()
				if late := (<-ended).Sub(left); late > time.Second || sent.Load() > tc.most {
					t.Errorf("%s, %s: the server went on for %v and sent %d bytes, want %d at most", stage, tc.name, late, sent.Load(), tc.most)
				}
				must(t, currentTime, c)
				expect(t, l.vsphere, 1, 1)
			}
		}
	})
}
