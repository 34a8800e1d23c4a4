package vmsso_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// stored puts the session into a store.
func stored(store vmsso.SessionStore) func(*vmsso.Config) {
	return func(c *vmsso.Config) { c.Store, c.Identity = store, "alice@vsphere.local" }
}

func TestMemoryIsASessionStore(t *testing.T) {
	m := newMemory()
	vmssotest.TestSessionStore(t, func() vmsso.SessionStore { return m })
}

// noTokens is the source of a process that needs none.
func noTokens(t *testing.T) func(*vmsso.Config) {
	return func(c *vmsso.Config) {
		c.Source = tokens(func(context.Context) (*vmsso.Token, error) {
			t.Error("the source was asked for a token")
			return nil, errBoom
		})
	}
}

func TestNextProcessTakesTheSessionOfTheStore(t *testing.T) {
	s, store := newSystem(), newMemory()
	for run := range 3 {
		changes := []func(*vmsso.Config){stored(store)}
		if run > 0 {
			changes = append(changes, noTokens(t))
		}
		tr := newTransport(t, s, changes...)
		for range 2 {
			if status := get(t, tr); status != 200 {
				t.Errorf("run %d: status %d", run, status)
			}
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	if logins, live := s.counts(); logins != 1 || live != 1 || s.logouts != 0 || s.probes != 0 {
		t.Errorf("%d logins, %d live, %d logouts, %d probes, want one session and nothing else", logins, live, s.logouts, s.probes)
	}
}

func TestLogoutEndsTheSessionOfTheStore(t *testing.T) {
	for _, used := range []bool{true, false} { // by the one who logs out
		s, store := newSystem(), newMemory()
		first := newTransport(t, s, stored(store))
		get(t, first)
		second := newTransport(t, s, stored(store), noTokens(t))
		if used {
			get(t, second)
		}
		if err := second.Logout(t.Context()); err != nil {
			t.Error(err)
		}
		if _, live := s.counts(); live != 0 || s.logouts != 1 {
			t.Errorf("%d live sessions after %d logouts, want none after one", live, s.logouts)
		}
		if n := store.filled(); n != 0 {
			t.Errorf("%d records in the store", n)
		}
		get(t, first)
		get(t, newTransport(t, s, stored(store), noTokens(t)))
		if logins, live := s.counts(); logins != 2 || live != 1 {
			t.Errorf("afterwards: %d logins, %d live", logins, live)
		}
	}
}

func (m *memory) filled() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.records {
		if len(e.record) > 0 {
			n++
		}
	}
	return n
}

// TestManyTransportsOfOneStoreLogInOnce: cold, and again when the server has ended
// the session; the others adopt the one that the first has made.
func TestManyTransportsOfOneStoreLogInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		s.onLogin = func(context.Context) error { time.Sleep(time.Second); return nil }
		var all []*vmsso.Transport
		for range 50 {
			all = append(all, newTransport(t, s, stored(store)))
		}
		for round := 1; round <= 3; round++ {
			together(1000, func(i int) {
				if status := get(t, all[i%50]); status != 200 {
					t.Errorf("status %d", status)
				}
			})
			if logins, live := s.counts(); logins != round || live != 1 || s.most != 1 {
				t.Errorf("round %d: %d logins, %d live, %d at the same time", round, logins, live, s.most)
			}
			s.kill()
		}
	})
}

func TestEachEndpointAndProtocolHasItsOwnSession(t *testing.T) {
	s, store := newSystem(), newMemory()
	for n, change := range []func(*vmsso.Config){
		func(c *vmsso.Config) {},
		func(c *vmsso.Config) { c.Endpoint = "https://vc2.example.test/sdk" },
		func(c *vmsso.Config) { c.Endpoint = "https://vc.example.test:8443/sdk" },
		func(c *vmsso.Config) { c.Auth = &unprobed{auth{sys: s}} },
		func(c *vmsso.Config) { c.Identity = "bob@vsphere.local" },
	} {
		if _, err := newTransport(t, s, stored(store), change).Session(t.Context()); err != nil {
			t.Fatal(err)
		}
		if logins, _ := s.counts(); logins != n+1 {
			t.Errorf("number %d has the session of another", n)
		}
	}
	get(t, newTransport(t, s, stored(store), noTokens(t), func(c *vmsso.Config) { c.Endpoint = "https://VC.example.test:443/other" }))
}

