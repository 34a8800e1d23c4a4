//go:build unix

package cookiejar

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// private returns an error if others than this user have to do with the file.
func private(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("has an owner that cannot be told")
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to another user (%d): give each user a directory of their own", st.Uid)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("is open to others (mode %04o): take their rights away (chmod go-rwx)", info.Mode().Perm())
	}
	return nil
}
