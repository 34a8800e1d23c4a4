package faults_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
)

// inStore keeps the sessions of alice in a directory. Each transport has a store of its own there, as each process has.
func inStore(t *testing.T, dir string) func(*vmsso.Config) {
	return func(c *vmsso.Config) {
		store, err := cookiejar.NewFileStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		c.Store, c.Identity = store, user
	}
}

// storeFiles are the files in a store with this ending.
func storeFiles(t *testing.T, dir, ending string, want int) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil || len(names) != want {
		t.Fatalf("files *%s: %q, %v, want %d", ending, names, err, want)
	}
	return names
}

// Fault 79: many processes share a store; they log in at the same time, and the one that came first dies.
func TestProcessesThatShareAStoreLogInOnce(t *testing.T) {
	const leaseOf = "FAULTS_TEST_LEASE" // the lock file of a lease that this process is to hold until it is killed
	if lock := os.Getenv(leaseOf); lock != "" {
		holdLease(t, lock)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			l, dir := newLab(t), filepath.Join(t.TempDir(), "sessions")
			clients := make([]*http.Client, 20)
			waits := make(chan struct{}, 1000)
			faults := make(chan error, 1000)
			for i := range clients {
				clients[i], _ = sys.client(l, t, sourceFunc(func(context.Context) (*vmsso.Token, error) { return bearer(), nil }), inStore(t, dir), func(c *vmsso.Config) {
					c.Store = &waitingStore{c.Store, waits}
					c.Trace = &vmsso.Trace{StoreFault: func(_ string, err error) { faults <- err }}
				})
			}
			atOnce(len(clients), func(i int) { succeeds(t, sys.call, clients[i]) })
			expect(t, sys.server(l), 1, 1)

			holder := exec.Command(self, "-test.run=^TestProcessesThatShareAStoreLogInOnce$")
			holder.Env = append(os.Environ(), leaseOf+"="+storeFiles(t, dir, ".lock", 1)[0])
			holder.Stderr = os.Stderr
			_, err := holder.StdinPipe() // stays open
			held, err2 := holder.StdoutPipe()
			if err := errors.Join(err, err2, holder.Start()); err != nil {
				t.Fatal(err)
			}
			if _, err := held.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			sys.server(l).Kill()
			for len(waits) > 0 {
				<-waits
			}
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() { succeeds(t, sys.call, c) })
			}
			for range clients {
				<-waits
			}
			expect(t, sys.server(l), 1, 0) // nobody logs in beside the holder
			_ = holder.Process.Kill()
			_ = holder.Wait()
			wg.Wait()
			expect(t, sys.server(l), 2, 1)
			if n := sys.server(l).MaxConcurrentLogins(); n != 1 || len(faults) > 0 {
				t.Errorf("%d logins at the same time, %d faults of the store, want 1 and none", n, len(faults))
			}
		})
	}
}

