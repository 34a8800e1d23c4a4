package vmsso_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vmsso/vmsso"
)

func TestCallersRequestIsUnchanged(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.Auth = &cookieAuth{auth{sys: s}}
	})
	req := newRequest(t, "POST", "/sdk", strings.NewReader("<x/>"))
	req.Header = http.Header{"X-Session": {"mine"}, "Cookie": {"a=b; session=mine"}, "Content-Type": {"text/xml"}}
	before := req.Clone(t.Context())
	for range 2 {
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Request != req {
			t.Error("the response's Request is not the caller's, and shows the session")
		}
		req.Body, _ = req.GetBody()
		s.kill()
	}
	if d := cmp.Diff(before.Header, req.Header); d != "" {
		t.Errorf("the header changed: %s", d)
	}
	if req.URL.String() != before.URL.String() || req.ContentLength != before.ContentLength || req.Host != before.Host {
		t.Errorf("the request changed: %v", req)
	}
}

// cookieAuth has a session of a header and a cookie.
type cookieAuth struct{ auth }

func (a *cookieAuth) Apply(req *http.Request, s *vmsso.Session) error {
	with := &vmsso.Session{Header: s.Header, Cookies: []*http.Cookie{{Name: "session", Value: "ours"}}}
	return a.Defaults.Apply(req, with)
}

func TestSessionReplacesSameNamedHeadersAndCookiesOnly(t *testing.T) {
	s := &vmsso.Session{
		Header:  http.Header{"X-Session": {"ours"}, "Authorization": nil},
		Cookies: []*http.Cookie{{Name: "vmware_soap_session", Value: "ours", Quoted: true}, {Name: "lb", Value: "node-1"}},
	}
	for _, tc := range []struct {
		name         string
		before, want http.Header
	}{
		{"nothing there", http.Header{}, http.Header{"X-Session": {"ours"}, "Cookie": {`vmware_soap_session="ours"; lb=node-1`}}},
		{"others stay", http.Header{"Accept": {"*/*"}, "Cookie": {"theme=dark"}}, http.Header{"Accept": {"*/*"}, "X-Session": {"ours"}, "Cookie": {`theme=dark; vmware_soap_session="ours"; lb=node-1`}}},
		{"stale ones go", http.Header{"X-Session": {"a", "b"}, "Authorization": {"Basic x"}, "Cookie": {"vmware_soap_session=old; theme=dark", "lb=node-9"}}, http.Header{"X-Session": {"ours"}, "Cookie": {`theme=dark; vmware_soap_session="ours"; lb=node-1`}}},
		{"a similar name is another", http.Header{"Cookie": {"vmware_soap_session2=x; xlb=y"}}, http.Header{"X-Session": {"ours"}, "Cookie": {`vmware_soap_session2=x; xlb=y; vmware_soap_session="ours"; lb=node-1`}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := &http.Request{Header: tc.before}
			if err := (vmsso.Defaults{}).Apply(req, s); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, req.Header); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSessionDeletesHeadersAndCookiesThatWouldNameAnother(t *testing.T) {
	s := &vmsso.Session{
		Header:  http.Header{"X-Old": nil, "X-New": {"ours"}},
		Cookies: []*http.Cookie{{Name: "vcloud-token", MaxAge: -1}, {Name: "vcloud_jwt", MaxAge: -1}},
	}
	for _, tc := range []struct {
		name         string
		before, want http.Header
	}{
		{"nothing there", http.Header{}, http.Header{"X-New": {"ours"}}},
		{"one of two", http.Header{"Cookie": {"vcloud-token=stale; theme=dark"}}, http.Header{"X-New": {"ours"}, "Cookie": {"theme=dark"}}},
		{"all", http.Header{"X-Old": {"a"}, "Cookie": {"vcloud-token=stale", "vcloud_jwt=stale"}}, http.Header{"X-New": {"ours"}}},
		{"a similar name is another", http.Header{"Cookie": {"vcloud-token2=x"}}, http.Header{"X-New": {"ours"}, "Cookie": {"vcloud-token2=x"}}},
	} {
		req := &http.Request{Header: tc.before}
		if err := (vmsso.Defaults{}).Apply(req, s); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, req.Header); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

func TestBodyIsClosedOnceOnEveryPath(t *testing.T) {
	for _, tc := range []struct {
		name   string
		typ    string
		change func(*system, *vmsso.Config)
		fails  bool
	}{
		{"success, stream", "application/octet-stream", nil, false},
		{"success, XML", "text/xml", nil, false},
		{"replayed stream", "application/octet-stream", func(s *system, c *vmsso.Config) { s.onLogin = killAfter(s, 1) }, false},
		{"no token", "application/octet-stream", func(s *system, c *vmsso.Config) {
			c.Source = tokens(func(context.Context) (*vmsso.Token, error) { return nil, errBoom })
		}, true},
		{"no token, XML", "text/xml", func(s *system, c *vmsso.Config) {
			c.Source = tokens(func(context.Context) (*vmsso.Token, error) { return nil, errBoom })
		}, true},
		{"own login", "application/octet-stream", func(s *system, c *vmsso.Config) {
			c.Auth = &auth{sys: s, class: func(*http.Request) vmsso.Class { return vmsso.OwnLogin }}
		}, true},
		{"Apply fails", "application/octet-stream", func(s *system, c *vmsso.Config) { c.Auth = &failingApply{auth{sys: s}} }, true},
	} {
		for _, getBody := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				s := newSystem()
				tr := newTransport(t, s, func(c *vmsso.Config) {
					if tc.change != nil {
						tc.change(s, c)
					}
				})
				body := &countingBody{Reader: strings.NewReader("<x/>")}
				req := newRequest(t, "POST", "/x", body)
				req.Header.Set("Content-Type", tc.typ)
				if getBody {
					req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("<x/>")), nil }
				}
				resp, err := tr.RoundTrip(req)
				if (err != nil) != tc.fails || resp != nil && err != nil {
					t.Fatalf("got %v and %v", resp, err)
				}
				if n := body.closes(); n != 1 {
					t.Errorf("GetBody %v: the body was closed %d times, want once", getBody, n)
				}
			})
		}
	}
}

