package vmssotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
)

// brokenStore is the environment variable that says how the store of a process is broken.
const brokenStore = "VMSSOTEST_BROKEN_STORE"

// TestBrokenStoresAreFound runs the suite in processes of their own, in which it must fail.
func TestBrokenStoresAreFound(t *testing.T) {
	if how, ok := os.LookupEnv(brokenStore); ok {
		all := &shelves{how: how, records: map[string]shelved{}, turns: map[string]chan struct{}{}}
		testSessionStore(t, func() vmsso.SessionStore { return &shelfStore{shelves: all} }, 2*time.Second)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var runs sync.WaitGroup
	for how, finds := range map[string][]string{
		"is as it should be":        nil,
		"loses records":             {"RecordsComeBackAsTheyWere", "RecordEndsWithItsTTL", "WritersTakeTurnsAndReadersSeeWholeRecords"},
		"keeps the caller's slice":  {"RecordsComeBackAsTheyWere"},
		"returns its own slice":     {"RecordsComeBackAsTheyWere"},
		"cuts records":              {"RecordsComeBackAsTheyWere"},
		"is a process's own":        {"RecordsComeBackAsTheyWere"},
		"deletes nothing":           {"RecordsComeBackAsTheyWere"},
		"has one record":            {"KeysAreApart"},
		"has one lock":              {"KeysAreApart"},
		"keeps records for ever":    {"RecordEndsWithItsTTL"},
		"ends records at once":      {"RecordsComeBackAsTheyWere"},
		"excludes nobody":           {"OneLeaseAtATime", "WritersTakeTurnsAndReadersSeeWholeRecords"},
		"excludes no process":       {"OneLeaseAtATime", "WritersTakeTurnsAndReadersSeeWholeRecords"},
		"forgets who waits":         {"OneLeaseAtATime"},
		"is deaf to the context":    {"WaitingEndsWithTheContext"},
		"gives the lease too late":  {"WaitingEndsWithTheContext"},
		"lets anybody save":         {"ReleasedLeaseWritesNothing", "LeaseOfTheDeadIsFree"},
		"lets anybody delete":       {"ReleasedLeaseWritesNothing"},
		"releases another's lease":  {"ReleasedLeaseWritesNothing"},
		"keeps leases of the dead":  {"LeaseOfTheDeadIsFree"},
		"tears what it writes":      {"WritersTakeTurnsAndReadersSeeWholeRecords"},
		"removes before it writes":  {"WritersTakeTurnsAndReadersSeeWholeRecords"},
		"says nothing is no error":  {"RecordsComeBackAsTheyWere"},
		"has no lease and no error": {"RecordsComeBackAsTheyWere"},
	} {
		cmd := exec.Command(self, "-test.run=^TestBrokenStoresAreFound$", "-test.v", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), brokenStore+"="+how)
		runs.Go(func() { // all at once: they wait most of the time
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != (len(finds) > 0) {
				t.Errorf("a store that %s: the suite failed: %t\n%s", how, failed, out)
			}
			if strings.Contains(string(out), "panic: ") {
				t.Errorf("a store that %s: the suite did not end as it should:\n%s", how, out)
			}
			for _, name := range finds {
				if !strings.Contains(string(out), "--- FAIL: TestBrokenStoresAreFound/"+name+" ") {
					t.Errorf("a store that %s: %s did not fail:\n%s", how, name, out)
				}
			}
		})
	}
	runs.Wait()
}

// shelves are stores in memory that are broken in one way, or in none.
type shelves struct {
	how string

	mu      sync.Mutex // guards the following
	records map[string]shelved
	turns   map[string]chan struct{} // with room for one
	owed    int                      // leases that are given, when they are free, to those who have left
}

type shelved struct {
	record []byte
	ends   time.Time
}

// A shelfStore is that of one process.
type shelfStore struct {
	*shelves
	mu     sync.Mutex // guards leases
	leases []*shelfLease
	own    map[string]shelved
}

func (s *shelfStore) is(how string) bool { return s.how == how }

func (s *shelfStore) key(key string) string {
	if s.is("has one record") {
		return "one"
	}
	return key
}