// TestSessionOfTheStoreIsThereWhileAnotherHasTheLease: who wants to read need not
// wait for who writes.
func TestSessionOfTheStoreIsThereWhileAnotherHasTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		get(t, newTransport(t, s, stored(store)))
		for key := range store.records {
			l, err := store.Lock(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Release()
		}
		start := time.Now()
		get(t, newTransport(t, s, stored(store), noTokens(t)))
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %v for the lease", took)
		}
	})
}

func TestSessionThatMayBeStaleIsProbed(t *testing.T) {
	for _, tc := range []struct {
		age           time.Duration
		dead          bool
		probes, login int
		status        int // of a request that cannot be sent again
	}{
		{time.Minute, false, 0, 1, 200},
		{time.Hour, false, 1, 1, 200},
		{time.Hour, true, 1, 2, 200},
		{-time.Hour, false, 1, 1, 200}, // the clock was set back
	} {
		synctest.Test(t, func(t *testing.T) {
			s, store := newSystem(), newMemory()
			now := time.Now()
			first := newTransport(t, s, stored(store), func(c *vmsso.Config) {
				c.Auth = &datedAuth{auth{sys: s}, func() time.Time { return now.Add(min(0, tc.age) * -1) }}
			})
			get(t, first)
			first.Close()
			time.Sleep(max(0, tc.age))
			if tc.dead {
				s.kill()
			}
			tr := newTransport(t, s, stored(store), func(c *vmsso.Config) {
				c.Auth, c.ReplayBody = &datedAuth{auth{sys: s}, time.Now}, -1
			})
			resp, err := tr.RoundTrip(newRequest(t, "POST", "/x", hidden{strings.NewReader("upload")}))
			if err != nil || resp.StatusCode != tc.status {
				t.Errorf("age %v: %v, %v, want %d", tc.age, resp, err, tc.status)
			}
			if logins, _ := s.counts(); logins != tc.login || s.probes != tc.probes {
				t.Errorf("age %v, dead %t: %d logins, %d probes, want %d and %d", tc.age, tc.dead, logins, s.probes, tc.login, tc.probes)
			}
		})
	}
}

// datedAuth has sessions of another time.
type datedAuth struct {
	auth
	now func() time.Time
}

func (d *datedAuth) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sess, err := d.auth.Login(ctx, rt, u, tok)
	if err == nil {
		sess.Created = d.now()
	}
	return sess, err
}

// TestRefusalsOutliveTheProcess: what would lock an account if each process began
// anew.
func TestRefusalsOutliveTheProcess(t *testing.T) {
	rejected := &vmsso.LoginError{Endpoint: "sts.example.test", Stage: "Issue", Status: 500, Fault: "FailedAuthentication", Err: vmsso.ErrLocked}
	for _, tc := range []struct {
		name             string
		token            func(asked int) (*vmsso.Token, error)
		asked, logins    int // in 20 runs within a minute
		kind             error
		stage, saysFault string
	}{
		{"one token", func(int) (*vmsso.Token, error) { return oneToken(t.Context()) }, 20, 1, vmsso.ErrRejected, "login", "InvalidLogin"},
		{"another token each time", func(n int) (*vmsso.Token, error) { return &vmsso.Token{Assertion: strings.Repeat("<a>", n)}, nil }, 2, 2, vmsso.ErrRejected, "login", "InvalidLogin"},
		{"wrong password", func(int) (*vmsso.Token, error) { return nil, rejected }, 2, 0, vmsso.ErrLocked, "Issue", "FailedAuthentication"},
		{"unreachable", func(int) (*vmsso.Token, error) { return nil, errBoom }, 20, 0, errBoom, "token", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newSystem(), newMemory()
				s.refuse = true
				asked := 0
				run := func() error {
					tr := newTransport(t, s, stored(store), func(c *vmsso.Config) {
						c.Source = tokens(func(context.Context) (*vmsso.Token, error) { asked++; return tc.token(asked) })
					})
					defer tr.Close()
					_, err := tr.Session(t.Context())
					return err
				}
				for i := range 20 {
					err := run()
					var le *vmsso.LoginError
					if !errors.Is(err, tc.kind) || !errors.As(err, &le) || le.Stage != tc.stage || le.Fault != tc.saysFault {
						t.Fatalf("got %v, want %v at %s", err, tc.kind, tc.stage)
					}
					if le.Remembered != (i >= 2 && tc.kind != errBoom || i == 1 && tc.asked == 20 && tc.logins == 1) {
						t.Errorf("run %d: remembered %t: %v", i, le.Remembered, err)
					}
					time.Sleep(3 * time.Second)
				}
				if logins, _ := s.counts(); logins != tc.logins || asked != tc.asked {
					t.Errorf("20 runs: %d logins, asked for %d tokens, want %d and %d", logins, asked, tc.logins, tc.asked)
				}
				time.Sleep(3 * time.Minute)
				s.refuse = false
				if err := run(); tc.kind == vmsso.ErrRejected && err != nil {
					t.Errorf("after the wait: %v", err)
				}
			})
		})
	}
}

func TestSessionLimitOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		s.onLogin = func(context.Context) error {
			return &vmsso.LoginError{Stage: "login", Status: 503, Err: vmsso.ErrSessionLimit}
		}
		for run := range 20 {
			tr := newTransport(t, s, stored(store), func(c *vmsso.Config) {
				c.Source = tokens(func(context.Context) (*vmsso.Token, error) {
					return &vmsso.Token{Assertion: strings.Repeat("<a>", run+1)}, nil
				})
			})
			if _, err := tr.Session(t.Context()); !errors.Is(err, vmsso.ErrSessionLimit) {
				t.Fatalf("got %v, want ErrSessionLimit", err)
			}
			time.Sleep(time.Second)
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins, want 1", logins)
		}
	})
}

// TestLogoutEndsALoginThatComesToTheStoreLater: one that was on its way there.
func TestLogoutEndsALoginThatComesToTheStoreLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), &slowStore{newMemory()}
		tr := newTransport(t, s, stored(store))
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = tr.Session(ctx)
		}()
		synctest.Wait()
		leave()
		<-done
		if err := newTransport(t, s, stored(store.memory)).Logout(t.Context()); err != nil { // another process: not about the login
			t.Error(err)
		}
		if err := tr.Logout(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if logins, live := s.counts(); logins != 1 || live != 0 || store.filled() != 0 {
			t.Errorf("%d logins, %d live sessions, %d records, want 1, 0 and 0", logins, live, store.filled())
		}
	})
}

// slowStore takes its time for the first Load.
type slowStore struct{ *memory }

func (s *slowStore) Load(ctx context.Context, key string) ([]byte, error) {
	if _, ends := ctx.Deadline(); ends {
		time.Sleep(10 * time.Second)
	}
	return s.memory.Load(ctx, key)
}

// TestSessionThatWasLoggedOutIsNotTakenFromTheStore: it could not be deleted there.
func TestSessionThatWasLoggedOutIsNotTakenFromTheStore(t *testing.T) {
	s, store := newSystem(), &brokenStore{newMemory(), ""}
	tr := newTransport(t, s, stored(store))
	get(t, tr)
	store.fails = "lock"
	if err := tr.Logout(t.Context()); !errors.Is(err, vmsso.ErrStore) {
		t.Errorf("got %v, want ErrStore", err)
	}
	get(t, tr)
	if s.calls != 2 {
		t.Errorf("%d calls, want 2: none in the session that has ended", s.calls)
	}
}

// brokenStore fails where it is told to.
type brokenStore struct {
	*memory
	fails string
}

func (b *brokenStore) Load(ctx context.Context, key string) ([]byte, error) {
	if b.fails == "load" {
		return nil, errors.New("input/output error")
	}
	return b.memory.Load(ctx, key)
}

func (b *brokenStore) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	switch b.fails {
	case "lock":
		return nil, errors.New("read-only file system")
	case "no lease":
		return nil, nil
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	l, err := b.memory.Lock(ctx, key)
	return &brokenLease{l, b.fails}, err
}

type brokenLease struct {
	vmsso.Lease
	fails string
}

func (l *brokenLease) Save(ctx context.Context, record []byte, ttl time.Duration) error {
	if l.fails == "save" {
		return errors.New("no space left on device")
	}
	return l.Lease.Save(ctx, record, ttl)
}

func (l *brokenLease) Release() error {
	if err := l.Lease.Release(); err != nil || l.fails != "release" {
		return err
	}
	return errors.New("input/output error")
}

