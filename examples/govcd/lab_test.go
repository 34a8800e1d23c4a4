package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

const (
	host    = "https://vcd.example.test"
	foreign = "https://adfs.example.test"
)

// authority signs the tokens of all tests.
var authority = sync.OnceValue(vmssotest.NewAuthority)

// A seen is a request as a server saw it.
type seen struct {
	method, path string
	header       http.Header
	body         string
}

// lines are the header as it came, sorted. Accept-Encoding, which is net/http's, is
// left out, as are the logins' own; X-Vmware-Vcloud-Client-Request-Id is a number.
func (s seen) lines() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.header)) {
		for _, value := range s.header[name] {
			if name != "Accept-Encoding" {
				list = append(list, name+": "+value)
			}
		}
	}
	return strings.Join(list, "\n")
}

// A recorder keeps what comes, in front of a server.
type recorder struct {
	next http.Handler

	mu   sync.Mutex // guards list
	list []seen
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.list = append(r.list, seen{req.Method, req.URL.Path, req.Header.Clone(), string(body)})
	r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.next.ServeHTTP(w, req)
}

// take returns what has come since the last time, without what the transport asks
// for by itself.
func (r *recorder) take() (list []seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.list {
		if s.header.Get("User-Agent") == "go-vcloud-director" {
			list = append(list, s)
		}
	}
	r.list = nil
	return list
}

// A lab is a Cloud Director and another server, with recorders in front of both.
type lab struct {
	t           *testing.T
	director    *vmssotest.Director
	cell, other *recorder
	base        *http.Transport
	token       *vmsso.Token
}

func newLab(t *testing.T) *lab {
	t.Helper()
	director := vmssotest.NewDirector(vmssotest.DirectorConfig{Trust: []*x509.Certificate{authority().Certificate()}})
	l := &lab{
		t: t, director: director,
		cell:  &recorder{next: director},
		other: &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<EntityDescriptor/>") })},
		token: &vmsso.Token{Assertion: authority().Issue(vmssotest.Claims{Subject: "bob@example.test"})},
	}
	network := vmssotest.NewNetwork()
	network.Serve("vcd.example.test", l.cell)
	network.Serve("adfs.example.test", l.other)
	l.base = network.Transport()
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		network.Close()
	})
	return l
}

// plain returns a client without us.
func (l *lab) plain() *client { return newClient(host, l.base) }

// wrapped returns a client above a transport, as the recipe has it.
func (l *lab) wrapped() (*client, *vmsso.Transport) {
	l.t.Helper()
	c := l.plain()
	transport, err := vmsso.New(vmsso.Config{
		Endpoint: host,
		Source:   tokensource.Static(l.token),
		Auth:     &vcloud.Authenticator{Org: "Finance"},
		Base:     c.http.Transport,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { transport.Close() })
	c.http.Transport = transport
	return c, transport
}

// bearer returns the token of the transport's session.
func (l *lab) bearer(transport *vmsso.Transport) string {
	l.t.Helper()
	s, err := transport.Session(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	token, ok := strings.CutPrefix(s.Header.Get("Authorization"), "Bearer ")
	if !ok {
		l.t.Fatal("the session has no bearer token")
	}
	return token
}

// only returns the one request that was seen.
func only(t *testing.T, list []seen) seen {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("%d requests were seen, want 1", len(list))
	}
	return list[0]
}
