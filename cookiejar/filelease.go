package cookiejar

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/vmsso/vmsso"
)

// A lease is a locked file.
type lease struct {
	s   *FileStore
	key string

	mu   sync.Mutex // held for as long as something is done under the lock
	lock *flock.Flock
}

var _ vmsso.Lease = (*lease)(nil)

// held returns an error if the lock was released, or if its file is no longer the one in the directory, so that another has that locked.
func (l *lease) held(dir *os.Root) error {
	if !l.lock.Locked() {
		return errors.New("the lease was released")
	}
	ours, err := l.lock.Stat()
	if err != nil {
		return fmt.Errorf("the lease is lost: %w", err)
	}
	if now, err := dir.Lstat(l.key + lockFile); err != nil || !os.SameFile(ours, now) {
		return fmt.Errorf("the lease is lost: somebody has removed %s", l.lock.Path())
	}
	return nil
}

// open opens the directory if the lease is held.
func (l *lease) open() (*os.Root, error) {
	dir, err := l.s.open()
	if err != nil {
		return nil, err
	}
	if err := l.held(dir); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("cookiejar: %w", err)
	}
	return dir, nil
}

// Save implements [vmsso.Lease].
func (l *lease) Save(_ context.Context, record []byte, ttl time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir, err := l.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	now := time.Now()
	if _, err := load(dir, l.key, now); err != nil && !errors.Is(err, vmsso.ErrNoSession) {
		_ = dir.Rename(l.key+sessionFile, l.key+badFile) // if it cannot be put aside, it may be replaced
	}
	if err := l.replace(dir, withEnd(record, now.Add(ttl))); err != nil {
		return fmt.Errorf("cookiejar: save a session: %w", err)
	}
	return nil
}

// replace writes the session's file, all of it or nothing, also if the machine stops. The new file's name is of one use: two who believe that they
// have the lease do not write into the same one.
func (l *lease) replace(dir *os.Root, content []byte) error {
	if len(content) > maxStored {
		return fmt.Errorf("the record has %d bytes, which is too long", len(content))
	}
	name := l.key + sessionFile
	if err := removeNew(dir, name); err != nil {
		return err
	}
	temporary := name + "." + rand.Text() + ".new"
	f, err := dir.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = l.held(dir) // that may have taken its time
	}
	if err == nil {
		err = dir.Rename(temporary, name)
	}
	if err != nil {
		_ = dir.Remove(temporary)
		return err
	}
	if d, err := dir.Open("."); err == nil {
		_ = d.Sync() // not every file system can: the old record is what may come back
		_ = d.Close()
	}
	return nil
}

// removeNew removes the new files of those who died, or have lost their lease.
func removeNew(dir *os.Root, name string) error {
	entries, err := fs.ReadDir(dir.FS(), ".")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), name+".") {
			err = errors.Join(err, dir.Remove(e.Name()))
		}
	}
	return err
}

// Delete implements [vmsso.Lease].
func (l *lease) Delete(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir, err := l.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Remove(l.key + sessionFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cookiejar: delete a session: %w", err)
	}
	return nil
}

// Release implements [vmsso.Lease].
func (l *lease) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lock.Unlock(); err != nil {
		return fmt.Errorf("cookiejar: release a lock: %w", err)
	}
	return nil
}
