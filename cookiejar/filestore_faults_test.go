package cookiejar_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/vmssotest"
)

// TestDamagedFileCostsALogin: cut at each length, and with each byte changed. Nothing is sent in a session that was not given out.
func TestDamagedFileCostsALogin(t *testing.T) {
	for name, storeKey := range map[string][]byte{"in clear": nil, "encrypted": bytes.Repeat([]byte{7}, 32)} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			with := func(c *vmsso.Config) { c.StoreKey = storeKey }
			s.run(t, with)
			file := s.file(t, ".session")
			whole := read(t, file)
			try := func(what string, n int, damaged []byte, used bool) {
				write(t, file, damaged)
				o := s.run(t, with, readOnly)
				if o.calls != 1 || o.closed != nil || (o.logins == 0) != used || o.logins > 1 || (len(o.faults) == 0) != used || s.Sessions() != 1 {
					t.Errorf("%s %d: %d calls, %d logins, Close: %v, %d sessions left, faults %q", what, n, o.calls, o.logins, o.closed, s.Sessions(), o.faults)
				}
			}
			for n := range whole {
				if testing.Short() && n%7 > 0 {
					continue
				}
				try("cut at", n, whole[:n], false)
				flipped := bytes.Clone(whole)
				flipped[n] ^= 0x80
				try("changed byte", n, flipped, false)
			}
			try("whole, at", len(whole), whole, true)
		})
	}
}

// readOnly lets nobody write into the store, for which the disk would take its time.
func readOnly(c *vmsso.Config) { c.Store = &readOnlyStore{c.Store} }

type readOnlyStore struct{ vmsso.SessionStore }

func (*readOnlyStore) Lock(context.Context, string) (vmsso.Lease, error) {
	return nil, errors.New("not to be written")
}

func TestRecordOfAnotherUserIsNotUsed(t *testing.T) {
	s := newSite(t)
	s.run(t)
	first := s.file(t, ".session")
	record := read(t, first)
	const bob = "bob@vsphere.local"
	bobs := static(authority().Issue(vmssotest.Claims{Subject: bob}))
	asBob := func(c *vmsso.Config) { c.Source, c.Identity = bobs, bob }
	must(t, os.Rename(first, first+"-kept"))
	s.run(t, asBob)
	second := s.file(t, ".session")
	write(t, second, record)
	o := s.run(t, asBob)
	if o.logins != 1 || o.calls != 1 || len(o.faults) == 0 || s.users[2] != bob {
		t.Errorf("%d logins, %d calls, faults %q, users %q, want that bob logs in", o.logins, o.calls, o.faults, s.users)
	}
	must(t, os.Rename(first+"-kept", first))
	if a, b := s.run(t), s.run(t, asBob); a.logins+b.logins != 0 {
		t.Errorf("%d logins, want none: both have their sessions", a.logins+b.logins)
	}
}

// TestFileThatCannotBeUsedIsPutAside: the next login replaces it, and what it was can be looked at.
func TestFileThatCannotBeUsedIsPutAside(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"huge":  func(file string) error { return os.Truncate(file, 1<<40) },
		"empty": func(file string) error { return os.Truncate(file, 0) },
		"of a later form": func(file string) error {
			return os.WriteFile(file, []byte("vmsso file 2 ends 9999999999999\nx"), 0o600)
		},
		"directory":        func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"filled directory": func(file string) error { return errors.Join(os.Remove(file), os.MkdirAll(file+"/x", 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.run(t)
			file := s.file(t, ".session")
			must(t, damage(file))
			expectPutAside(t, s, file)
		})
	}
}

