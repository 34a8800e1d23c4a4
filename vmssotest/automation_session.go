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
		a.tally.refused.Add(1)
		a.reasons.add(err.Error())
		unauthenticated(w, r)
		return
	}
	l.Session, l.Header = newSessionID(), r.Header.Clone()
	a.sessions.add(&session{cookie: l.Session, user: l.Subject, state: loggedIn})
	a.tally.accepted.Add(1)
	if a.cfg.OnLogin != nil {
		a.cfg.OnLogin(*l)
	}
	if r.URL.Path == apiSession {
		writeJSON(w, http.StatusCreated, l.Session)
		return
	}
	if len(r.Header.Values(headerAuthn)) == 0 { // Secure is left out on plain HTTP, or no cookie jar would send it back
		http.SetCookie(w, &http.Cookie{Name: sessionHeader, Value: l.Session, Path: "/rest", HttpOnly: true, Secure: r.TLS != nil})
	}
	writeJSON(w, http.StatusOK, restValue{l.Session})
}

// verify checks a login request: a client that already has a session on it is not logging in, it is confused.
func (a *Automation) verify(r *http.Request, body []byte) (*AutomationLogin, error) {
	if len(r.Header.Values(sessionHeader)) > 0 {
		return nil, errors.New("login with the header " + sessionHeader)
	}
	if len(r.CookiesNamed(sessionHeader)) > 0 {
		return nil, errors.New("login with the cookie " + sessionHeader)
	}
	s, err := parseSIGN(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	assertion, err := s.assertion()
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument([]byte(assertion))
	if err != nil {
		return nil, errors.New("token: " + err.Error())
	}
	now := a.cfg.Now()
	t, err := verifyAssertion(doc.root, a.cfg.Trust, now, a.cfg.Tolerance)
	if err != nil {
		return nil, err
	}
	l := &AutomationLogin{Subject: t.subject, Assertion: assertion, AssertionID: t.id, HolderOfKey: t.holder != nil, Holder: t.holder}
	if t.holder == nil {
		return l, s.checkBearer()
	}
	ms, err := s.checkPossession(r, body, t.holder, now, a.cfg.Tolerance)
	if err != nil {
		return nil, err
	}
	return l, a.nonces.accept(t.holder, ms, now.Add(-a.cfg.Tolerance).UnixMilli())
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

// answer answers a request of a session.
func (a *Automation) answer(op string, w http.ResponseWriter, r *http.Request, s *session) {
	accessed := time.Unix(0, s.lastActive.Swap(a.cfg.Now().UnixNano()))
	switch op {
	case "GET " + apiSession:
		writeJSON(w, http.StatusOK, sessionInfo{s.user, stamp(s.created), stamp(accessed)})
	case "POST " + legacySession + "?~action=get":
		writeJSON(w, http.StatusOK, restValue{sessionInfo{s.user, stamp(s.created), stamp(accessed)}})
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
