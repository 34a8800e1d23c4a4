package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// hangUp breaks the connection.
func hangUp(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Fault 9: the connection breaks after the server has taken the token and before it answers. Whether there is a session now nobody knows: the login
// is not repeated, the error is no refusal, the log tells of it, and the next call logs in. The session that was lost is the server's to end.
func TestLoginWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			l := newLab(t)
			s := sys.server(l)
			s.Inject(sys.login, 1, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			})
			var failed []error
			c, tr := sys.client(l, t, l.source(t, tokensource.STSConfig{}), func(cfg *vmsso.Config) {
				cfg.Trace = &vmsso.Trace{LoginDone: func(_ time.Duration, _ string, err error) {
					if err != nil {
						failed = append(failed, err)
					}
				}}
			})
			_, _, err := sys.call(t.Context(), c)
			if le := loginError(err); le == nil || errors.Is(err, vmsso.ErrRejected) || !errors.Is(err, io.EOF) {
				t.Errorf("got %v, want a LoginError of a broken connection", err)
			}
			if s.Calls(sys.login) != 1 || len(failed) != 1 || l.sts.Requests() != 1 {
				t.Errorf("%d logins were sent with %d tokens, %d failures traced, want 1 each", s.Calls(sys.login), l.sts.Requests(), len(failed))
			}
			expect(t, s, 1, 1)
			must(t, sys.call, c)
			expect(t, s, 2, 2)
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			expect(t, s, 2, 1)
		})
	}
}

// bodies is a base that counts the answers whose bodies are not closed yet.
type bodies struct {
	rt   http.RoundTripper
	open atomic.Int64
}

func (b *bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.rt.RoundTrip(req)
	if err == nil {
		b.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &b.open}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	open   *atomic.Int64
	closed atomic.Bool
}

func (b *countedBody) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	return b.ReadCloser.Close()
}

// Fault 10: the answer of a login breaks off in its body. There is no session then, whatever the part said; the body is closed.
func TestLoginWhoseAnswerBreaksOffGivesNoSession(t *testing.T) {
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			l := newLab(t)
			base := &bodies{rt: l.base}
			breakOff := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				for name, values := range rec.Header() {
					w.Header()[name] = values
				}
				w.Header().Set("Content-Length", "100000")
				w.WriteHeader(rec.Code)
				_, _ = w.Write(rec.Body.Bytes()) // all but the padding
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			s := sys.server(l)
			s.Inject(sys.login, 1, breakOff)
			l.sts.Inject("Issue", 1, breakOff)
			c, tr := sys.client(l, t, l.source(t, tokensource.STSConfig{Base: base}), func(cfg *vmsso.Config) { cfg.Base = base })
			for n := range 2 { // at the token service first, then at the system
				_, _, err := sys.call(t.Context(), c)
				if loginError(err) == nil || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, vmsso.ErrRejected) {
					t.Errorf("got %v, want a LoginError of an answer that broke off", err)
				}
				if base.open.Load() != 0 || !strings.Contains(fmt.Sprint(tr), "session: none") || s.Calls(sys.login) != n {
					t.Errorf("%d bodies are open, %v, %d logins were sent, want %d", base.open.Load(), tr, s.Calls(sys.login), n)
				}
			}
			must(t, sys.call, c)
			expect(t, s, 2, 2) // one that was accepted in the part that came
			tr.Close()
			expect(t, s, 2, 1)
			if n := base.open.Load(); n != 0 {
				t.Errorf("%d bodies are open", n)
			}
		})
	}
}

// Fault 11: the session is gone, and the server closes the kept connection on the request that is sent again. A POST may have been done: the error goes
// to the caller without a third try. Only a GET may come once more.
func TestConnectionClosedOnAReplayIsHandedUp(t *testing.T) {
	l := newLab(t)
	post, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	get, _ := l.rest(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, post)
	must(t, vms, get)
	l.vsphere.Kill()
	l.automation.Kill()
	through := func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
	l.vsphere.Inject("CurrentTime", 1, through) // NotAuthenticated
	l.vsphere.Inject("CurrentTime", 1, hangUp)
	l.automation.Inject("GET /api/vcenter/vm", 1, through)
	l.automation.Inject("GET /api/vcenter/vm", 1, hangUp)

	if status, _, err := currentTime(t.Context(), post); !errors.Is(err, io.EOF) || loginError(err) != nil {
		t.Errorf("got %d, %v, want the broken connection", status, err)
	}
	if n := l.vsphere.Calls("CurrentTime"); n != 3 {
		t.Errorf("the POST was sent %d times, want 1 before and 2 now", n)
	}
	must(t, vms, get)
	if n := l.automation.Calls("GET /api/vcenter/vm"); n != 4 {
		t.Errorf("the GET was sent %d times, want 1 before and 3 now", n)
	}
	must(t, currentTime, post)
	expect(t, l.vsphere, 2, 1)
	expect(t, l.automation, 2, 1)
}

// A mute connection swallows what is written to it once its wire is cut: the host on the other side is gone without a word.
type muteConn struct {
	net.Conn
	cut *atomic.Bool
}

func (c muteConn) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Fault 12: the connection is half open: what is sent vanishes and nothing comes. A login ends by LoginTimeout, a call by its context, the keeping alive
// of a session and Close by themselves; the bubble finds out if a goroutine stays.
func TestHalfOpenConnectionEndsByATimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tc := range []struct {
			name string
			f    func(c *http.Client, tr *vmsso.Transport) error
			want time.Duration
		}{
			{"a login", func(c *http.Client, tr *vmsso.Transport) error {
				_, _, err := currentTime(t.Context(), c)
				return err
			}, 30 * time.Second},
			{"a call", func(c *http.Client, tr *vmsso.Transport) error {
				ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				_, _, err := currentTime(ctx, c)
				return err
			}, 7 * time.Second},
			{"Close", func(c *http.Client, tr *vmsso.Transport) error { return tr.Close() }, 5 * time.Second},
		} {
			l := newLab(t)
			var cut atomic.Bool
			newWire(l).bendTo(func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := l.net.DialContext(ctx, network, addr)
				return muteConn{c, &cut}, err
			})
			c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}), func(cfg *vmsso.Config) { cfg.KeepAlive = time.Minute })
			must(t, currentTime, c)
			if tc.name == "a login" {
				if err := tr.Logout(t.Context()); err != nil {
					t.Error(err)
				}
			}
			cut.Store(true)
			start := time.Now()
			err := tc.f(c, tr)
			var timeout net.Error
			if took := time.Since(start); took != tc.want || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: after %v got %v, want a timeout after %v", tc.name, took, err, tc.want)
			}
			time.Sleep(5 * time.Minute) // the keep-alive meets it too
			cut.Store(false)
			l.base.CloseIdleConnections()
			if tc.name != "Close" {
				must(t, currentTime, c)
			}
			tr.Close()
		}
	})
}
