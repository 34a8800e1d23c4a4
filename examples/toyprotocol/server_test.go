package toyprotocol_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A system is a strict server of the toy protocol: one credential in one header
// field of one request, and nothing of it anywhere else.
type system struct {
	assertion string        // the one that it trusts, byte for byte
	takes     time.Duration // a login

	mu      sync.Mutex // guards the fields below
	tickets map[string]bool
	logins  int
	refused int
	strange []string // requests that no client may send
}

func newSystem(assertion string) *system {
	return &system{assertion: assertion, takes: time.Second, tickets: map[string]bool{}}
}

func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	login := r.Method == http.MethodPost && r.URL.Path == "/login"
	if login {
		time.Sleep(s.takes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	assertions, tickets := r.Header["Toy-Assertion"], r.Header["Toy-Ticket"]
	switch {
	case login && len(assertions) == 1 && len(tickets) == 0:
		s.login(w, assertions[0])
	case login, len(assertions) != 0, len(tickets) > 1, r.Header["Authorization"] != nil, r.Header["Cookie"] != nil:
		s.strange = append(s.strange, fmt.Sprintf("%s %s with %v", r.Method, r.URL.Path, slices.Sorted(maps.Keys(r.Header))))
		fail(w, http.StatusBadRequest, "strange")
	case len(tickets) == 0 || !s.tickets[tickets[0]]:
		fail(w, http.StatusUnauthorized, "no ticket")
	case r.Method == http.MethodDelete && r.URL.Path == "/login":
		delete(s.tickets, tickets[0])
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && r.URL.Path == "/login":
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/echo":
		_, _ = io.Copy(w, r.Body)
	case r.URL.Path == "/forbidden":
		fail(w, http.StatusUnauthorized, "not yours")
	case r.URL.Path == "/elsewhere":
		http.Redirect(w, r, "https://other.example.test/", http.StatusTemporaryRedirect)
	default:
		fail(w, http.StatusNotFound, "nothing here")
	}
}

// login answers a login. The lock is held.
func (s *system) login(w http.ResponseWriter, encoded string) {
	if text, err := base64.StdEncoding.DecodeString(encoded); err != nil || string(text) != s.assertion {
		s.refused++
		fail(w, http.StatusUnauthorized, "bad assertion")
		return
	}
	s.logins++
	ticket := fmt.Sprintf("t-%d", s.logins)
	s.tickets[ticket] = true
	fmt.Fprintf(w, `{"ticket":%q}`, ticket)
}

func fail(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, word)
}

// kill ends all sessions behind the clients' back.
func (s *system) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tickets)
}

// counts returns how many logins were accepted and refused, and how many sessions
// are left.
func (s *system) counts() (logins, refused, sessions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins, s.refused, len(s.tickets)
}
