package vmsso_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A memory is a SessionStore for the transports of one process. A store for Redis or
// etcd has the same parts: records that end, a lease that one has at a time, and the
// rule that nobody else writes.
type memory struct {
	mu      sync.Mutex // guards the maps
	records map[string]entry
	turns   map[string]chan struct{} // with room for one: who holds the lease
}

type entry struct {
	record []byte
	ends   time.Time
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.records[key]; time.Now().Before(e.ends) {
		return bytes.Clone(e.record), nil
	}
	return nil, vmsso.ErrNoSession
}

func (m *memory) Lock(ctx context.Context, key string) (vmsso.Lease, error) {
	m.mu.Lock()
	turn, ok := m.turns[key]
	if !ok {
		turn = make(chan struct{}, 1)
		m.turns[key] = turn
	}
	m.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return &lease{m: m, key: key, turn: turn}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type lease struct {
	m        *memory
	key      string
	turn     chan struct{}
	released bool
}

func (l *lease) Save(_ context.Context, record []byte, ttl time.Duration) error {
	return l.write(entry{bytes.Clone(record), time.Now().Add(ttl)})
}

func (l *lease) Delete(context.Context) error { return l.write(entry{}) }

func (l *lease) write(e entry) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.released {
		return errors.New("the lease was released")
	}
	l.m.records[l.key] = e
	return nil
}

func (l *lease) Release() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if !l.released {
		l.released = true
		<-l.turn
	}
	return nil
}

func newMemory() *memory {
	return &memory{records: map[string]entry{}, turns: map[string]chan struct{}{}}
}

// A store of one's own. vmssotest.TestSessionStore tells whether it is one.
func ExampleSessionStore() {
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{})
	server := vmssotest.Listen(vcenter) // instead of a vCenter
	defer server.Close()
	store := newMemory()
	for range 2 { // the second takes the session of the first
		client, transport, err := vmsso.Wrap(&http.Client{Transport: server.Transport()}, vmsso.Config{
			Endpoint: server.URL,
			Source:   tokensource.Static(&vmsso.Token{Assertion: vcenter.Authority.Issue(vmssotest.Claims{Subject: "alice@vsphere.local"})}),
			Auth:     &automation.Authenticator{},
			Store:    store,
			Identity: "alice@vsphere.local",
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		resp, err := client.Get(server.URL + "/api/vcenter/vm")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		transport.Close() // leaves the session in the store
		fmt.Println(resp.Status, "logins:", vcenter.Logins())
	}
	// Output:
	// 200 OK logins: 1
	// 200 OK logins: 1
}
