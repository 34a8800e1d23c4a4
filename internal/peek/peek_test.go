package peek_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vmsso/vmsso/internal/peek"
)

// pieces yields one piece per Read, as a network does, and blocks for ever
// behind the last, as a server does that goes on later.
type pieces struct {
	list   []string
	closed bool
	blocks bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.list) == 0 {
		if p.blocks {
			panic("read further than needed")
		}
		return 0, io.EOF
	}
	n := copy(b, p.list[0])
	if p.list[0] = p.list[0][n:]; p.list[0] == "" {
		p.list = p.list[1:]
	}
	return n, nil
}

func (p *pieces) Close() error {
	p.closed = true
	return nil
}

func TestHeadLeavesTheBodyAsItWas(t *testing.T) {
	for _, tc := range []struct {
		name string
		body []string
		n    int
		want string
	}{
		{"short", []string{"abc"}, 16, "abc"},
		{"empty", nil, 16, ""},
		{"in pieces", []string{"ab", "c", "defghijklmnopqrstuvwxyz"}, 16, "abcdefghijklmnop"},
		{"exactly", []string{"abcdefghijklmnop"}, 16, "abcdefghijklmnop"},
		{"long", []string{strings.Repeat("x", 100)}, 16, strings.Repeat("x", 16)},
	} {
		src := &pieces{list: tc.body}
		whole := strings.Join(tc.body, "")
		resp := &http.Response{Body: src}
		if got := peek.Head(resp, tc.n, nil); string(got) != tc.want {
			t.Errorf("%s: head %q, want %q", tc.name, got, tc.want)
		}
		if rest, err := io.ReadAll(resp.Body); string(rest) != whole || err != nil {
			t.Errorf("%s: the body reads %q, %v, want %q", tc.name, rest, err, whole)
		}
		if resp.Body.Close(); !src.closed {
			t.Errorf("%s: the body is not closed", tc.name)
		}
	}
}

func TestHeadReadsNoFurtherThanEnough(t *testing.T) {
	resp := &http.Response{Body: &pieces{list: []string{"ab", "cd"}, blocks: true}}
	if got := peek.Head(resp, 16, func(head []byte) bool { return len(head) >= 3 }); string(got) != "abcd" {
		t.Errorf("head %q, want abcd", got)
	}
}

func TestHeadKeepsTheErrorOfTheBody(t *testing.T) {
	broken := errors.New("broken")
	resp := &http.Response{Body: io.NopCloser(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))}
	if got := peek.Head(resp, 16, nil); string(got) != "abc" {
		t.Errorf("head %q, want abc", got)
	}
	if text, err := io.ReadAll(resp.Body); string(text) != "abc" || !errors.Is(err, broken) {
		t.Errorf("the body reads %q, %v", text, err)
	}
}

func TestHeadIsDecompressedTheBodyIsNot(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for range 1000 {
		_, _ = z.Write([]byte("hello world, "))
	}
	z.Close()
	whole := zipped.String()
	resp := &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(strings.NewReader(whole))}
	if got := peek.Head(resp, 512, nil); !bytes.HasPrefix(got, []byte("hello world, hello")) || len(got) > 512 {
		t.Errorf("head %.40q of %d bytes", got, len(got))
	}
	if text, _ := io.ReadAll(resp.Body); string(text) != whole {
		t.Error("the body is not what it was")
	}
	resp = &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(strings.NewReader("no gzip"))}
	if got := peek.Head(resp, 512, nil); len(got) != 0 {
		t.Errorf("head %q of what is no gzip", got)
	}
}
