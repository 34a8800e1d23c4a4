package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 112: a program runs for long, with faults and with callers that forget to close. What the transport borrows it gives back: bodies, goroutines,
// timers, memory, connections, and sessions of the servers.
func TestNothingLeaks(t *testing.T) {
	t.Run("bodies", noBodyLeaks)
	t.Run("without Close", noGoroutineLeaksWithoutClose)
	t.Run("after Close", noTimerLeaksAfterClose)
	t.Run("refused tokens", noRefusalLeaks)
	t.Run("refused passwords", noPasswordLeaks)
	t.Run("a day with faults", nothingLeaksInADay)
}

// A ledger counts the bodies that are open: those of answers, and those that callers send.
type ledger struct{ opened, closed, requests atomic.Int64 }

// open returns the body, counted.
func (l *ledger) open(body io.ReadCloser) io.ReadCloser {
	l.opened.Add(1)
	return &counted{body, sync.OnceFunc(func() { l.closed.Add(1) })}
}

type counted struct {
	io.ReadCloser
	once func()
}

func (c *counted) Close() error {
	c.once()
	return c.ReadCloser.Close()
}

// over counts the answers of a base transport.
func (l *ledger) over(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		l.requests.Add(1)
		resp, err := base.RoundTrip(req)
		if err == nil {
			resp.Body = l.open(resp.Body)
		}
		return resp, err
	})
}

// breakOff answers with the beginning of a body.
func breakOff(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "<Envelope")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func abort(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// noBodyLeaks: every way out of RoundTrip closes the caller's body and the answers that the caller does not get.
func noBodyLeaks(t *testing.T) {
	const call, login, logout = "call", "login", "logout"
	for _, tc := range []struct {
		name, at string // at which request
		n        int    // how often; 0: the sessions are killed
		answer   vmssotest.Injector
	}{
		{"no fault", call, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }},
		{"session gone", call, 0, nil},
		{"refused always", call, -1, instead(401, "text/plain", "Unauthorized")},
		{"fault always", call, -1, soapFault("ServerFaultCode", "no", "NotAuthenticated")},
		{"too many requests", call, 2, instead(429, "text/plain", "later", "Retry-After", "1")},
		{"503 always", call, -1, instead(503, "text/html", noUpstream, "Retry-After", "1")},
		{"call broken off", call, 2, breakOff},
		{"call reset", call, 3, abort},
		{"call redirected", call, 1, instead(307, "text/plain", "there", "Location", "https://elsewhere.example.test/")},
		{"login refused", login, 1, instead(401, "text/plain", "Unauthorized")},
		{"login full", login, 1, instead(503, "text/plain", "Out of HTTP sessions")},
		{"login page", login, 2, instead(200, "text/html", noUpstream)},
		{"login redirected", login, 2, instead(302, "text/html", noUpstream, "Location", "/elsewhere")},
		{"login too long", login, 1, instead(200, "text/xml", strings.Repeat(" ", 5<<20))},
		{"login broken off", login, 2, breakOff},
		{"login reset", login, 2, abort},
		{"login too late", login, 1, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }},
		{"logout refused", logout, 1, instead(500, "text/plain", "no")},
		{"logout broken off", logout, 1, breakOff},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sys := range systems {
				bubble(t, func(t *testing.T) {
					op := map[string]string{call: postOf(sys).op, login: sys.login, logout: sys.logout}[tc.at]
					checkBodies(t, sys, func(server faultyServer) {
						if server.Kill(); tc.n != 0 {
							server.Inject(op, tc.n, tc.answer)
						}
					}, tc.at == login)
				})
			}
		})
	}
}

// A post is a request with a body to a system.
type post struct{ op, url, contentType, body string }

func postOf(sys system) post {
	switch sys.name {
	case "SOAP":
		return post{"CurrentTime", vcURL + "/sdk", "text/xml", message("CurrentTime", `<_this type="ServiceInstance">ServiceInstance</_this>`)}
	case "REST":
		return post{"POST /api/echo", vcURL + "/api/echo", "application/octet-stream", "a body"}
	}
	return post{"POST /api/echo", vcdURL + "/api/echo", "application/octet-stream", "a body"}
}