// all are the records that this process sees. The caller holds shelves.mu.
func (s *shelfStore) all() map[string]shelved {
	if !s.is("is a process's own") {
		return s.records
	}
	if s.own == nil {
		s.own = map[string]shelved{}
	}
	return s.own
}

func (s *shelfStore) Load(_ context.Context, key string) ([]byte, error) {
	s.shelves.mu.Lock()
	defer s.shelves.mu.Unlock()
	e, ok := s.all()[s.key(key)]
	switch {
	case !ok && s.is("says nothing is no error"):
		return nil, nil
	case !ok, !time.Now().Before(e.ends) && !s.is("keeps records for ever"):
		return nil, vmsso.ErrNoSession
	case s.is("returns its own slice"):
		return e.record, nil
	}
	return bytes.Clone(e.record), nil
}

func (s *shelfStore) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	l := &shelfLease{s: s, key: s.key(key)}
	name := key
	switch {
	case s.is("has no lease and no error"):
		return nil, nil
	case s.is("excludes nobody"):
		l.turn = make(chan struct{}, 1)
		l.turn <- struct{}{}
		return l, nil
	case s.is("has one lock"):
		name = "one"
	case s.is("excludes no process"):
		name = fmt.Sprintf("%s in %p", key, s)
	}
	s.shelves.mu.Lock()
	l.turn = s.turns[name]
	if l.turn == nil {
		l.turn = make(chan struct{}, 1)
		s.turns[name] = l.turn
	}
	s.shelves.mu.Unlock()
	done := ctx.Done()
	if s.is("is deaf to the context") {
		done = nil
	}
	if s.is("forgets who waits") {
		select {
		case l.turn <- struct{}{}:
		default:
			<-done
			return nil, ctx.Err()
		}
		return s.issue(l), nil
	}
	select {
	case l.turn <- struct{}{}:
		return s.issue(l), nil
	case <-done:
		if s.is("gives the lease too late") {
			s.shelves.mu.Lock()
			defer s.shelves.mu.Unlock()
			s.owed++
		}
		return nil, ctx.Err()
	}
}

func (s *shelfStore) issue(l *shelfLease) vmsso.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases = append(s.leases, l)
	return l
}

func (s *shelfStore) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leases {
		if !s.is("keeps leases of the dead") {
			_ = l.Release()
		}
	}
}

type shelfLease struct {
	s        *shelfStore
	key      string
	turn     chan struct{}
	released bool // guarded by shelves.mu
}

func (l *shelfLease) Save(_ context.Context, record []byte, ttl time.Duration) error {
	l.s.shelves.mu.Lock()
	defer l.s.shelves.mu.Unlock()
	e := shelved{bytes.Clone(record), time.Now().Add(ttl)}
	switch all := l.s.all(); {
	case l.released && !l.s.is("lets anybody save"):
		return errors.New("released")
	case l.s.is("loses records"):
		return nil
	case l.s.is("keeps the caller's slice"):
		e.record = record
	case l.s.is("cuts records"):
		e.record = e.record[:min(len(e.record), 64<<10)]
	case l.s.is("ends records at once"):
		e.ends = time.Now()
	case l.s.is("removes before it writes"):
		delete(all, l.key)
		l.pause()
	case l.s.is("tears what it writes"):
		all[l.key] = shelved{append(bytes.Clone(record[:len(record)/2]), all[l.key].record...), e.ends}
		l.pause()
	}
	l.s.all()[l.key] = e
	return nil
}

// pause lets readers in.
func (l *shelfLease) pause() {
	l.s.shelves.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	l.s.shelves.mu.Lock()
}

func (l *shelfLease) Delete(context.Context) error {
	l.s.shelves.mu.Lock()
	defer l.s.shelves.mu.Unlock()
	if l.released && !l.s.is("lets anybody delete") {
		return errors.New("released")
	}
	if !l.s.is("deletes nothing") {
		delete(l.s.all(), l.key)
	}
	return nil
}

func (l *shelfLease) Release() error {
	l.s.shelves.mu.Lock()
	defer l.s.shelves.mu.Unlock()
	if l.released && !l.s.is("releases another's lease") {
		return nil
	}
	l.released = true
	if l.s.owed > 0 {
		l.s.owed--
		return nil
	}
	select {
	case <-l.turn:
	default:
	}
	return nil
}