func TestFaultOfTheStoreFailsNoLogin(t *testing.T) {
	for _, tc := range []struct {
		fails, op string
		stays     bool // the session, for the next process
	}{
		{"load", "load", true}, {"lock", "lock", false}, {"no lease", "lock", false}, {"hang", "lock", false}, {"save", "save", false}, {"release", "release", true},
	} {
		t.Run(tc.fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newSystem(), &brokenStore{newMemory(), tc.fails}
				var ops []string
				tr := newTransport(t, s, stored(store), func(c *vmsso.Config) {
					c.Trace = &vmsso.Trace{StoreFault: func(op string, err error) { ops = append(ops, op) }}
				})
				together(20, func(int) {
					if status := get(t, tr); status != 200 {
						t.Errorf("status %d", status)
					}
				})
				if logins, live := s.counts(); logins != 1 || live != 1 {
					t.Errorf("%d logins, %d live, want one session", logins, live)
				}
				if !slices.Contains(ops, tc.op) {
					t.Errorf("told of %q, want %q", ops, tc.op)
				}
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
				if _, live := s.counts(); (live == 1) != tc.stays {
					t.Errorf("%d live sessions after Close", live)
				}
				if err := newTransport(t, s, stored(store)).Logout(t.Context()); (err != nil) != (tc.op == "lock") || err != nil && !errors.Is(err, vmsso.ErrStore) {
					t.Errorf("Logout: %v, want ErrStore", err)
				}
			})
		})
	}
}

// TestRecordThatCannotBeUsedLeadsToALogin: damaged, moved, made with another key.
func TestRecordThatCannotBeUsedLeadsToALogin(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, made := range [][]byte{nil, key} {
		for _, tc := range []struct {
			name   string
			read   []byte
			damage func([]byte) []byte
			bob    bool
			used   bool
		}{
			{"whole", made, func(b []byte) []byte { return b }, false, true},
			{"of another identity", made, func(b []byte) []byte { return b }, true, false},
			{"of another key", other, func(b []byte) []byte { return b }, false, false},
			{"empty", made, func(b []byte) []byte { return nil }, false, false},
			{"cut", made, func(b []byte) []byte { return b[:len(b)-1] }, false, false},
			{"longer", made, func(b []byte) []byte { return append(b, 'x') }, false, false},
			{"first byte", made, func(b []byte) []byte { b[0] ^= 1; return b }, false, false},
			{"a byte in the middle", made, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, false, false},
			{"of a later version", made, func(b []byte) []byte { return bytes.Replace(b, []byte("session 1"), []byte("session 2"), 1) }, false, false},
			{"huge", made, func(b []byte) []byte { return append(b, make([]byte, 2<<20)...) }, false, false},
		} {
			s, store := newSystem(), newMemory()
			with := func(k []byte) func(*vmsso.Config) { return func(c *vmsso.Config) { c.StoreKey = k } }
			get(t, newTransport(t, s, stored(store), with(made)))
			for k, e := range store.records {
				store.records[k] = entry{tc.damage(e.record), e.ends}
			}
			var log bytes.Buffer
			changes := []func(*vmsso.Config){stored(store), with(tc.read), func(c *vmsso.Config) {
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
				if tc.bob {
					c.Identity = "bob@vsphere.local"
				}
			}}
			if tc.bob { // somebody has put alice's record where bob's belongs
				get(t, newTransport(t, s, changes...))
				keys := slices.Collect(maps.Keys(store.records))
				a, b := store.records[keys[0]], store.records[keys[1]]
				store.records[keys[0]], store.records[keys[1]] = b, a
				s.logins = 1
			}
			tr := newTransport(t, s, changes...)
			if status := get(t, tr); status != 200 {
				t.Errorf("%s: status %d", tc.name, status)
			}
			if logins, _ := s.counts(); (logins == 1) != tc.used || logins > 2 {
				t.Errorf("sealed %t, %s: %d logins, used %t", made != nil, tc.name, logins, tc.used)
			}
			if !tc.used && !strings.Contains(log.String(), "store failed") {
				t.Errorf("%s: the log says nothing: %s", tc.name, &log)
			}
			if strings.Contains(log.String(), "session-") {
				t.Errorf("%s: the log shows the session", tc.name)
			}
			get(t, newTransport(t, s, append(changes, noTokens(t))...)) // the record was replaced
		}
	}
}

func TestDamageIsNoticed(t *testing.T) {
	s, store := newSystem(), newMemory()
	get(t, newTransport(t, s, stored(store)))
	for key, e := range store.records {
		store.records[key] = entry{bytes.Replace(e.record, []byte("session-1"), []byte("session-7"), 1), e.ends}
	}
	get(t, newTransport(t, s, stored(store)))
	if s.calls != 2 {
		t.Errorf("%d calls, want 2: none in a session that was damaged", s.calls)
	}
}