// killAfter ends the sessions right after the n-th login.
func killAfter(s *system, n int) func(context.Context) error {
	var once sync.Once
	s.onCall = func(*http.Request) *http.Response {
		if logins, _ := s.counts(); logins == n {
			once.Do(s.kill)
		}
		return nil
	}
	return nil
}

type failingApply struct{ auth }

func (*failingApply) Apply(*http.Request, *vmsso.Session) error { return errBoom }

func TestBodyWithoutGetBodyIsSentAgain(t *testing.T) {
	text := strings.Repeat("<CurrentTime/>", 1000)
	for _, typ := range []string{`text/xml; charset="utf-8"`, "application/octet-stream", "application/json", ""} {
		t.Run(typ, func(t *testing.T) {
			s := newSystem()
			tr := newTransport(t, s)
			get(t, tr)
			s.kill()
			s.bodies = nil
			req := newRequest(t, "POST", "/x", hidden{strings.NewReader(text)})
			req.Header.Set("Content-Type", typ)
			resp, err := tr.RoundTrip(req)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("got %v, %v", resp, err)
			}
			if d := cmp.Diff([]string{text, text}, s.bodies); d != "" {
				t.Error("the server did not see the whole body twice")
			}
		})
	}
}

func TestReplayLimit(t *testing.T) {
	for _, tc := range []struct {
		name  string
		typ   string
		size  int
		limit int64
		again bool
	}{
		{"within", "a/b", 100, 100, true},
		{"one byte over", "a/b", 101, 100, false},
		{"XML within", "text/xml", 5000, 5000, true},
		{"XML one byte over", "text/xml", 5001, 5000, false},
		{"default within", "a/b", 1 << 20, 0, true},
		{"default over", "a/b", 1<<20 + 1, 0, false},
		{"none", "a/b", 1, -1, false},
		{"none, and nothing in it", "a/b", 0, -1, true},
		{"none, XML that is read ahead", "text/xml", 4096, -1, true},
		{"none, longer XML", "text/xml", 4097, -1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSystem()
			tr := newTransport(t, s, func(c *vmsso.Config) { c.ReplayBody = tc.limit })
			get(t, tr)
			s.kill()
			s.bodies = nil
			body := bytes.Repeat([]byte("x"), tc.size)
			req := newRequest(t, "POST", "/x", hidden{bytes.NewReader(body)})
			req.Header.Set("Content-Type", tc.typ)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range s.bodies {
				if b != string(body) {
					t.Errorf("the server saw %d bytes, want %d", len(b), tc.size)
				}
			}
			want := map[bool]int{true: 200, false: 401}[tc.again]
			if resp.StatusCode != want {
				t.Errorf("status %d, want %d", resp.StatusCode, want)
			}
			if status := get(t, tr); status != 200 {
				t.Errorf("the next request: status %d, want 200 in a new session", status)
			}
		})
	}
}

