package vmssotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
)

// TestSessionStore tests a store of sessions. Each call of open opens the same, empty store once more, as another process would; the stores live as
// long as t. What is tested: that records come back as they were saved, for their time and under their key; that one lease of a key is out at a time,
// and that waiting for it ends with the context; that who has released a lease changes nothing any more; that readers see whole records while
// others write.
//
// If the stores have a method Crash(), it must make this one lose its leases as the death of its process would, without a call of Release: then it is
// tested that the next one gets the lease, and that the dead one cannot write.
//
// It takes a second or two, because the end of a record is waited for.
func TestSessionStore(t *testing.T, open func() vmsso.SessionStore) {
	t.Helper()
	testSessionStore(t, open, 20*time.Second)
}

// testSessionStore has patience for so long with what a store need not wait for.
func testSessionStore(t *testing.T, open func() vmsso.SessionStore, patience time.Duration) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*storeTest)
	}{
		{"RecordsComeBackAsTheyWere", (*storeTest).records},
		{"KeysAreApart", (*storeTest).keys},
		{"RecordEndsWithItsTTL", (*storeTest).ttl},
		{"OneLeaseAtATime", (*storeTest).lease},
		{"WaitingEndsWithTheContext", (*storeTest).waiting},
		{"ReleasedLeaseWritesNothing", (*storeTest).fencing},
		{"LeaseOfTheDeadIsFree", (*storeTest).crash},
		{"WritersTakeTurnsAndReadersSeeWholeRecords", (*storeTest).concurrency},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(&storeTest{t, open, storeKey(t.Name()), patience}) })
	}
}

// storeKey is a key as Transport makes them, another one for each name.
func storeKey(name string) string { return fmt.Sprintf("%064x", []byte(name[max(0, len(name)-32):])) }

type storeTest struct {
	*testing.T
	open     func() vmsso.SessionStore
	key      string
	patience time.Duration
}

// errDeaf: a Lock that does not end with its context is not waited for.
var errDeaf = errors.New("it does not return, although its context has ended")

// tryLock asks for the lease for this time.
func (t *storeTest) tryLock(s vmsso.SessionStore, key string, wait time.Duration) (vmsso.Lease, error) {
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	type result struct {
		l   vmsso.Lease
		err error
	}
	done := make(chan result, 1)
	go func() {
		l, err := s.Lock(ctx, key)
		done <- result{l, err}
	}()
	select {
	case r := <-done:
		return r.l, r.err
	case <-time.After(wait + t.patience):
		return nil, errDeaf
	}
}

// refused wants that the lease, which another has, is not to be had.
func (t *storeTest) refused(s vmsso.SessionStore) {
	t.Helper()
	if l, err := t.tryLock(s, t.key, 50*time.Millisecond); err == nil || l != nil || errors.Is(err, errDeaf) {
		t.Fatalf("Lock while another has the lease: %v, %v, want the context's error", l, err)
	}
}

func (t *storeTest) lock(s vmsso.SessionStore, key string) vmsso.Lease {
	t.Helper()
	l, err := t.tryLock(s, key, t.patience)
	if err != nil || l == nil {
		t.Fatalf("Lock: %v, %v, want a lease", l, err)
	}
	return l
}

func (t *storeTest) release(l vmsso.Lease) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Errorf("Release: %v", err)
	}
}

func (t *storeTest) save(s vmsso.SessionStore, key string, record []byte, ttl time.Duration) {
	t.Helper()
	l := t.lock(s, key)
	defer t.release(l)
	if err := l.Save(t.Context(), record, ttl); err != nil {
		t.Fatalf("Save of %d bytes: %v", len(record), err)
	}
}

// want checks what Load says; nil: that there is none.
func (t *storeTest) want(s vmsso.SessionStore, key string, record []byte) {
	t.Helper()
	got, err := s.Load(t.Context(), key)
	switch {
	case record == nil && !errors.Is(err, vmsso.ErrNoSession):
		t.Errorf("Load: %d bytes, %v, want ErrNoSession", len(got), err)
	case record != nil && err != nil:
		t.Errorf("Load: %v, want a record of %d bytes", err, len(record))
	case !bytes.Equal(got, record):
		t.Errorf("Load: %d bytes, which are not those that were saved (%d)", len(got), len(record))
	}
}

func (t *storeTest) records() {
	here, there := t.open(), t.open()
	t.want(here, t.key, nil)
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	for _, record := range [][]byte{{0}, []byte("a"), binary, bytes.Repeat([]byte("large\n"), 1<<20/6), []byte("short again")} {
		saved := bytes.Clone(record)
		t.save(here, t.key, saved, time.Hour)
		saved[0]++ // the caller's, once Save has returned
		t.want(here, t.key, record)
		t.want(there, t.key, record)
		if got, err := there.Load(t.Context(), t.key); err == nil && len(got) > 0 {
			got[0]++ // the caller's too
			t.want(there, t.key, record)
		}
	}
	l := t.lock(there, t.key)
	defer t.release(l)
	for range 2 {
		if err := l.Delete(t.Context()); err != nil {
			t.Errorf("Delete: %v", err)
		}
		t.want(here, t.key, nil)
	}
}

