package tokensource

import (
	"os/exec"
	"syscall"
)

// setGroup keeps a Ctrl-C in the console from the command, whose end is for its
// context to say. That kills it alone.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}
