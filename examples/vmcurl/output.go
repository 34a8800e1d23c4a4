package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
)

// write writes the answer to where the command line says.
func (o *options) write(resp *http.Response, sys *system) (err error) {
	if o.fail && resp.StatusCode >= 400 {
		return &httpError{resp.Status}
	}
	out := sys.stdout
	shown := sys.isTerminal(sys.stdout)
	if o.out != "" && o.out != "-" {
		f, err := createFile(o.out)
		if err != nil {
			return err
		}
		defer func() { f.discard() }()
		if err := o.writeTo(f, resp, newProgress(o, sys, false)); err != nil {
			return err
		}
		return f.keep()
	}
	return o.writeTo(out, resp, newProgress(o, sys, shown))
}

// writeTo streams: a body is never held in memory.
func (o *options) writeTo(w io.Writer, resp *http.Response, p *progress) error {
	if o.include {
		fmt.Fprintf(w, "%s %s\r\n", resp.Proto, resp.Status)
		for _, line := range headerLines(resp.Header) {
			fmt.Fprintf(w, "%s\r\n", line)
		}
		if _, err := io.WriteString(w, "\r\n"); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
	}
	defer p.clear()
	n, err := io.Copy(w, p.count(resp.Body, resp.ContentLength))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the answer ended after %s of %s: the connection broke", size(n), size(resp.ContentLength))
	case err != nil:
		return fmt.Errorf("after %s of the answer: %w", size(n), err)
	}
	return nil
}

// An outFile is a file that has its name when all of it is there: until then it is
// FILE.part, so that nobody takes a half for a whole. A device or a pipe is
// written to as it is.
type outFile struct {
	*os.File
	name string
	part bool
	done bool
}

func createFile(name string) (*outFile, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, usagef("-o %s: it is a directory", name)
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &outFile{File: f, name: name}, err
	}
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("-o: %s.part is there: another vmcurl writes it, or one was killed: then remove it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("-o: %w", err)
	}
	return &outFile{File: f, name: name, part: true}, nil
}

// keep gives the file its name.
func (f *outFile) keep() error {
	f.done = true
	err := f.Close()
	if f.part {
		if err == nil {
			err = os.Rename(f.name+".part", f.name)
		}
		if err != nil {
			_ = os.Remove(f.name + ".part")
		}
	}
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return nil
}

// discard removes what is not kept.
func (f *outFile) discard() {
	if f.done {
		return
	}
	_ = f.Close()
	if f.part {
		_ = os.Remove(f.name + ".part")
	}
}