// zeros is a long body without content; it checks that memory stays low.
type zeros struct {
	left int64
	most uint64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	z.left -= int64(n)
	if z.left%(32<<20) < int64(n) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		z.most = max(z.most, m.HeapAlloc)
	}
	return n, nil
}

func TestLongStreamIsNotKeptInMemory(t *testing.T) {
	s := newSystem()
	got := int64(0)
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			got, _ = io.Copy(io.Discard, req.Body)
			req.Body.Close()
			return answer(req, 200, ""), nil
		})
	})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	body := &zeros{left: 256 << 20}
	req := newRequest(t, "PUT", "/folder/disk.vmdk", hidden{body})
	req.ContentLength = 256 << 20
	if _, err := tr.RoundTrip(req); err != nil || got != 256<<20 {
		t.Fatalf("%d bytes arrived, error %v", got, err)
	}
	if grown := int64(body.most) - int64(before); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes while 256 MiB passed", grown)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestEarlyAnswerWhileTheBodyIsStillRead: a base transport may return the
// answer and go on reading the body in another goroutine.
func TestEarlyAnswerWhileTheBodyIsStillRead(t *testing.T) {
	body := make([]byte, 900<<10)
	_, _ = rand.Read(body)
	for range 20 {
		s := newSystem()
		var reading sync.WaitGroup
		var received []byte
		first := true
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
				if !first {
					received, _ = io.ReadAll(req.Body)
					req.Body.Close()
					return answer(req, 200, ""), nil
				}
				first = false
				_, _ = io.ReadFull(req.Body, make([]byte, 10<<10))
				reading.Go(func() {
					_, _ = io.Copy(io.Discard, req.Body) // until it fails
					req.Body.Close()
				})
				return answer(req, 401, ""), nil
			})
		})
		source := &countingBody{Reader: bytes.NewReader(body)}
		resp, err := tr.RoundTrip(newRequest(t, "PUT", "/x", source))
		reading.Wait()
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(received, body) {
			t.Fatalf("got %v, %v, %d bytes, want 200 and all of %d bytes in order", resp, err, len(received), len(body))
		}
		if n := source.closes(); n != 1 {
			t.Errorf("the caller's body was closed %d times, want once", n)
		}
	}
}

// TestReaderOfADroppedAttemptTakesNothingMore: it would read past the limit,
// and what it read would be forgotten.
func TestReaderOfADroppedAttemptTakesNothingMore(t *testing.T) {
	s := newSystem()
	body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB, with 1 MiB remembered
	var first io.ReadCloser
	var received []byte
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if first == nil {
				first = req.Body
				_, _ = io.ReadFull(first, make([]byte, 10<<10))
				return answer(req, 401, ""), nil
			}
			start, _ := io.ReadAll(io.LimitReader(req.Body, 1<<10))
			if n, err := io.Copy(io.Discard, first); n != 0 || err == nil {
				t.Errorf("the first attempt read %d bytes more and %v, want none and an error", n, err)
			}
			first.Close()
			rest, _ := io.ReadAll(req.Body)
			req.Body.Close()
			req.Body.Close() // some transports do
			received = append(start, rest...)
			return answer(req, 200, ""), nil
		})
	})
	source := &countingBody{Reader: bytes.NewReader(body)}
	resp, err := tr.RoundTrip(newRequest(t, "PUT", "/x", source))
	if err != nil || resp.StatusCode != 200 || !bytes.Equal(received, body) {
		t.Fatalf("got %v, %v, %d bytes, want 200 and all of %d bytes in order", resp, err, len(received), len(body))
	}
	if n := source.closes(); n != 1 {
		t.Errorf("the caller's body was closed %d times, want once", n)
	}
}

func TestCallerWhoseBodyHangsCanStillLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var reading sync.WaitGroup
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
				reading.Go(func() {
					_, _ = io.Copy(io.Discard, req.Body)
					req.Body.Close()
				})
				synctest.Wait()
				return answer(req, 401, ""), nil
			})
		})
		r, w := io.Pipe() // nobody writes
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		resp, err := tr.RoundTrip(newRequest(t, "PUT", "/x", r).WithContext(ctx))
		if err != nil || resp.StatusCode != 401 {
			t.Errorf("got %v, %v, want the server's answer", resp, err)
		}
		w.Close()
		reading.Wait()
	})
}

func TestTextThatIsReadAheadDoesNotOutlastTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s)
		r, w := io.Pipe() // nobody writes
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := newRequest(t, "POST", "/sdk", r).WithContext(ctx)
		req.Header.Set("Content-Type", "text/xml")
		start := time.Now()
		if _, err := tr.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want the end of the context after 1s", err, time.Since(start))
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the body is not closed: %v", err)
		}
	})
}

func TestEmptyBodyIsNoBody(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	req := newRequest(t, "POST", "/x", hidden{io.MultiReader()}) // as govmomi's REST client sends it
	req.Header.Set("Content-Type", "application/json")
	if resp, err := tr.RoundTrip(req); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if last := s.seen[len(s.seen)-1]; last.Body != nil || last.ContentLength != 0 {
		t.Errorf("the body is %v, length %d, want none", last.Body, last.ContentLength)
	}
}

func TestBodyThatWasReadAheadHasALength(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	req := newRequest(t, "POST", "/sdk", hidden{strings.NewReader("<x/>")})
	req.Header.Set("Content-Type", "text/xml")
	if _, err := tr.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if last := s.seen[len(s.seen)-1]; last.ContentLength != 4 || last.GetBody == nil {
		t.Errorf("length %d, GetBody %t, want 4 and true", last.ContentLength, last.GetBody != nil)
	}
}

func TestBaseThatClosesTwiceClosesTheCallersBodyOnce(t *testing.T) {
	s := newSystem()
	body := &countingBody{Reader: strings.NewReader("x")}
	tr := newTransport(t, s, func(c *vmsso.Config) {
		c.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, 200, "")
			resp.Body = &closing{Reader: resp.Body, also: req.Body} // after RoundTrip has returned
			return resp, nil
		})
	})
	resp, err := tr.RoundTrip(newRequest(t, "PUT", "/x", body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body.Close()
	if n := body.closes(); n != 1 {
		t.Errorf("the caller's body was closed %d times, want once", n)
	}
}

type closing struct {
	io.Reader
	also io.Closer
}

func (c *closing) Close() error { return c.also.Close() }

func TestErrorOfTheCallersBodyIsReturned(t *testing.T) {
	s := newSystem()
	tr := newTransport(t, s)
	for _, typ := range []string{"text/xml", "a/b"} {
		body := &countingBody{Reader: io.MultiReader(strings.NewReader("<x"), errReader{})}
		req := newRequest(t, "POST", "/x", body)
		req.Header.Set("Content-Type", typ)
		if _, err := tr.RoundTrip(req); !errors.Is(err, errBoom) || body.closes() != 1 {
			t.Errorf("%s: got %v, body closed %d times, want the body's error, closed once", typ, err, body.closes())
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBoom }

func TestBaseThatBreaksTheContractIsMended(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"no request": func(req *http.Request) (*http.Response, error) {
			r := answer(req, 200, "")
			r.Request = nil
			return r, nil
		},
		"both":    func(req *http.Request) (*http.Response, error) { return answer(req, 200, ""), errBoom },
		"neither": func(req *http.Request) (*http.Response, error) { return nil, nil },
		"cookies, no request": func(req *http.Request) (*http.Response, error) {
			r := answer(req, 200, "")
			r.Request, r.Header["Set-Cookie"] = nil, []string{"session=second"}
			return r, nil
		},
	} {
		s := newSystem()
		tr := newTransport(t, s, func(c *vmsso.Config) {
			c.Auth, c.MaxRetries = &settingAuth{auth: auth{sys: s}}, -1
			c.Base = roundTripper(answer)
		})
		req := newRequest(t, "GET", "/x", nil)
		resp, err := tr.RoundTrip(req)
		if (resp == nil) == (err == nil) || resp != nil && resp.Request != req {
			t.Errorf("%s: got %v, %v, want one of them", name, resp, err)
		}
	}
}
