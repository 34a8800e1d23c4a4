package vmssotest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipe(t *testing.T) {
	a, b := newPipe()
	sent := bytes.Repeat([]byte("0123456789"), pipeBuffer/5) // twice what the buffer holds
	go func() {
		_, _ = a.Write(sent)
		_ = a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(sent))
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write to a closed end: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("read from a closed end: %v", err)
	}
	_ = b.Close()
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe()
		start := time.Now()
		_ = a.SetReadDeadline(start.Add(time.Minute))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("read: %v after %s", err, time.Since(start))
		}
		_ = a.SetWriteDeadline(start.Add(2 * time.Minute))
		if n, err := a.Write(make([]byte, 2*pipeBuffer)); n != pipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 2*time.Minute {
			t.Errorf("write: %d, %v after %s", n, err, time.Since(start))
		}
		_ = a.SetDeadline(time.Time{}) // none any more
		go func() {
			_, _ = io.ReadFull(b, make([]byte, pipeBuffer))
			_, _ = b.Write([]byte("answer"))
		}()
		if n, err := a.Read(make([]byte, 10)); n != 6 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
		go func() { // net/http interrupts a read that waits by a deadline of long ago
			time.Sleep(time.Second)
			_ = a.SetReadDeadline(time.Unix(1, 0))
		}()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("interrupted read: %v", err)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

// A client that does not trust the server breaks off while the server still writes.
func TestNetworkCertificateRefused(t *testing.T) {
	n := NewNetwork()
	defer n.Close()
	n.Serve("vc.example.test", hello("vc"))
	tr := n.Transport()
	tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	_, err := (&http.Client{Transport: tr}).Get("https://vc.example.test/")
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("error = %v", err)
	}
}
