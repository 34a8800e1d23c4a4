package vmsso

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// A payload is the body of the caller's request, for any number of attempts.
// Its methods are called by one goroutine; the bodies that it hands out are
// read and closed by the base transport's.
type payload interface {
	// put puts the body on r, a copy of the caller's request.
	put(r *http.Request) error
	// rewind tells whether the body can be put on another request, and if so
	// ends the reading by the attempt before.
	rewind(ctx context.Context) bool
	// release says that no attempt follows: what is not closed yet is closed
	// now, or by the attempt that still reads it.
	release()
}

// newPayload finds out how the request's body can be sent again. A body
// without GetBody (govmomi's SOAP bodies are such) is remembered, up to limit
// bytes. The first bytes of XML and JSON, by which a request is classified, are
// returned as well. If there is an error, the body is closed.
func newPayload(req *http.Request, limit int64) (payload, []byte, error) {
	text := textual(req.Header)
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return none{}, nil, nil
	case req.GetBody != nil && !text:
		return &copies{req: req}, nil, nil
	case req.GetBody != nil:
		head, err := firstBytes(req, max(limit, headBytes))
		if err != nil {
			req.Body.Close()
		}
		return &copies{req: req}, head, err
	}
	s := &stream{src: req.Body, limit: limit, reading: make(chan struct{}, 1)}
	if !text {
		return s, nil, nil
	}
	complete, err := s.fill(req.Context(), max(limit, headBytes))
	if err == nil && !complete {
		return s, s.kept, nil
	}
	s.src.Close()
	if err != nil {
		return nil, nil, err
	}
	if len(s.kept) == 0 {
		return none{}, nil, nil // a body that turns out to be empty is none
	}
	return memory(s.kept), s.kept, nil
}

// headBytes are read of a text that must be classified even if the caller
// wants nothing remembered.
const headBytes = 4 << 10

func textual(h http.Header) bool {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "text/xml" || t == "application/xml" || t == "application/json" ||
		strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "+json")
}

func firstBytes(req *http.Request, n int64) ([]byte, error) {
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, n))
}

// none is no body.
type none struct{}

func (none) put(r *http.Request) error {
	r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	return nil
}
func (none) rewind(context.Context) bool { return true }
func (none) release()                    {}

// memory is a body that was read to its end.
type memory []byte

func (m memory) put(r *http.Request) error {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }
	r.Body, _ = r.GetBody()
	if r.ContentLength <= 0 { // unknown until now
		r.ContentLength = int64(len(m))
	}
	return nil
}
func (memory) rewind(context.Context) bool { return true }
func (memory) release()                    {}

// copies is a body that the request itself can yield again.
type copies struct {
	req   *http.Request
	given bool // the first attempt has the caller's own body, and closes it
}

func (c *copies) put(r *http.Request) error {
	if !c.given {
		c.given = true
		return nil
	}
	body, err := c.req.GetBody()
	r.Body = body
	return err
}
func (*copies) rewind(context.Context) bool { return true }
func (c *copies) release() {
	if !c.given {
		c.req.Body.Close()
	}
}

// A stream remembers a body while it is sent. When the server answers early,
// the base transport may still be reading for one attempt while the next one
// begins: what is read of the caller's body is remembered under the same lock, so
// that no byte is lost and none comes twice.
type stream struct {
	src   io.ReadCloser
	limit int64
	last  *attempt

	reading chan struct{} // a mutex that can be waited for with a context; it guards the fields below and is held while src is read
	kept    []byte        // what was read of src
	end     error         // how src ended, nil so far
	lost    bool          // more than limit was read

	closing  sync.Mutex // guards the fields below; src is closed under it, also while it is read
	released bool       // no attempt follows
	closed   bool       // src is closed
}

// An attempt is the stream's body on one request.
type attempt struct {
	s       *stream
	off     int  // guarded by s.reading: how much of kept was read
	stopped bool // guarded by s.reading: another attempt follows
	closed  bool // guarded by s.closing
}

var errStopped = errors.New("vmsso: the request is sent again in a new session")

// fill reads up to n bytes ahead, n being limit or more, and tells whether that
// was all. A body that never yields does not outlast ctx; the caller then closes
// it, which ends the reading.
func (s *stream) fill(ctx context.Context, n int64) (complete bool, err error) {
	read := make(chan error, 1)
	go func() {
		kept, err := io.ReadAll(io.LimitReader(s.src, n+1))
		if err == nil {
			s.kept = kept
			s.lost = int64(len(kept)) > n
		}
		read <- err
	}()
	select {
	case err = <-read:
		return err == nil && !s.lost, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func (s *stream) put(r *http.Request) error {
	s.last = &attempt{s: s}
	r.Body, r.GetBody = s.last, nil
	return nil
}

// rewind waits for a Read of the attempt before: only then is known what is
// left of the caller's body.
func (s *stream) rewind(ctx context.Context) bool {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return false
	}
	if s.lost {
		return false
	}
	if s.last != nil {
		s.last.stopped = true
	}
	return true
}

func (s *stream) release() {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.released = true
	if s.last == nil || s.last.closed {
		s.close()
	}
}

// close closes the caller's body once. The lock s.closing is held.
func (s *stream) close() (err error) {
	if !s.closed {
		s.closed = true
		err = s.src.Close()
	}
	return err
}

func (a *attempt) Read(p []byte) (int, error) {
	s := a.s
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	switch {
	case a.stopped:
		return 0, errStopped
	case a.off < len(s.kept):
		n := copy(p, s.kept[a.off:])
		a.off += n
		return n, nil
	case s.end != nil:
		return 0, s.end
	}
	n, err := s.src.Read(p)
	s.end = err
	s.lost = s.lost || int64(len(s.kept)+n) > s.limit
	if s.lost {
		s.kept, a.off = nil, 0
	} else {
		s.kept = append(s.kept, p[:n]...)
		a.off += n
	}
	return n, err
}

func (a *attempt) Close() error {
	s := a.s
	s.closing.Lock()
	defer s.closing.Unlock()
	a.closed = true
	if s.released && s.last == a {
		return s.close()
	}
	return nil
}
