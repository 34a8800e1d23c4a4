package tokensource

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
)

// While another program writes the files they are read a few times.
const (
	settleTries = 5
	settlePause = 10 * time.Millisecond
)

// settled returns the token of files that stay the same while they are read, which
// read does, and the hash of their content. What cannot be used is read again after
// a pause: perhaps only the first of several files had been replaced.
func (f *File) settled(ctx context.Context, now time.Time, read func(filePaths) contents) (tok *vmsso.Token, sum [sha256.Size]byte, err error) {
	var failed [sha256.Size]byte
	for try := range settleTries {
		if try > 0 {
			select {
			case <-time.After(settlePause):
			case <-ctx.Done():
				return nil, sum, err
			}
		}
		paths := f.cfg.paths()
		files := read(paths)
		if sum = files.hash(); sum == failed {
			return nil, sum, err // it stays like that
		}
		tok = f.kept()
		if tok == nil || sum != f.content {
			if read(paths).hash() != sum {
				err = fmt.Errorf("tokensource: %s and the files with it change all the time", f.cfg.Token)
				continue
			}
			tok, err = f.parse(files)
		}
		if tok != nil {
			err = f.usable(ctx, tok, files, now)
		}
		if err == nil {
			return tok, sum, nil
		}
		failed = sum
	}
	return nil, sum, err
}

// The files by what is in them.
const (
	tokenFile = iota
	certificateFile
	keyFile
	pkcs12File
	passwordFile
	numFiles
)

// A filePath is where a file is; shown is what the user calls it.
type filePath struct{ shown, path string }

type filePaths [numFiles]filePath

// paths returns where the files are now.
//
// Kubernetes replaces the files of a volume at once, by making the link ..data
// beside them point to another directory, and each file is a link through that one. The
// link is followed once for all files, so that they are of one version.
func (c *FileConfig) paths() (paths filePaths) {
	targets := map[string]string{} // of the links ..data
	for i, shown := range [numFiles]string{c.Token, c.Certificate, c.Key, c.PKCS12, c.PasswordFile} {
		paths[i] = filePath{shown, shown}
		volume, file := volumeOf(shown)
		if volume == "" {
			continue
		}
		target, known := targets[volume]
		if !known {
			target, _ = filepath.EvalSymlinks(filepath.Join(volume, "..data")) // "": reading the file tells what is wrong
			targets[volume] = target
		}
		if target != "" {
			paths[i].path = filepath.Join(target, file)
		}
	}
	return paths
}

// volumeOf returns the directory that a Kubernetes volume is mounted at and what
// file is called in it; "" if it is in none.
func volumeOf(path string) (volume, file string) {
	for top := filepath.Clean(path); ; {
		dir := filepath.Dir(top)
		if dir == top || path == "" {
			return "", ""
		}
		// The first part of the path below the volume is the link.
		if link, err := os.Readlink(top); err == nil && filepath.ToSlash(link) == "..data/"+filepath.Base(top) {
			file, err := filepath.Rel(dir, filepath.Clean(path))
			if err == nil {
				return dir, file
			}
		}
		top = dir
	}
}

// A content is what was in a file.
type content struct {
	path string
	data []byte
	mode fs.FileMode
	err  error
}

type contents [numFiles]content

// read reads the files that there are.
func (p filePaths) read() (files contents) {
	for i, at := range p {
		if at.shown != "" {
			files[i] = readFile(at.path, at.shown)
		}
	}
	return files
}

// hash tells contents apart, those that cannot be read too.
func (c contents) hash() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range c {
		data := f.data
		if f.err != nil {
			data = []byte(f.err.Error())
		}
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data))))
		_, _ = h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parse makes a token of the files.
func (f *File) parse(files contents) (tok *vmsso.Token, err error) {
	for _, c := range files {
		if c.err != nil {
			return nil, c.err
		}
	}
	var pair *tls.Certificate
	switch {
	case f.cfg.PKCS12 != "":
		password := f.password()
		if f.cfg.PasswordFile != "" {
			password = strings.TrimRight(string(files[passwordFile].data), "\r\n")
		}
		if pair, err = PKCS12(files[pkcs12File].data, password); err != nil {
			err = fmt.Errorf("%w (file %s)", err, f.cfg.PKCS12)
		}
	case f.cfg.Key != "":
		pair, err = pemPair(files[certificateFile], files[keyFile])
	case f.cfg.Certificate != "":
		pair, err = pemPair(files[certificateFile], files[certificateFile])
	}
	if err != nil {
		return nil, err
	}
	tok = &vmsso.Token{Assertion: trimXML(files[tokenFile].data)}
	if pair != nil {
		tok.Key, _ = pair.PrivateKey.(crypto.Signer) // it is one
	}
	if tok, err = check(tok); err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, f.cfg.Token)
	}
	return tok, nil
}

// usable looks at what does not depend on the content alone.
func (f *File) usable(ctx context.Context, tok *vmsso.Token, files contents, now time.Time) error {
	if err := expired(tok, now); err != nil {
		return fmt.Errorf("tokensource: %w: put a fresh one into %s", err, f.cfg.Token)
	}
	var exposed []string
	for i, c := range files {
		secret := i != certificateFile && i != tokenFile || i == certificateFile && f.cfg.Key == "" || i == tokenFile && tok.Key == nil
		if secret && isExposed(c.mode) {
			exposed = append(exposed, fmt.Sprintf("%s (mode %04o)", c.path, c.mode.Perm()))
		}
	}
	all := strings.Join(exposed, ", ")
	switch {
	case all != "" && f.cfg.Strict:
		return fmt.Errorf("tokensource: others may read or write %s: let its owner alone do so (chmod 600; for a Kubernetes Secret defaultMode: 0400), or unset FileConfig.Strict", all)
	case all != "" && all != f.exposed:
		f.cfg.Logger.WarnContext(ctx, "others may read or write the secrets in token files", "files", all)
	}
	f.exposed = all
	return nil
}

// readFile reads a regular file of bounded size. It does not wait for a pipe
// or read a device.
func readFile(path, shown string) (c content) {
	c.path = shown
	fail := func(err error) content {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = &fs.PathError{Op: at.Op, Path: shown, Err: at.Err}
		}
		return content{path: shown, err: fmt.Errorf("tokensource: %w", err)}
	}
	f, err := open(path)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, whatever has taken its place meanwhile
	switch {
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return fail(fmt.Errorf("%s is not a regular file", shown))
	}
	c.mode = info.Mode()
	c.data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return fail(err)
	case len(c.data) > maxFile:
		return fail(fmt.Errorf("%s is longer than %d bytes", shown, maxFile))
	}
	return c
}
