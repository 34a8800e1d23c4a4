package vmssotest

import (
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// cookieName is the cookie of a vSphere session.
const cookieName = "vmware_soap_session"

// maxSessions bounds the sessions that a client without cookies can begin.
const maxSessions = 100_000

// sessionState says what a session can do.
type sessionState int

const (
	fresh    sessionState = iota // RetrieveServiceContent began it; a login may use it
	spoilt                       // a login was tried on it
	loggedIn                     // authenticated
	killed                       // ended by Kill; remembered by a front only
)

// session is one vSphere session. All but lastActive is fixed once it is in the map, and state is guarded by the map's mutex.
type session struct {
	cookie, key, user, locale string
	created                   time.Time
	state                     sessionState
	lastActive                atomic.Int64 // Unix nanoseconds
}

// sessions holds the sessions by cookie.
type sessions struct {
	idle time.Duration
	now  func() time.Time

	mu       sync.RWMutex // guards byCookie and the state of each session
	byCookie map[string]*session
}

// cookieOf returns the session cookie of a request; "" if there is none.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

// begin makes a session that is not logged in.
func (s *sessions) begin() *session {
	return s.add(&session{cookie: newUUID(), state: fresh})
}

func (s *sessions) add(n *session) *session {
	n.created = s.now()
	n.lastActive.Store(n.created.UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byCookie == nil {
		s.byCookie = map[string]*session{}
	}
	if len(s.byCookie) >= maxSessions {
		for cookie, have := range s.byCookie {
			if have.state != loggedIn || s.gone(have) {
				delete(s.byCookie, cookie)
			}
		}
	}
	s.byCookie[n.cookie] = n
	return n
}

// gone reports whether the session was idle for too long.
func (s *sessions) gone(n *session) bool {
	if s.idle == math.MaxInt64 {
		return false
	}
	return s.now().UnixNano()-n.lastActive.Load() > int64(s.idle)
}

// lookup returns a session that is alive, in whatever state, and what state that is; nil if there is none.
func (s *sessions) lookup(cookie string) (*session, sessionState) {
	if cookie == "" {
		return nil, 0
	}
	s.mu.RLock()
	n := s.byCookie[cookie]
	var state sessionState
	if n != nil {
		state = n.state
	}
	s.mu.RUnlock()
	if n == nil || !s.gone(n) {
		return n, state
	}
	s.end(cookie)
	return nil, 0
}

// authenticated returns the logged-in session of a request and notes that it is active; nil if there is none.
func (s *sessions) authenticated(r *http.Request) *session {
	n, state := s.lookup(cookieOf(r))
	if n == nil || state != loggedIn {
		return nil
	}
	n.lastActive.Store(s.now().UnixNano())
	return n
}

// claim takes a fresh session for a login. Whatever comes of it, no second login can use the session.
func (s *sessions) claim(cookie string) bool {
	n, _ := s.lookup(cookie)
	if n == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.state != fresh {
		return false
	}
	n.state = spoilt
	return true
}

// login replaces the session of the old cookie by a logged-in one with a new cookie.
func (s *sessions) login(old string, l *Login) *session {
	s.end(old)
	return s.add(&session{cookie: newUUID(), key: newUUID(), user: l.Subject, locale: l.Locale, state: loggedIn})
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byCookie, cookie)
}

// live counts the logged-in sessions.
func (s *sessions) live() (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, have := range s.byCookie {
		if have.state == loggedIn && !s.gone(have) {
			n++
		}
	}
	return n
}

// kill ends the logged-in sessions; with remember their cookies are kept as killed.
func (s *sessions) kill(remember bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cookie, have := range s.byCookie {
		if have.state != loggedIn || s.gone(have) {
			continue
		}
		n++
		if remember {
			have.state = killed
		} else {
			delete(s.byCookie, cookie)
		}
	}
	return n
}

// setCookie sends the cookie of a session. Secure is left out on plain HTTP, or no cookie jar would send it back.
func setCookie(w http.ResponseWriter, r *http.Request, n *session) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: n.cookie, Path: "/", HttpOnly: true, Secure: r.TLS != nil})
}
