package cookiejar_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vmsso/vmsso/cookiejar"
)

// inNamespace is the environment variable of a test that may mount: nobody else sees it, and it ends with the process.
const inNamespace = "COOKIEJAR_TEST_NAMESPACE"

// mayMount runs the test once more in a process that may mount, unless this is that one.
func mayMount(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Skipf("a file system can be mounted neither by this user nor in a user namespace: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// mount mounts a new file system of this size at a directory.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o700))
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	must(t, err)
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

func TestFullDiskLeavesTheSessionInMemory(t *testing.T) {
	if !mayMount(t) {
		return
	}
	s := newSite(t)
	mount(t, s.dir, "16k")
	s.run(t)
	filler := s.dir + "/filler"
	if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	before := string(read(t, s.file(t, ".session")))
	expectInMemory(t, s, "no space left on device")
	if string(read(t, s.file(t, ".session"))) != before {
		t.Error("what was stored before has changed")
	}
	if names, err := os.ReadDir(s.dir); err != nil || len(names) != 3 {
		t.Errorf("files %v, %v, want a session, a lock and what fills the disk", names, err)
	}
	must(t, os.Remove(filler))
	if a, b := s.run(t), s.run(t); a.logins != 1 || b.logins != 0 || len(a.faults)+len(b.faults) > 0 {
		t.Errorf("when there is room: %d and %d logins, faults %q, want one, none, and none", a.logins, b.logins, append(a.faults, b.faults...))
	}
}

func TestReadOnlyDirectoryLeavesTheSessionInMemory(t *testing.T) {
	if !mayMount(t) {
		return
	}
	s := newSite(t)
	mount(t, s.dir, "64k")
	s.run(t)
	must(t, syscall.Mount("", s.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if o := s.run(t); o.logins != 0 || len(o.faults) > 0 {
		t.Errorf("%d logins, faults %q, want none: the session can be read", o.logins, o.faults)
	}
	expectInMemory(t, s, "read-only file system")
	if _, err := cookiejar.NewFileStore(s.dir + "/below"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("NewFileStore below it: %v", err)
	}
}