// holdLease is the main function of a process that dies with a lease.
func holdLease(t *testing.T, lock string) {
	store, err := cookiejar.NewFileStore(filepath.Dir(lock))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lock(t.Context(), strings.TrimSuffix(filepath.Base(lock), ".lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdout.WriteString("held\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or its parent is
}

// waitingStore tells who asks for the lease.
type waitingStore struct {
	vmsso.SessionStore
	waits chan<- struct{}
}

func (w *waitingStore) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	w.waits <- struct{}{}
	return w.SessionStore.Lock(ctx, key)
}

// Fault 111: the store is full, read-only, damaged, of another version or endpoint, open to others, a link, or not there at all.
func TestFaultOfTheStoreLeavesTheSessionInMemory(t *testing.T) {
	rewrite := func(change func([]byte) []byte) func(string, string) error {
		return func(_, file string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return os.WriteFile(file, change(b), 0o600)
		}
	}
	for _, tc := range []struct {
		name   string
		damage func(dir, file string) error // the session's file
		fails  error                        // of every Save
		heals  bool                         // with the next login
	}{
		{"full, read-only, broken", nil, errors.New("input/output error"), false},
		{"empty", rewrite(func(b []byte) []byte { return nil }), nil, true},
		{"partial write", rewrite(func(b []byte) []byte { return b[:len(b)/2] }), nil, true},
		{"damaged", rewrite(func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), nil, true},
		{"of a later version", rewrite(func(b []byte) []byte { return bytes.Replace(b, []byte("session 1"), []byte("session 2"), 1) }), nil, true},
		{"file of a later version", rewrite(func(b []byte) []byte { return bytes.Replace(b, []byte("file 1"), []byte("file 2"), 1) }), nil, true},
		{"of another endpoint", func(dir, file string) error {
			other, err := os.ReadFile(filepath.Join(dir, "other"))
			return errors.Join(err, os.WriteFile(file, other, 0o600))
		}, nil, true},
		{"directory in its place", func(_, file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) }, nil, true},
		{"link in its place", func(dir, file string) error {
			return errors.Join(os.Remove(file), os.Symlink(filepath.Join(dir, "other"), file))
		}, nil, true},
		{"directory in the lock's place", func(_, file string) error {
			lock := strings.TrimSuffix(file, ".session") + ".lock"
			return errors.Join(os.Remove(file), os.Remove(lock), os.Mkdir(lock, 0o700))
		}, nil, false},
		{"not there any more", func(dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) }, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) { faultOfTheStore(t, tc.damage, tc.fails, tc.heals) })
	}
}

// faultOfTheStore wants that a transport logs in although its store has this fault, that it leaves no session behind that it could not store, and that
// the fault is told.
func faultOfTheStore(t *testing.T, damage func(dir, file string) error, fails error, heals bool) {
	l, dir := newLab(t), filepath.Join(t.TempDir(), "sessions")
	source := sourceFunc(func(context.Context) (*vmsso.Token, error) { return bearer(), nil })
	var log bytes.Buffer
	var cfg vmsso.Config
	inStore(t, dir)(&cfg) // before the fault
	again := func(c *vmsso.Config) {
		c.Store, c.Identity, c.Logger = cfg.Store, cfg.Identity, slog.New(slog.NewTextHandler(&log, nil))
	}
	c, _ := l.soap(t, source, again)
	must(t, currentTime, c)
	if err := os.Rename(storeFiles(t, dir, ".session", 1)[0], filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	_, tr := l.rest(t, source, again)
	session := storedSession(t, tr)
	file := storeFiles(t, dir, ".session", 1)[0]
	if damage != nil {
		if err := damage(dir, file); err != nil {
			t.Fatal(err)
		}
	}
	if fails != nil {
		cfg.Store = &failingStore{cfg.Store, fails}
		l.automation.Kill()
	}
	log.Reset()
	left := l.automation.Sessions()
	c, tr = l.rest(t, source, again)
	atOnce(10, func(int) { succeeds(t, vms, c) })
	if err := tr.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if heals {
		left++ // what is stored stays at the server
	}
	expect(t, l.automation, 2, left)
	c, _ = l.rest(t, source, again)
	must(t, vms, c)
	if healed := l.automation.Logins() == 2; healed != heals {
		t.Errorf("the next one takes the session of the store: %t, want %t", healed, heals)
	}
	if text := log.String(); !strings.Contains(text, "the session store failed") || strings.Contains(text, session) || strings.Contains(text, "Assertion") {
		t.Errorf("the log does not tell of the fault, or tells a secret:\n%.2000s", text)
	}
}

// storedSession logs in and returns the secret.
func storedSession(t *testing.T, tr *vmsso.Transport) string {
	t.Helper()
	s, err := tr.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Header.Get("vmware-api-session-id")
}

// failingStore fails in each Save.
type failingStore struct {
	vmsso.SessionStore
	err error
}

func (f *failingStore) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	l, err := f.SessionStore.Lock(ctx, key)
	if err == nil {
		l = &failingLease{l, f.err}
	}
	return l, err
}

type failingLease struct {
	vmsso.Lease
	err error
}

func (l *failingLease) Save(context.Context, []byte, time.Duration) error { return l.err }