// expectPutAside runs until the store is as it should be.
func expectPutAside(t *testing.T, s *site, file string) {
	t.Helper()
	damaged, err := os.Lstat(file)
	must(t, err)
	if o := s.run(t); o.logins != 1 || o.calls != 1 || o.closed != nil || !strings.Contains(o.told, "cannot be used, and is replaced by the next login") {
		t.Errorf("%d logins, %d calls, Close: %v, told: %s", o.logins, o.calls, o.closed, o.told)
	}
	if aside, err := os.Lstat(s.file(t, ".bad")); err != nil || !os.SameFile(damaged, aside) {
		t.Errorf("what was put aside is not the file: %v", err)
	}
	if o := s.run(t); o.logins != 0 || len(o.faults) > 0 {
		t.Errorf("the next run: %d logins, faults %q, want none", o.logins, o.faults)
	}
}

// expectInMemory wants that a run works, with another call if it finds a session that is gone, and leaves none behind that it could not store.
func expectInMemory(t *testing.T, s *site, says string) {
	t.Helper()
	s.Kill()
	for range 2 {
		if o := s.run(t); o.logins != 1 || o.calls > 2 || o.closed != nil || s.Sessions() != 0 || !strings.Contains(o.told, says) {
			t.Errorf("%d logins, %d calls, Close: %v, %d sessions left, told: %s; want one login, no session, and %q", o.logins, o.calls, o.closed, s.Sessions(), o.told, says)
		}
	}
}

// TestLockThatCannotBeUsed: nobody can take it away, for nobody knows whether it is in use.
func TestLockThatCannotBeUsed(t *testing.T) {
	s := newSite(t)
	s.run(t)
	lock := s.file(t, ".lock")
	must(t, os.Remove(lock), os.Mkdir(lock, 0o700), os.Remove(s.file(t, ".session")))
	expectInMemory(t, s, "is no regular file: remove it")
	must(t, os.Remove(lock))
	if a, b := s.run(t), s.run(t); a.logins != 1 || b.logins != 0 {
		t.Errorf("afterwards: %d and %d logins, want one and none", a.logins, b.logins)
	}
}

func TestFileOfOneWhoDiedIsRemoved(t *testing.T) {
	s := newSite(t)
	s.run(t)
	left := s.file(t, ".session") + ".QKZ4.new"
	write(t, left, []byte("vmsso file 1 en"))
	if o := s.run(t); o.logins != 0 || len(o.faults) > 0 {
		t.Errorf("%d logins, faults %q, want none", o.logins, o.faults)
	}
	s.Kill()
	if o := s.run(t); o.logins != 1 || len(o.faults) > 0 {
		t.Errorf("%d logins, faults %q, want one, and none", o.logins, o.faults)
	}
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestSessionIsUsedWhenTheClockWasSetBack: to the year 2000. It is asked for at the server, because nobody can tell its age.
func TestSessionIsUsedWhenTheClockWasSetBack(t *testing.T) {
	s := newSite(t)
	s.run(t)
	synctest.Test(t, func(t *testing.T) {
		if o := s.run(t); o.logins != 0 || o.calls != 1 || len(o.faults) > 0 || s.Calls("GET /api/session") != 1 {
			t.Errorf("%d logins, %d calls, faults %q, %d probes, want the session, and a probe of it", o.logins, o.calls, o.faults, s.Calls("GET /api/session"))
		}
	})
}

// TestDirectoryIsMadeAgain: somebody has emptied the cache while the program runs.
func TestDirectoryIsMadeAgain(t *testing.T) {
	s := newSite(t)
	store, err := cookiejar.NewFileStore(s.dir)
	must(t, err)
	s.store = store
	s.run(t)
	must(t, os.RemoveAll(s.dir))
	if a, b := s.run(t), s.run(t); a.logins != 1 || b.logins != 0 || len(a.faults)+len(b.faults) > 0 {
		t.Errorf("%d and %d logins, faults %q, want one, none, and none", a.logins, b.logins, append(a.faults, b.faults...))
	}
}

func TestKeyIsNoPath(t *testing.T) {
	s, err := cookiejar.NewFileStore(t.TempDir() + "/sessions")
	must(t, err)
	for _, key := range []string{"", "..", "../a", "a/b", `a\b`, "A", "g", "a.b", "a\x00", "a ", "a:b", "ä", strings.Repeat("a", 129)} {
		if _, err := s.Load(t.Context(), key); err == nil || errors.Is(err, vmsso.ErrNoSession) || !strings.Contains(err.Error(), "the key is not") {
			t.Errorf("Load of the key %q: %v", key, err)
		}
		if l, err := s.Lock(t.Context(), key); err == nil || l != nil || !strings.Contains(err.Error(), "the key is not") {
			t.Errorf("Lock of the key %q: %v, %v", key, l, err)
		}
	}
	if l, err := s.Lock(t.Context(), strings.Repeat("0f", 64)); err != nil || l.Release() != nil {
		t.Errorf("Lock of a key of 128 characters: %v", err)
	}
}

func TestRecordThatIsTooLongIsNotSaved(t *testing.T) {
	s, err := cookiejar.NewFileStore(t.TempDir() + "/sessions")
	must(t, err)
	l, err := s.Lock(t.Context(), "a0")
	must(t, err)
	must(t, l.Save(t.Context(), make([]byte, 1<<20), time.Hour))
	if err := l.Save(t.Context(), make([]byte, 1<<20+100), time.Hour); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("Save of more than a MiB: %v", err)
	}
	if got, err := s.Load(t.Context(), "a0"); len(got) != 1<<20 || err != nil {
		t.Errorf("Load: %d bytes, %v, want the MiB before it", len(got), err)
	}
	must(t, l.Release())
}

