//go:build !unix

package tokensource

import (
	"fmt"
	"io/fs"
	"os"
)

// open opens a file to read. A pipe or device is not opened, unless it takes the
// place of a file at just that moment.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// isExposed: the permissions are not in the mode.
func isExposed(fs.FileMode) bool { return false }