// TestSessionThatIsTooLargeStaysInMemory: what a store takes is bounded.
func TestSessionThatIsTooLargeStaysInMemory(t *testing.T) {
	s, store := newSystem(), newMemory()
	tr := newTransport(t, s, stored(store), func(c *vmsso.Config) { c.Auth = &rawAuth{auth{sys: s}} })
	get(t, tr)
	tr.Close()
	if _, live := s.counts(); live != 0 || store.filled() != 0 {
		t.Errorf("%d live sessions, %d records, want none", live, store.filled())
	}
}

type rawAuth struct{ auth }

func (r *rawAuth) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sess, err := r.auth.Login(ctx, rt, u, tok)
	if err == nil {
		sess.Raw = make([]byte, 1<<20)
	}
	return sess, err
}

func TestRecordShowsNoSecretWithAStoreKey(t *testing.T) {
	for _, key := range [][]byte{nil, bytes.Repeat([]byte{7}, 32)} {
		s, store := newSystem(), newMemory()
		get(t, newTransport(t, s, stored(store), func(c *vmsso.Config) { c.StoreKey = key }))
		for name, e := range store.records {
			for _, secret := range []string{"session-1", "X-Session", "alice", "vc.example.test", "s3cr3t-assertion"} {
				may := key == nil && (secret == "session-1" || secret == "X-Session")
				if got := strings.Contains(name+string(e.record), secret); got != may {
					t.Errorf("encrypted %t: the record shows %s: %t, want %t", key != nil, secret, got, may)
				}
			}
		}
	}
}

func TestChangedCookieIsStoredAtClose(t *testing.T) {
	s, store := newSystem(), newMemory()
	cookies := func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} }
	tr := newTransport(t, s, stored(store), cookies)
	setCookies(s, "/set", "session=second; Path=/")
	resp, err := tr.RoundTrip(newRequest(t, "GET", "/set", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	tr.Close()
	next, err := newTransport(t, s, stored(store), cookies, noTokens(t)).Session(t.Context())
	if err != nil || next.Cookies[0].Value != "second" || next.Cookies[2].MaxAge >= 0 {
		t.Errorf("%v: the next process has %v", err, next.Cookies)
	}
}

// TestCloseWritesNothingThatIsOlderThanTheStore: nor anything that is in it.
func TestCloseWritesNothingThatIsOlderThanTheStore(t *testing.T) {
	s, store := newSystem(), newMemory()
	cookies := func(c *vmsso.Config) { c.Auth = &settingAuth{auth: auth{sys: s}} }
	old := newTransport(t, s, stored(store), cookies)
	setCookies(s, "/set", "session=second; Path=/")
	resp, err := old.RoundTrip(newRequest(t, "GET", "/set", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for key, e := range store.records { // as if that were over
		store.records[key] = entry{e.record, time.Now()}
	}
	newer, err := newTransport(t, s, stored(store), cookies).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	if now, err := newTransport(t, s, stored(store), cookies, noTokens(t)).Session(t.Context()); err != nil || now.ID() != newer.ID() {
		t.Errorf("%v: the store has %v, want the session of the second login, %v", err, now, newer)
	}
	before := maps.Clone(store.records)
	again := newTransport(t, s, stored(store), cookies, noTokens(t))
	get(t, again)
	again.Close()
	if !maps.EqualFunc(before, store.records, func(a, b entry) bool { return a.ends.Equal(b.ends) }) {
		t.Error("Close has written what is in the store already")
	}
}

// TestSessionEndsWithItsExpiry: what the login told of its end is kept too.
func TestSessionEndsWithItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		short := func(c *vmsso.Config) { c.Auth = &expiringAuth{auth{sys: s}} }
		get(t, newTransport(t, s, stored(store), short))
		for _, e := range store.records {
			if ttl := time.Until(e.ends); ttl != time.Minute {
				t.Errorf("the record stays for %v, want a minute", ttl)
			}
		}
		for key, e := range store.records { // a store that keeps things for longer
			store.records[key] = entry{e.record, time.Now().Add(time.Hour)}
		}
		time.Sleep(2 * time.Minute)
		get(t, newTransport(t, s, stored(store), short))
		if s.probes != 1 {
			t.Errorf("%d probes of a session that should have ended, want 1", s.probes)
		}
	})
}

// expiringAuth has sessions that tell their end.
type expiringAuth struct{ auth }

