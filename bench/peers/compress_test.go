package peers_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/vmsso/vmsso/bench/internal/rig"
)

// A writer compresses to w after Reset.
type writer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// A compressor makes writers of a level.
type compressor struct {
	name string
	make func(level int) (writer, error)
}

func compressors() []compressor {
	return []compressor{
		{"compress/gzip", func(level int) (writer, error) { return stdgzip.NewWriterLevel(nil, level) }},
		{"klauspost", func(level int) (writer, error) { return gzip.NewWriterLevel(nil, level) }},
	}
}

// BenchmarkCompression compresses an assertion with a writer that is kept. B/out is
// the length in base64, which the header has.
func BenchmarkCompression(b *testing.B) {
	for _, size := range []int{4000, 7000, 20_000, 100_000} {
		text := []byte(rig.Assertion(size, nil))
		for _, c := range compressors() {
			for _, level := range []int{1, 6, 9} {
				b.Run(fmt.Sprintf("%dKB/%s/level-%d", size/1000, c.name, level), func(b *testing.B) {
					z, err := c.make(level)
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(len(text)))
					b.ReportAllocs()
					var out bytes.Buffer
					for b.Loop() {
						compress(z, &out, text)
					}
					b.ReportMetric(float64((out.Len()+2)/3*4), "B/out")
				})
			}
		}
	}
}

func compress(z writer, out *bytes.Buffer, text []byte) {
	out.Reset()
	z.Reset(out)
	_, _ = z.Write(text) // to memory
	_ = z.Close()
}

// What is compressed must come out again.
func TestCompressionIsLossless(t *testing.T) {
	text := []byte(rig.Assertion(20_000, nil))
	for _, c := range compressors() {
		for _, level := range []int{1, 6, 9} {
			w, err := c.make(level)
			if err != nil {
				t.Fatal(err)
			}
			var packed bytes.Buffer
			compress(w, &packed, text)
			r, err := stdgzip.NewReader(&packed)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s, level %d: %d bytes came out, want %d: %v", c.name, level, len(got), len(text), err)
			}
		}
	}
}
