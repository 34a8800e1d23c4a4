package cookiejar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/vmsso/vmsso"
)

// A FileStore is a [vmsso.SessionStore] in a directory that belongs to one user: this user's programs share their sessions through it. All methods
// are safe for concurrent use, by goroutines and by processes.
//
// The directory has mode 0700 and its files 0600, which is checked at each use: what belongs to somebody else, can be read by others, or is a link
// or a pipe in the place of a file, is not used. So each user needs a directory of their own, also in containers that share a volume. On Windows the
// rights of the directory decide alone; below os.UserCacheDir it is the user's.
//
// A lease is a lock of the operating system (flock, LockFileEx): if its holder dies, it is free at once. Locks of network file systems (NFS, SMB, the
// shared folders of virtual machines) may hold on one machine only; then each machine logs in for itself, and the last one's session stays.
//
// Who reads a file has the session for as long as it lives, unless vmsso.Config.StoreKey is set. Leave the directory out of backups: what comes back
// from one is of no use. It may be emptied or removed at any time, at the price of a login. The session of a key is in one file; another, a lock,
// stays behind it.
type FileStore struct {
	dir string
}

const (
	// maxStored bounds a file: a record, as large as vmsso.SessionStore promises, and a line.
	maxStored = 1<<20 + 64
	// lockPoll is how often a lease that another has is asked for.
	lockPoll = 20 * time.Millisecond

	// The files of a key. Before it becomes the session, a new one is name.session.….new.
	sessionFile, lockFile, badFile = ".session", ".lock", ".bad"
)

var _ vmsso.SessionStore = (*FileStore)(nil)

// NewFileStore returns the store in this directory, which is made if it is not there; its parents are made too. The directory must not be a
// symbolic link; its parents may be.
func NewFileStore(dir string) (*FileStore, error) {
	if dir == "" {
		return nil, errors.New("cookiejar: no directory for the sessions: give one of their own, such as vmsso below os.UserCacheDir")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cookiejar: %w", err)
	}
	s := &FileStore{abs}
	d, err := s.make()
	if err != nil {
		return nil, err
	}
	return s, d.Close()
}

// make is open, for a directory that may have been removed.
func (s *FileStore) make() (*os.Root, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("cookiejar: %w", err)
	}
	return s.open()
}

// open opens the directory for one operation. It may have been replaced since the last one; while it is open, that is of no effect. Nobody else can
// write in it, so that its files can be looked at before they are opened.
func (s *FileStore) open() (*os.Root, error) {
	named, err := os.Lstat(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cookiejar: %w", err)
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("cookiejar: %s is no directory: give one that is not a symbolic link either", s.dir)
	}
	dir, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cookiejar: %w", err)
	}
	opened, err := dir.Stat(".")
	if err == nil && !os.SameFile(named, opened) {
		err = errors.New("was replaced while it was opened")
	}
	if err == nil {
		err = private(opened)
	}
	if err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("cookiejar: the directory %s %w", s.dir, err)
	}
	return dir, nil
}

// checkKey lets nothing become a file name that is not a key.
func checkKey(key string) error {
	if key == "" || len(key) > 128 || strings.Trim(key, "0123456789abcdef") != "" {
		return errors.New("cookiejar: the key is not one of up to 128 characters 0-9 and a-f")
	}
	return nil
}

// Load implements [vmsso.SessionStore]. A file that cannot be used is an error; the next Save puts it aside, with a name that ends in .bad.
func (s *FileStore) Load(_ context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	dir, err := s.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, vmsso.ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	record, err := load(dir, key, time.Now())
	if err != nil && !errors.Is(err, vmsso.ErrNoSession) {
		return nil, fmt.Errorf("cookiejar: %s cannot be used, and is replaced by the next login: %w", filepath.Join(s.dir, key+sessionFile), err)
	}
	return record, err
}

func load(dir *os.Root, key string, now time.Time) ([]byte, error) {
	content, err := readPrivate(dir, key+sessionFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, vmsso.ErrNoSession
	}
	if err != nil {
		return nil, err
	}
	return current(content, now)
}

// A file has a line with the time when the record ends, in milliseconds since 1970, before the record.
const header = "vmsso file 1 ends "

func withEnd(record []byte, ends time.Time) []byte {
	return append(fmt.Appendf(nil, "%s%d\n", header, ends.UnixMilli()), record...)
}

// current returns the record of a file, unless it has ended.
func current(content []byte, now time.Time) ([]byte, error) {
	line, record, ok := bytes.Cut(content, []byte("\n"))
	end, found := strings.CutPrefix(string(line), header)
	ms, err := strconv.ParseInt(end, 10, 64)
	if !ok || !found || err != nil {
		return nil, errors.New("it is damaged, or of another version")
	}
	if !now.Before(time.UnixMilli(ms)) {
		return nil, vmsso.ErrNoSession
	}
	return record, nil
}

// readPrivate reads a regular file that belongs to this user alone.
func readPrivate(dir *os.Root, name string) ([]byte, error) {
	info, err := dir.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > maxStored:
		return nil, fmt.Errorf("it has %d bytes, which is too long", info.Size())
	}
	if err := private(info); err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxStored))
}

// Lock implements [vmsso.SessionStore].
func (s *FileStore) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		l, err := s.tryLock(key)
		if err != nil {
			return nil, err
		}
		if l != nil {
			return l, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockPoll):
		}
	}
	return nil, fmt.Errorf("cookiejar: another process or goroutine holds %s: %w", filepath.Join(s.dir, key+lockFile), context.Cause(ctx))
}

// tryLock returns nil if another has the lease.
func (s *FileStore) tryLock(key string) (*lease, error) {
	dir, err := s.make()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	path := filepath.Join(s.dir, key+lockFile)
	if info, err := dir.Lstat(key + lockFile); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cookiejar: %s is no regular file: remove it", path)
	}
	// A file that is open for reading only cannot be locked on NFS.
	l := &lease{s: s, key: key, lock: flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))}
	ok, err := l.lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("cookiejar: no lock can be had in %s: %w", s.dir, err)
	case !ok:
		return nil, nil
	case l.held(dir) != nil: // somebody has removed it meanwhile: another file is locked by now
		_ = l.lock.Unlock()
		return nil, nil
	}
	return l, nil
}
