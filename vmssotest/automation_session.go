package vmssotest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	apiSession    = "/api/session"
	legacySession = "/rest/com/vmware/cis/session"

	sessionHeader = "vmware-api-session-id" // and the name of the cookie
	headerAuthn   = "vmware-use-header-authn"
)

// login answers a login on either path.
func (a *Automation) login(w http.ResponseWriter, r *http.Request) {
	body, err := bodyOf(w, r)
	if err != nil {
		tooLarge(w)
		return
	}
	l, err := a.verify(r, body)
	if err != nil {
		a.refuse(err.Error())
		unauthenticated(w, r)
		return
	}
	a.accept(l, r)
	if r.URL.Path == apiSession {
		writeJSON(w, http.StatusCreated, l.Session)
		return
	}
	if len(r.Header.Values(headerAuthn)) == 0 { // Secure is left out on plain HTTP, or no cookie jar would send it back
		http.SetCookie(w, &http.Cookie{Name: sessionHeader, Value: l.Session, Path: "/rest", HttpOnly: true, Secure: r.TLS != nil})
	}
	writeJSON(w, http.StatusOK, restValue{l.Session})
}

// refuse notes a login that is not accepted.
func (a *Automation) refuse(reason string) {
	a.tally.refused.Add(1)
	a.reasons.add(reason)
}

// accept begins the session of a login.
func (a *Automation) accept(l *AutomationLogin, r *http.Request) {
	l.Session, l.Header = newSessionID(), r.Header.Clone()
	a.sessions.add(&session{cookie: l.Session, user: l.Subject, state: loggedIn})
	a.tally.accepted.Add(1)
	if a.cfg.OnLogin != nil {
		a.cfg.OnLogin(*l)
	}
}

// verify checks a login request of REST.
func (a *Automation) verify(r *http.Request, body []byte) (*AutomationLogin, error) {
	if err := checkNoSession(r); err != nil {
		return nil, err
	}
	s, err := parseSIGN(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	assertion, err := s.assertion()
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	l, err := a.verifyToken(assertion, now)
	if err != nil {
		return nil, err
	}
	if l.Holder == nil {
		return l, s.checkBearer()
	}
	ms, err := s.checkPossession(r, body, l.Holder, now, a.cfg.Tolerance)
	if err != nil {
		return nil, err
	}
	return l, a.nonces.accept(l.Holder, ms, now.Add(-a.cfg.Tolerance).UnixMilli())
}

// checkNoSession: a client that already has a session on its login is not logging in, it is confused.
func checkNoSession(r *http.Request) error {
	if len(r.Header.Values(sessionHeader)) > 0 {
		return errors.New("login with the header " + sessionHeader)
	}
	if len(r.CookiesNamed(sessionHeader)) > 0 {
		return errors.New("login with the cookie " + sessionHeader)
	}
	return nil
}

// verifyToken checks the assertion of a login.
func (a *Automation) verifyToken(assertion string, now time.Time) (*AutomationLogin, error) {
	doc, err := parseDocument([]byte(assertion))
	if err != nil {
		return nil, errors.New("token: " + err.Error())
	}
	t, err := verifyAssertion(doc.root, a.cfg.Trust, now, a.cfg.Tolerance)
	if err != nil {
		return nil, err
	}
	return &AutomationLogin{Subject: t.subject, Assertion: assertion, AssertionID: t.id, HolderOfKey: t.holder != nil, Holder: t.holder}, nil
}

// newSessionID returns an id of the form that vCenter uses.
func newSessionID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// authenticated returns the session that the header of a request names and notes that it is active; nil if there is none.
func (a *Automation) authenticated(r *http.Request) *session {
	ids := r.Header.Values(sessionHeader)
	if len(ids) != 1 {
		return nil
	}
	s, _ := a.sessions.lookup(ids[0]) // all sessions here are logged in
	return s
}

// touch notes that a session is active and returns what it was before.
func (a *Automation) touch(s *session) sessionInfo {
	accessed := time.Unix(0, s.lastActive.Swap(a.cfg.Now().UnixNano()))
	return sessionInfo{s.user, stamp(s.created), stamp(accessed)}
}

// answer answers a request of a session.
func (a *Automation) answer(op string, w http.ResponseWriter, r *http.Request, s *session) {
	info := a.touch(s)
	switch op {
	case "GET " + apiSession:
		writeJSON(w, http.StatusOK, info)
	case "POST " + legacySession + "?~action=get":
		writeJSON(w, http.StatusOK, restValue{info})
	case "DELETE " + apiSession:
		a.sessions.end(s.cookie)
		w.WriteHeader(http.StatusNoContent)
	case "DELETE " + legacySession:
		a.sessions.end(s.cookie)
		w.WriteHeader(http.StatusOK)
	case "GET /api/vcenter/vm":
		writeJSON(w, http.StatusOK, machines)
	case "GET /rest/vcenter/vm":
		writeJSON(w, http.StatusOK, restValue{machines})
	case "POST /api/echo":
		echo(w, r)
	default:
		if !isContent(op) {
			notFound(w, r)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusCreated, n)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := bodyOf(w, r)
	if err != nil {
		tooLarge(w)
		return
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}