// TestRecordThatHasEndedIsNoFault: nor is it worth keeping.
func TestRecordThatHasEndedIsNoFault(t *testing.T) {
	dir := t.TempDir() + "/sessions"
	s, err := cookiejar.NewFileStore(dir)
	must(t, err)
	l, err := s.Lock(t.Context(), "a0")
	must(t, err)
	for range 2 {
		must(t, l.Save(t.Context(), []byte("x"), 0))
		if got, err := s.Load(t.Context(), "a0"); got != nil || !errors.Is(err, vmsso.ErrNoSession) {
			t.Errorf("Load: %q, %v, want ErrNoSession", got, err)
		}
	}
	must(t, l.Release())
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("files %v, %v, want the session and the lock", names, err)
	}
}

func TestStoreNeedsADirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", nil)
	for path, want := range map[string]string{
		"":                  "no directory for the sessions",
		dir + "/file":       "not a directory",
		dir + "/file/below": "not a directory",
		dir + "/a\x00b":     "invalid argument",
	} {
		if s, err := cookiejar.NewFileStore(path); s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", path, s, err, want)
		}
	}
	for _, path := range []string{dir + "/several/new/ones/", dir + "/[a]"} {
		s, err := cookiejar.NewFileStore(path)
		must(t, err)
		l, err := s.Lock(t.Context(), "a0")
		must(t, err)
		must(t, l.Save(t.Context(), []byte("x"), time.Hour), l.Release())
	}
}

// TestFilesShowNothingWithAStoreKey: and without one, only to their user.
func TestFilesShowNothingWithAStoreKey(t *testing.T) {
	for _, storeKey := range [][]byte{nil, bytes.Repeat([]byte{7}, 32)} {
		s := newSite(t)
		s.run(t, func(c *vmsso.Config) { c.StoreKey = storeKey })
		shown := filepath.Base(s.file(t, ".session")) + filepath.Base(s.file(t, ".lock")) + string(read(t, s.file(t, ".session"))) + string(read(t, s.file(t, ".lock")))
		for _, secret := range append([]string{alice, "alice", "vc.example.test", "vmware-api-session-id"}, s.secrets...) {
			is := strings.Contains(strings.ToLower(shown), strings.ToLower(secret))
			session := secret == s.secrets[1] || secret == "vmware-api-session-id"
			if is != (session && storeKey == nil) {
				t.Errorf("encrypted %t: %.40q is shown: %t", storeKey != nil, secret, is)
			}
		}
	}
}
