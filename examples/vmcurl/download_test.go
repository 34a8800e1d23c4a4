package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLargeDownloadIsNotHeldInMemory: 64 MiB pass, and at no time much of it is
// there.
func TestLargeDownloadIsNotHeldInMemory(t *testing.T) {
	l := newLab(t)
	const blocks, block = 1024, 64 << 10
	content := bytes.Repeat([]byte("vmdk"), block/4)
	var before, now runtime.MemStats
	var most uint64
	l.services.VSphere.Inject("GET /folder", -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := range blocks {
			if _, err := w.Write(content); err != nil {
				t.Error(err)
				return
			}
			if i%64 == 63 {
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
	})
	out := filepath.Join(t.TempDir(), "disk.vmdk")
	args := l.machine("-o", out, "/folder/a/a.vmdk?dsName=ds")
	runtime.GC()
	runtime.ReadMemStats(&before)
	l.ok(args...)
	info, err := os.Stat(out)
	if err != nil || info.Size() != blocks*block {
		t.Fatalf("%v, %v; want %d bytes", info, err, blocks*block)
	}
	if most > before.HeapAlloc+32<<20 {
		t.Errorf("%s of memory at the most, %s before; want less than 32 MiB more", size(int64(most)), size(int64(before.HeapAlloc)))
	}
}

// TestProgressOfADownload that goes on until the terminal has shown some.
func TestProgressOfADownload(t *testing.T) {
	l := newLab(t)
	shown := make(chan struct{})
	l.services.VSphere.Inject("GET /folder", -1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for range 2000 {
			_, _ = io.WriteString(w, "a piece of a disk ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-shown:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		t.Error("it ended without progress")
	})
	var show sync.Once
	var stderr strings.Builder
	sys := l.system(&bytes.Buffer{}, &bytes.Buffer{})
	sys.stderr = writerFunc(func(text string) {
		stderr.WriteString(text)
		show.Do(func() { close(shown) })
	})
	sys.isTerminal = func(stream any) bool { return stream != any(sys.stdout) }
	status := run(t.Context(), l.machine("/folder/a/a.vmdk?dsName=ds"), sys)
	line, _, _ := strings.Cut(strings.TrimPrefix(stderr.String(), "\r"), "\r")
	if status != 0 || !strings.Contains(line, "/s") || !strings.HasSuffix(stderr.String(), " \r") {
		t.Errorf("status %d, stderr %q; want 0 and a line that is gone", status, &stderr)
	}
}

// slow yields a byte per read, each after a while.
type slow struct{ n int }

func (s *slow) Read(b []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	s.n--
	time.Sleep(300 * time.Millisecond)
	return copy(b, make([]byte, 1<<20)), nil
}

// TestProgress is one line on the terminal, after a second, and then gone.
func TestProgress(t *testing.T) {
	const shown = "\r 40 % of 10.0 MiB, 3.3 MiB/s\r 50 % of 10.0 MiB, 3.3 MiB/s"
	for _, tt := range []struct {
		name      string
		options   options
		terminals string
		reads     int
		total     int64
		begin     string
	}{
		{"to a file", options{out: "f"}, "stderr", 10, 10 << 20, shown},
		{"to a pipe", options{}, "stderr", 10, 10 << 20, shown},
		{"unknown length", options{out: "f"}, "stderr", 10, -1, "\r4.0 MiB, 3.3 MiB/s\r5.0 MiB, 3.3 MiB/s"},
		{"to the terminal", options{}, "stderr stdout", 10, 10 << 20, ""},
		{"stderr in a file", options{out: "f"}, "stdout", 10, 10 << 20, ""},
		{"-s", options{out: "f", silent: true}, "stderr", 10, 10 << 20, ""},
		{"fast", options{out: "f"}, "stderr", 3, 3 << 20, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stderr bytes.Buffer
				l := &lab{t: t, terminals: tt.terminals}
				p := newProgress(&tt.options, l.system(&bytes.Buffer{}, &stderr), tt.options.out == "" && strings.Contains(tt.terminals, "stdout"))
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, p.count(&slow{tt.reads}, tt.total), make([]byte, 1<<20)); err != nil || n != int64(tt.reads)<<20 {
					t.Errorf("%d bytes, %v", n, err)
				}
				p.clear()
				got := stderr.String()
				if !strings.HasPrefix(got, tt.begin) || tt.begin == "" && got != "" {
					t.Errorf("got %q, want %q …", got, tt.begin)
				}
				if tt.begin != "" && (!strings.HasSuffix(got, " \r") || strings.Contains(got, "\n")) {
					t.Errorf("got %q, want one line that is gone at the end", got)
				}
			})
		})
	}
}
