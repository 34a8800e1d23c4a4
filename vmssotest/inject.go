package vmssotest

import (
	"bytes"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// An Injector puts a fault in the way of requests: it answers by itself, changes the answer of next, delays, breaks the connection with
// panic(http.ErrAbortHandler), or calls next and spoils what came of it. r.Body may be read; next reads all of it again, unless f replaced it.
type Injector = func(w http.ResponseWriter, r *http.Request, next http.Handler)

// injector keeps the faults that are to come.
type injector struct {
	active atomic.Int32 // number of rules: ordinary requests look no further when it is 0

	mu    sync.Mutex // guards rules
	rules []*rule
}

type rule struct {
	op   string // "": any
	left int    // requests to come; negative: for ever
	f    Injector
}

// inject adds a rule; n == 0 removes those of this operation.
func (i *injector) inject(op string, n int, f Injector) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n == 0 {
		i.rules = slices.DeleteFunc(i.rules, func(r *rule) bool { return r.op == op })
	} else {
		i.rules = append(i.rules, &rule{op, n, f})
	}
	i.active.Store(int32(len(i.rules)))
}

// take returns the fault for a request of this operation: the oldest rule that fits.
func (i *injector) take(op string) Injector {
	if i.active.Load() == 0 {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, r := range i.rules {
		if r.op != "" && r.op != op {
			continue
		}
		if r.left > 0 {
			if r.left--; r.left == 0 {
				i.rules = slices.Delete(i.rules, n, n+1)
				i.active.Store(int32(len(i.rules)))
			}
		}
		return r.f
	}
	return nil
}

// savedBody is a request body that has been read and is read again.
type savedBody struct {
	*bytes.Reader
	data []byte
}

func (*savedBody) Close() error { return nil }

// withBody returns r with a body that is known.
func withBody(r *http.Request, data []byte) *http.Request {
	r = r.WithContext(r.Context()) // a copy: the server's request is not changed
	r.Body = &savedBody{bytes.NewReader(data), data}
	r.ContentLength = int64(len(data))
	r.TransferEncoding = nil
	return r
}

// bodyOf returns the whole body: as it was read before, whatever has been read of it since, or else read now.
func bodyOf(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if saved, ok := r.Body.(*savedBody); ok {
		return saved.data, nil
	}
	if r.Body == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxMessage { // a hint: an Injector may have replaced the body
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxMessage))
	return buf.Bytes(), err
}
