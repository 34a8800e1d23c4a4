package cookiejar

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vmssotest"
)

// A process is a FileStore as a process of its own has it, which can die: the system then closes its files.
type process struct {
	*FileStore
	mu     sync.Mutex
	leases []*lease
}

func (p *process) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	l, err := p.FileStore.Lock(ctx, key)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leases = append(p.leases, l.(*lease))
	}
	return l, err
}

func (p *process) Crash() {
	for _, l := range p.leases {
		_ = l.lock.Close()
	}
}

func TestFileStoreIsASessionStore(t *testing.T) {
	dir := t.TempDir() + "/sessions"
	vmssotest.TestSessionStore(t, func() vmsso.SessionStore {
		s, err := NewFileStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		return &process{FileStore: s}
	})
}

func TestFileEndsWithItsTime(t *testing.T) {
	now := noon()
	for _, tc := range []struct {
		content string
		want    string // "": none; "!": it is damaged
	}{
		{string(withEnd([]byte("record"), now.Add(time.Millisecond))), "record"},
		{string(withEnd([]byte("record"), now)), ""},
		{string(withEnd([]byte("a\nb"), now.Add(1<<62))), "a\nb"},
		{"vmsso file 1 ends 9999999999999\nrecord", "record"},
		{"vmsso file 1 ends 9223372036854775807\nrecord", "record"},
		{"vmsso file 1 ends -9223372036854775808\nrecord", ""},
		{"vmsso file 1 ends 9223372036854775808\nrecord", "!"},
		{"vmsso file 1 ends 9999999999999", "!"},
		{"vmsso file 1 ends \nrecord", "!"},
		{"vmsso file 1 ends 9999999999999 \nrecord", "!"},
		{"vmsso file 1 ends 9999999999999\r\nrecord", "!"},
		{"vmsso file 2 ends 9999999999999\nrecord", "!"},
		{"9999999999999\nrecord", "!"},
		{"\n", "!"},
		{"", "!"},
	} {
		record, err := current([]byte(tc.content), now)
		got := string(record)
		if err != nil && !errors.Is(err, vmsso.ErrNoSession) {
			got += "!"
		}
		if got != tc.want || (err == nil) != (len(tc.want) > 1) {
			t.Errorf("%q: %q, %v, want %q", tc.content, record, err, tc.want)
		}
	}
}

// TestLeaseThatIsLostMeanwhileChangesNothing: while the new file was written, which can take its time.
func TestLeaseThatIsLostMeanwhileChangesNothing(t *testing.T) {
	s, err := NewFileStore(t.TempDir() + "/sessions")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.tryLock("a0")
	if err != nil || l == nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Save(t.Context(), []byte("before"), time.Hour), l.Release()); err != nil {
		t.Fatal(err)
	}
	dir, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := l.replace(dir, withEnd([]byte("after"), time.Now().Add(time.Hour))); err == nil {
		t.Error("no error")
	}
	if got, err := s.Load(t.Context(), "a0"); string(got) != "before" || err != nil {
		t.Errorf("%q, %v, want what was there before", got, err)
	}
	if names, err := fs.ReadDir(dir.FS(), "."); err != nil || len(names) != 2 {
		t.Errorf("files %v, %v, want the session and the lock", names, err)
	}
}

func FuzzFile(f *testing.F) {
	now := noon()
	for _, seed := range []string{
		"", "\n", "vmsso file 1 ends 9999999999999\nvmsso session 1 clear\n{}", "vmsso file 1 ends -1\nx", "vmsso file 1 ends +9999999999999\nx",
		"vmsso file 2 ends 9999999999999\nx", "vmsso file 1 ends 99999999999999999999\nx", "vmsso file 1 ends 1_0\nx",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before := bytes.Clone(content)
		record, err := current(content, now)
		switch {
		case !bytes.Equal(content, before):
			t.Error("the content was changed")
		case err != nil && record != nil:
			t.Errorf("%q and %v", record, err)
		case err == nil && (!bytes.HasPrefix(content, []byte(header)) || !bytes.HasSuffix(content, append([]byte{'\n'}, record...))):
			t.Errorf("%q is not what stands behind the first line of %q", record, content)
		}
		// What is written is read again, whatever it is, up to its end.
		ends := now.Add(time.Minute)
		file := withEnd(content, ends)
		if got, err := current(file, ends.Add(-time.Millisecond)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%q was saved: %q, %v", content, got, err)
		}
		if _, err := current(file, ends); !errors.Is(err, vmsso.ErrNoSession) {
			t.Errorf("at its end: %v", err)
		}
		if len(file)-len(content) > maxStored-1<<20 {
			t.Errorf("the line has %d bytes", len(file)-len(content))
		}
	})
}