// checkBodies makes requests before and after a fault, with a context that has ended, and after Close. atLogin: the fault comes before all of them.
func checkBodies(t *testing.T, sys system, fault func(faultyServer), atLogin bool) {
	l, p, books := newLab(t), postOf(sys), &ledger{}
	c, tr := sys.client(l, t, tokensource.Static(bearer()), func(cfg *vmsso.Config) { cfg.Base = books.over(l.base) })
	send := func(ctx context.Context) error {
		// Neither a type that net/http knows nor GetBody: a body that can be read once.
		body := books.open(io.NopCloser(io.MultiReader(strings.NewReader(p.body))))
		_, _, err := do(ctx, c, http.MethodPost, p.url, http.Header{"Content-Type": {p.contentType}}, body)
		return err
	}
	if !atLogin {
		if err := send(t.Context()); err != nil {
			t.Error(err)
		}
	}
	fault(sys.server(l))
	for range 3 {
		_ = send(t.Context())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := send(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%s: with a context that has ended: error %v", sys.name, err)
	}
	_ = tr.Close()
	if err := send(t.Context()); !errors.Is(err, vmsso.ErrClosed) {
		t.Errorf("%s: after Close: error %v", sys.name, err)
	}
	synctest.Wait()
	if opened, closed := books.opened.Load(), books.closed.Load(); opened != closed || opened < 5 {
		t.Errorf("%s: %d bodies, %d closed", sys.name, opened, closed)
	}
}

// goroutines counts those of the bubble when no connection is open any more. The runtime has others that come and go.
func (l *lab) goroutines() int {
	synctest.Wait()
	l.base.CloseIdleConnections()
	synctest.Wait()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("synctest bubble"))
}

// noGoroutineLeaksWithoutClose: whoever forgets Close loses a session, no goroutine.
func noGoroutineLeaksWithoutClose(t *testing.T) {
	for _, sys := range systems {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			before := l.goroutines()
			for range 5 {
				tr, err := vmsso.New(vmsso.Config{
					Endpoint: map[bool]string{true: vcdURL, false: vcURL}[sys.name == onDirector.name],
					Source:   tokensource.Static(bearer()), Auth: newAuth(sys), Base: l.base, KeepAlive: time.Hour, MaxAge: time.Minute,
				})
				if err != nil {
					t.Fatal(err)
				}
				c := &http.Client{Transport: tr}
				must(t, sys.call, c)
				time.Sleep(2 * time.Minute)
				must(t, sys.call, c) // replaces the session, in the background
			}
			if after := l.goroutines(); after > before || before == 0 {
				t.Errorf("%s: %d goroutines after five transports, %d before", sys.name, after, before)
			}
		})
	}
}

// noTimerLeaksAfterClose: nothing is sent after Close, by no timer.
func noTimerLeaksAfterClose(t *testing.T) {
	for _, sys := range systems {
		bubble(t, func(t *testing.T) {
			l, books := newLab(t), &ledger{}
			c, tr := sys.client(l, t, tokensource.Static(bearer()), func(cfg *vmsso.Config) {
				cfg.KeepAlive, cfg.MaxAge, cfg.Base = time.Minute, time.Hour, books.over(l.base)
			})
			must(t, sys.call, c)
			time.Sleep(3 * time.Minute)
			before := books.requests.Load()
			if before < 4 {
				t.Errorf("%s: %d requests in three minutes: the session is not kept alive", sys.name, before)
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(24 * time.Hour)
			if n := books.requests.Load() - before; n != 1 {
				t.Errorf("%s: %d requests after the last call, want 1, the logout", sys.name, n)
			}
			expect(t, sys.server(l), 1, 0)
		})
	}
}

// heap returns the bytes in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found in pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// noRefusalLeaks: of some fifty refused tokens of some 50 KB each, none stays.
func noRefusalLeaks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		valid := bearer().Assertion
		n := 0
		c, _ := l.soap(t, sourceFunc(func(context.Context) (*vmsso.Token, error) {
			n++
			forged := strings.Repeat(fmt.Sprintf("mallory-%d ", n), 4000) + user
			return &vmsso.Token{Assertion: strings.ReplaceAll(valid, user, forged)}, nil
		}), func(cfg *vmsso.Config) { cfg.RefusedWait = time.Minute })
		refused := func(times int) {
			for range times {
				if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) {
					t.Fatalf("error %v", err)
				}
				time.Sleep(30 * time.Second)
			}
		}
		refused(10)
		before := heap()
		refused(100)
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%d bytes more after %d tokens", grown, n)
		}
		if l.vsphere.Refused() != n || n < 50 {
			t.Errorf("%d logins refused of %d tokens", l.vsphere.Refused(), n)
		}
	})
}

// noPasswordLeaks: nor do passwords that change all the time.
func noPasswordLeaks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.sts.Inject("Issue", -1, soapFault("ns0:FailedAuthentication", "Invalid credentials", ""))
		n := 0
		source := l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			n++
			return signer.Credentials{Username: user, Password: string(bytes.Repeat([]byte(fmt.Sprint(n)), 10_000))}, nil
		}})
		refused := func(times int) {
			for range times {
				if _, err := source.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) {
					t.Fatalf("error %v", err)
				}
			}
		}
		refused(20)
		before := heap()
		refused(300)
		if grown := heap() - before; grown > 3<<20 {
			t.Errorf("%d bytes more after %d passwords", grown, n)
		}
		if l.sts.Requests() != 320 {
			t.Errorf("%d requests for a token, want 320", l.sts.Requests())
		}
	})
}
