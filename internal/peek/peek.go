// Package peek looks at the beginning of an answer.
package peek

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// Head returns at most n of the first bytes of the answer's body, decompressed,
// and leaves the body as it was. It reads no further than until enough says so;
// a nil enough never does.
func Head(resp *http.Response, n int, enough func(head []byte) bool) []byte {
	r := bufio.NewReaderSize(resp.Body, n)
	zipped := strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip")
	resp.Body = struct {
		io.Reader
		io.Closer
	}{r, resp.Body}
	if enough == nil {
		enough = func([]byte) bool { return false }
	}
	for {
		_, err := r.Peek(min(r.Buffered()+1, n)) // an error shows again when the body is read
		head, _ := r.Peek(r.Buffered())
		full := len(head) == n
		if zipped {
			head = gunzip(head, n)
		}
		if err != nil || full || enough(head) {
			return head
		}
	}
}

// gunzip decompresses what it can: head is cut.
func gunzip(head []byte, n int) []byte {
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(io.LimitReader(z, int64(n)))
	return plain
}
