package bench_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/signer"
)

// BenchmarkCompression makes the value of a header of an assertion: gzip and
// base64. B/out is its length. Limit: a kept writer of the highest level.
func BenchmarkCompression(b *testing.B) {
	for _, size := range []int{4000, 7000, 20_000, 100_000} {
		b.Run(fmt.Sprintf("%dKB", size/1000), func(b *testing.B) {
			text := rig.Assertion(size, nil)
			for _, level := range []int{1, 6, 9} {
				name := fmt.Sprintf("level-%d", level)
				packing(b, "new-writer/"+name, text, func() string { return pack(newWriter(level), text) })
				kept := newWriter(level)
				if level == 9 {
					name = "limit:" + name
				}
				packing(b, "kept-writer/"+name, text, func() string { return pack(kept, text) })
			}
			b.Run("vmsso", func(b *testing.B) { packingOfLibrary(b, &vmsso.Token{Assertion: text}) })
		})
	}
}

func newWriter(level int) *gzip.Writer {
	z, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		panic(err)
	}
	return z
}

func pack(z *gzip.Writer, text string) string {
	var b bytes.Buffer
	z.Reset(&b)
	_, _ = z.Write([]byte(text)) // to memory
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func packing(b *testing.B, name, text string, pack func() string) {
	b.Run(name, func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		var out string
		for b.Loop() {
			out = pack()
		}
		b.ReportMetric(float64(len(out)), "B/out")
	})
}

// packingOfLibrary is what the first header of a token takes longer than to read
// the token.
func packingOfLibrary(b *testing.B, tok *vmsso.Token) {
	var out string
	read := func() { newSigner(b, signer.Credentials{Token: tok}) }
	all := rig.Must(b, func() (err error) {
		out, err = newSigner(b, signer.Credentials{Token: tok}).AutomationHeader(rig.NewRequest(0), nil)
		return err
	})
	b.ReportAllocs()
	p := rig.Measure(b, read, all)
	var limit []float64
	for kept := newWriter(gzip.BestCompression); len(limit) < 50; {
		start := time.Now()
		pack(kept, tok.Assertion)
		limit = append(limit, float64(time.Since(start)))
	}
	b.ReportMetric(p.Over, "ns/op")
	b.ReportMetric(p.Over/rig.Median(limit), "x-limit")
	b.ReportMetric(float64(len(tok.Assertion))/p.Over*1e3, "MB/s")
	bytes, count := rig.Allocated(50, all)
	lessBytes, lessCount := rig.Allocated(50, read)
	b.ReportMetric(bytes-lessBytes, "B/op")
	b.ReportMetric(count-lessCount, "allocs/op")
	b.ReportMetric(float64(len(out)-len(`SIGN token=""`)), "B/out")
}

// BenchmarkHeader sets the header of a bearer token on a request, after the first
// time. Limit: a value that is kept behind an atomic pointer.
func BenchmarkHeader(b *testing.B) {
	for _, size := range []int{rig.TokenSize, 20_000} {
		b.Run(fmt.Sprintf("%.1fKB", float64(size)/1000), func(b *testing.B) {
			s := newSigner(b, signer.Credentials{Token: &vmsso.Token{Assertion: rig.Assertion(size, nil)}})
			req := rig.NewRequest(0)
			value, err := s.AutomationHeader(req, nil)
			if err != nil {
				b.Fatal(err)
			}
			var kept atomic.Pointer[[]string]
			kept.Store(&[]string{value})
			pointer := func() error { req.Header["Authorization"] = *kept.Load(); return nil }
			rig.Each(b, "limit:pointer", pointer)
			set := func(name string, make func() (string, error)) {
				rig.Against(b, name, pointer, func() error {
					v, err := make()
					req.Header.Set("Authorization", v)
					return err
				})
			}
			set("Automation-REST", func() (string, error) { return s.AutomationHeader(req, nil) })
			set("Director", func() (string, error) { return s.VCloudHeader("Finance") })
		})
	}
}
