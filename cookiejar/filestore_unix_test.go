//go:build unix && !solaris

package cookiejar_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
)

const nobody = 65534 // a user id that is not ours

// instead puts something else in the place of a file or directory.
func instead(make func(path string) error) func(path string) error {
	return func(path string) error { return errors.Join(os.RemoveAll(path), make(path)) }
}

func pipe(path string) error { return syscall.Mkfifo(path, 0o600) }

// socket leaves what a server leaves that was killed.
func socket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err == nil {
		l.SetUnlinkOnClose(false)
		err = l.Close()
	}
	return err
}

// linkToIt leaves a link to what was there before.
func linkToIt(path string) error {
	return errors.Join(os.Rename(path, path+"-moved"), os.Symlink(path+"-moved", path))
}

func givenAway(path string) error { return os.Chown(path, nobody, nobody) }

func mode(m os.FileMode) func(string) error {
	return func(path string) error { return os.Chmod(path, m) }
}

func TestForeignFileIsPutAside(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"pipe":              instead(pipe),
		"socket":            instead(socket),
		"link":              linkToIt,
		"link to nothing":   instead(func(path string) error { return os.Symlink(path+"-nothing", path) }),
		"link to a device":  instead(func(path string) error { return os.Symlink("/dev/zero", path) }),
		"open to the group": mode(0o640),
		"open to all":       mode(0o604),
		"of another user":   givenAway,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of another user" && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			s := newSite(t)
			s.dir = shortDir(t)
			s.run(t)
			file := s.file(t, ".session")
			must(t, damage(file))
			expectPutAside(t, s, file)
		})
	}
}

// shortDir has a name that fits into the address of a socket, with a key behind it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestLockOfAnotherKindIsNotUsed(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"pipe": instead(pipe), "socket": instead(socket), "link": linkToIt,
		"link to nothing": instead(func(path string) error { return os.Symlink(path+"-nothing", path) }),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.dir = shortDir(t)
			s.run(t)
			must(t, damage(s.file(t, ".lock")))
			expectInMemory(t, s, "is no regular file: remove it")
			if _, err := os.Lstat(s.file(t, ".lock") + "-nothing"); err == nil {
				t.Error("a lock was made where the link leads")
			}
		})
	}
}

// TestDirectoryThatIsNotPrivateIsNotUsed: whatever happens to it after the store was made; a new store is refused.
func TestDirectoryThatIsNotPrivateIsNotUsed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(string) error
		says   string
	}{
		{"open to the group", mode(0o750), "is open to others (mode 0750): take their rights away (chmod go-rwx)"},
		{"open to all", mode(0o701), "is open to others (mode 0701)"},
		{"of another user", givenAway, "belongs to another user (65534): give each user a directory of their own"},
		{"link", linkToIt, "is no directory: give one that is not a symbolic link either"},
		{"pipe", instead(pipe), "not a directory"},
		{"file", instead(func(path string) error { return os.WriteFile(path, nil, 0o600) }), "not a directory"},
		{"link to nothing", instead(func(path string) error { return os.Symlink(path+"-nothing", path) }), "file exists"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "of another user" && os.Geteuid() != 0 {
				t.Skip("only root can give directories away")
			}
			s := newSite(t)
			store, err := cookiejar.NewFileStore(s.dir)
			must(t, err)
			s.store = store
			s.run(t)
			must(t, tc.damage(s.dir))
			expectInMemory(t, s, tc.says)
			if again, err := cookiejar.NewFileStore(s.dir); again != nil || err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("NewFileStore: %v, %v, want %q", again, err, tc.says)
			}
		})
	}
}

// TestHomeMayBeALink: as many are.
func TestHomeMayBeALink(t *testing.T) {
	s, home := newSite(t), t.TempDir()
	must(t, os.Mkdir(home+"/real", 0o755), os.Symlink(home+"/real", home+"/alice"))
	s.dir = home + "/alice/cache/sessions/"
	if a, b := s.run(t), s.run(t); a.logins != 1 || b.logins != 0 || len(a.faults)+len(b.faults) > 0 {
		t.Errorf("%d and %d logins, faults %q, want one, none, and none", a.logins, b.logins, append(a.faults, b.faults...))
	}
}

func TestFilesBelongToTheirUserAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	s := newSite(t)
	s.dir += "/deeper"
	s.run(t)
	for path, want := range map[string]os.FileMode{
		s.dir: os.ModeDir | 0o700, s.dir + "/..": os.ModeDir | 0o700, s.file(t, ".session"): 0o600, s.file(t, ".lock"): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// TestLockIsRemovedWhileItIsHeld: by a cleaner, in the middle of the login. There may be another holder by then: this one stores nothing.
func TestLockIsRemovedWhileItIsHeld(t *testing.T) {
	s := newSite(t)
	clean := func(c *vmsso.Config) {
		c.Trace.LoginStart = func() {
			names, _ := filepath.Glob(s.dir + "/*.lock")
			if len(names) != 1 || os.Remove(names[0]) != nil {
				t.Errorf("locks %q, want one that can be removed", names)
			}
		}
	}
	o := s.run(t, clean)
	if o.logins != 1 || o.closed != nil || s.Sessions() != 0 || !strings.Contains(o.told, "the lease is lost: somebody has removed ") {
		t.Errorf("%d logins, Close: %v, %d sessions left, told: %s", o.logins, o.closed, s.Sessions(), o.told)
	}
	if names, _ := filepath.Glob(s.dir + "/*"); len(names) != 0 {
		t.Errorf("files %q, want none", names)
	}
}

func TestLeaseOfALockThatWasRemovedIsLost(t *testing.T) {
	dir := t.TempDir() + "/sessions"
	s, err := cookiejar.NewFileStore(dir)
	must(t, err)
	for name, remove := range map[string]func() error{
		"file":      func() error { return os.Remove(dir + "/a0.lock") },
		"directory": func() error { return os.RemoveAll(dir) },
	} {
		first, err := s.Lock(t.Context(), "a0")
		must(t, err, remove())
		second, err := s.Lock(t.Context(), "a0")
		must(t, err)
		must(t, second.Save(t.Context(), []byte("second"), time.Hour))
		if err := first.Save(t.Context(), []byte("first"), time.Hour); err == nil {
			t.Errorf("%s: Save by the first holder: no error", name)
		}
		if err := first.Delete(t.Context()); err == nil {
			t.Errorf("%s: Delete by the first holder: no error", name)
		}
		must(t, first.Release())
		if got, err := s.Load(t.Context(), "a0"); string(got) != "second" || err != nil {
			t.Errorf("%s: Load: %q, %v", name, got, err)
		}
		must(t, second.Release())
	}
}

// TestWhatIsOpenStaysWhole: who has opened a file reads it to its end, whatever is saved meanwhile.
func TestWhatIsOpenStaysWhole(t *testing.T) {
	dir := t.TempDir() + "/sessions"
	s, err := cookiejar.NewFileStore(dir)
	must(t, err)
	l, err := s.Lock(t.Context(), "a0")
	must(t, err)
	must(t, l.Save(t.Context(), []byte("first"), time.Hour))
	f, err := os.Open(dir + "/a0.session")
	must(t, err)
	defer f.Close()
	before, err := f.Stat()
	must(t, err)
	must(t, l.Save(t.Context(), []byte("second"), time.Hour), l.Release())
	b := make([]byte, 100)
	if n, err := f.Read(b); err != nil || !strings.HasSuffix(string(b[:n]), "\nfirst") || before.Size() != int64(n) {
		t.Errorf("read %q, %v, want what was there when it was opened", b[:n], err)
	}
}
