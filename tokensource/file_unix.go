//go:build unix

package tokensource

import (
	"io/fs"
	"os"
	"syscall"
)

// open opens a file to read. It does not wait for the writer of a pipe, and
// makes no terminal its own.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}

// isExposed tells whether others than the owner may read or write the file.
func isExposed(mode fs.FileMode) bool { return mode.Perm()&0o066 != 0 }