func (t *storeTest) keys() {
	s, other := t.open(), strings.Repeat("f", 64)
	l := t.lock(s, t.key)
	defer t.release(l)
	t.save(s, other, []byte("other"), time.Hour) // does not wait for the first
	t.want(s, t.key, nil)
	if err := l.Save(t.Context(), []byte("one"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := l.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.want(s, other, []byte("other"))
}

func (t *storeTest) ttl() {
	s, other := t.open(), strings.Repeat("e", 64)
	t.save(s, other, []byte("stays"), time.Hour)
	t.save(s, t.key, []byte("ends"), time.Second)
	for end := time.Now().Add(t.patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := s.Load(t.Context(), t.key); errors.Is(err, vmsso.ErrNoSession) {
			break
		} else if err != nil || time.Now().After(end) {
			t.Fatalf("Load after the TTL of a second: %v, want ErrNoSession", err)
		}
	}
	t.want(s, other, []byte("stays"))
}

func (t *storeTest) lease() {
	here, there := t.open(), t.open()
	for _, second := range []vmsso.SessionStore{here, there} {
		first := t.lock(here, t.key)
		got, failed := make(chan vmsso.Lease, 1), make(chan error, 1)
		go func() {
			if l, err := t.tryLock(second, t.key, t.patience); err == nil && l != nil {
				got <- l
			} else {
				failed <- err
			}
		}()
		select {
		case <-got:
			t.Fatal("two leases of one key at the same time")
		case <-time.After(100 * time.Millisecond):
		}
		t.release(first)
		select {
		case l := <-got:
			t.release(l)
		case err := <-failed:
			t.Fatalf("a lease that was released is not given to who waits for it: %v", err)
		}
	}
}

func (t *storeTest) waiting() {
	s := t.open()
	first := t.lock(s, t.key)
	t.refused(t.open())
	t.release(first)
	t.release(t.lock(s, t.key)) // who gave up waiting does not get it afterwards
}

func (t *storeTest) fencing() {
	s := t.open()
	old := t.lock(s, t.key)
	t.release(old)
	t.save(t.open(), t.key, []byte("new"), time.Hour)
	if err := old.Save(t.Context(), []byte("old"), time.Hour); err == nil {
		t.Error("Save with a lease that was released: no error")
	}
	if err := old.Delete(t.Context()); err == nil {
		t.Error("Delete with a lease that was released: no error")
	}
	t.want(s, t.key, []byte("new"))
	next := t.lock(s, t.key)
	_ = old.Release() // must not release that of another
	t.refused(t.open())
	t.release(next)
}

func (t *storeTest) crash() {
	dying := t.open()
	mortal, ok := dying.(interface{ Crash() })
	if !ok {
		t.Log("the store has no method Crash: not tested")
		return
	}
	old := t.lock(dying, t.key)
	if err := old.Save(t.Context(), []byte("before"), time.Hour); err != nil {
		t.Fatal(err)
	}
	mortal.Crash()
	heir := t.open()
	t.save(heir, t.key, []byte("after"), time.Hour)
	if err := old.Save(t.Context(), []byte("ghost"), time.Hour); err == nil {
		t.Error("Save by the dead: no error")
	}
	t.want(heir, t.key, []byte("after"))
}

func (t *storeTest) concurrency() {
	const writers, rounds = 8, 10
	t.save(t.open(), t.key, numbered(0), time.Hour)
	stop := make(chan struct{})
	var readers, all sync.WaitGroup
	readers.Go(func() {
		for s := t.open(); ; {
			select {
			case <-stop:
				return
			default:
			}
			b, err := s.Load(t.Context(), t.key)
			if err != nil || numberOf(b) < 0 {
				t.Errorf("a reader saw %d bytes, %v, want a whole record", len(b), err)
				return
			}
		}
	})
	for range writers {
		all.Go(func() {
			s := t.open()
			for range rounds {
				l, err := t.tryLock(s, t.key, t.patience)
				if err != nil || l == nil {
					t.Errorf("Lock: %v, %v, want a lease", l, err)
					return
				}
				b, err := s.Load(t.Context(), t.key)
				time.Sleep(time.Millisecond) // for a second writer, if there can be one
				if err == nil {
					err = l.Save(t.Context(), numbered(numberOf(b)+1), time.Hour)
				}
				if err != nil {
					t.Errorf("Load and Save: %v", err)
				}
				t.release(l)
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	b, err := t.open().Load(t.Context(), t.key)
	if n := numberOf(b); err != nil || n != writers*rounds {
		t.Errorf("%d writers counted to %d, %v, want %d", writers, n, err, writers*rounds)
	}
}

// numbered is a record of 4 KiB that says n everywhere.
func numbered(n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%015d\n", n), 256)
}

// numberOf returns -1 for what is not such a record.
func numberOf(b []byte) int {
	n, err := strconv.Atoi(string(b[:min(15, len(b))]))
	if err != nil || !bytes.Equal(b, numbered(n)) {
		return -1
	}
	return n
}