func (e *expiringAuth) Login(ctx context.Context, rt http.RoundTripper, u *url.URL, tok *vmsso.Token) (*vmsso.Session, error) {
	sess, err := e.auth.Login(ctx, rt, u, tok)
	if err == nil {
		sess.Expires = sess.Created.Add(time.Minute)
	}
	return sess, err
}

// TestSessionThatCannotBeProbedIsNotLeftBehind: an Authenticator without a Probe
// takes each stale session for dead.
func TestSessionThatCannotBeProbedIsNotLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		for range 5 {
			tr := newTransport(t, s, stored(store), func(c *vmsso.Config) { c.Auth = &unprobed{auth{sys: s}} })
			get(t, tr)
			tr.Close()
			time.Sleep(time.Hour)
		}
		if logins, live := s.counts(); logins != 5 || live != 1 {
			t.Errorf("%d logins, %d live sessions, want 5 and 1", logins, live)
		}
	})
}

type unprobed struct{ auth }

func (u *unprobed) Probe(ctx context.Context, rt http.RoundTripper, at *url.URL, s *vmsso.Session) error {
	return vmsso.Defaults{}.Probe(ctx, rt, at, s)
}

// TestCloseDuringALoginLeavesItsSessionToTheStore: or to nobody.
func TestCloseDuringALoginLeavesItsSessionToTheStore(t *testing.T) {
	for _, end := range []string{"close", "logout"} {
		synctest.Test(t, func(t *testing.T) {
			s, store := newSystem(), newMemory()
			s.onLogin = func(context.Context) error { time.Sleep(time.Second); return nil }
			tr := newTransport(t, s, stored(store))
			done := make(chan struct{})
			go func() {
				defer close(done)
				resp, err := tr.RoundTrip(newRequest(t, "GET", "/x", nil))
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
				}
			}()
			synctest.Wait()
			if end == "close" {
				tr.Close()
			} else if err := tr.Logout(t.Context()); err != nil {
				t.Error(err)
			}
			<-done
			synctest.Wait()
			if _, live := s.counts(); live != store.filled() {
				t.Errorf("%s: %d live sessions, %d records", end, live, store.filled())
			}
		})
	}
}

func TestMaxAgeWithAStoreMakesOneLoginForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(), newMemory()
		var all []*vmsso.Transport
		for range 10 {
			all = append(all, newTransport(t, s, stored(store), func(c *vmsso.Config) { c.MaxAge = time.Hour }))
		}
		for hour := range 3 {
			for range 3 {
				together(100, func(i int) { get(t, all[i%10]) })
				synctest.Wait()
				time.Sleep(time.Second)
			}
			if logins, live := s.counts(); logins != hour+1 || live != 1 || s.logouts != hour {
				t.Errorf("hour %d: %d logins, %d logouts, %d live", hour, logins, s.logouts, live)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestTraceTellsASessionOfTheStoreFromALogin(t *testing.T) {
	s, store := newSystem(), newMemory()
	var told []string
	traced := func(c *vmsso.Config) {
		c.Trace = &vmsso.Trace{
			LoginStart: func() { told = append(told, "start") },
			LoginDone: func(_ time.Duration, id string, err error) {
				told = append(told, fmt.Sprint("done ", id != "", " ", err))
			},
			Restored: func(id string) { told = append(told, fmt.Sprint("restored ", id != "")) },
		}
	}
	for range 2 {
		get(t, newTransport(t, s, stored(store), traced))
	}
	if got, want := strings.Join(told, ", "), "start, done true <nil>, restored true"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestBadStoreConfigIsRefused(t *testing.T) {
	for want, change := range map[string]func(*vmsso.Config){
		"Identity is missing":        func(c *vmsso.Config) { c.Store = newMemory() },
		"there is none":              func(c *vmsso.Config) { c.Identity = "alice" },
		"and there is none":          func(c *vmsso.Config) { c.StoreKey = make([]byte, 32) },
		"StoreKey has 16 bytes":      func(c *vmsso.Config) { stored(newMemory())(c); c.StoreKey = make([]byte, 16) },
		"give 32 random ones, or no": func(c *vmsso.Config) { stored(newMemory())(c); c.StoreKey = make([]byte, 33) },
	} {
		cfg := vmsso.Config{Endpoint: endpoint, Source: tokens(oneToken), Auth: &auth{sys: newSystem()}}
		change(&cfg)
		if _, err := vmsso.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
