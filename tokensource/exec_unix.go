//go:build unix

package tokensource

import (
	"os/exec"
	"syscall"
)

// setGroup lets the end of the command's context kill it and the processes that
// it has started.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
