package vmssotest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const tenantContextHeader = "X-Vmware-Vcloud-Tenant-Context"

// directorSession is a session of a Director; its cookie is its id.
type directorSession struct {
	*session
	org     string
	version apiVersion // of the login
	legacy  bool       // the login gave x-vcloud-authorization
	jwt     string     // "" before 30.0
	expires time.Time  // of the JWT
}

// token is what x-vcloud-authorization holds: the id as 32 hexadecimal digits.
func (s *directorSession) token() string { return strings.ReplaceAll(s.cookie, "-", "") }

// directorSessions holds the sessions and finds them by both of their names.
type directorSessions struct {
	sessions

	namesMu sync.Mutex                  // guards names
	names   map[string]*directorSession // by JWT and token; a name can outlive its session
}

func (d *directorSessions) add(s *directorSession) {
	d.sessions.add(s.session)
	d.namesMu.Lock()
	defer d.namesMu.Unlock()
	if d.names == nil {
		d.names = map[string]*directorSession{}
	}
	if len(d.names) >= maxSessions {
		for name, have := range d.names {
			if n, _ := d.lookup(have.cookie); n == nil {
				delete(d.names, name)
			}
		}
	}
	d.names[s.token()] = s
	if s.jwt != "" {
		d.names[s.jwt] = s
	}
}

// find returns the session that is alive and has this name; nil if there is none.
func (d *directorSessions) find(name string) *directorSession {
	d.namesMu.Lock()
	s := d.names[name]
	d.namesMu.Unlock()
	if s == nil {
		return nil
	}
	if n, _ := d.lookup(s.cookie); n == nil {
		return nil
	}
	return s
}

// withSession answers a request that needs a session.
func (d *Director) withSession(w http.ResponseWriter, r *http.Request) {
	a, acceptable := d.accepted(r)
	s, err := d.authenticated(r, a.version)
	if err != nil {
		d.reason(false, err.Error())
		d.fail(w, r, http.StatusBadRequest, err.Error())
		return
	}
	if s == nil { // the body is not read: a client that sends a large one must cope with the early answer
		empty(w, http.StatusUnauthorized)
		return
	}
	s.lastActive.Store(d.cfg.Now().UnixNano())
	if err := checkTenantContext(r); err != nil {
		d.reason(false, err.Error())
		empty(w, http.StatusUnauthorized)
		return
	}
	if !acceptable {
		why := fmt.Sprintf("Accept %.100q names no supported version, or the wrong type", r.Header.Values("Accept"))
		d.reason(false, why)
		d.fail(w, r, http.StatusNotAcceptable, why)
		return
	}
	d.answer(w, r, s, a)
}

// authenticated returns the session of a request; nil if it has none. It is an error if its headers and cookies contradict each other. Cookies say
// nothing by themselves. version is what the request asks for.
func (d *Director) authenticated(r *http.Request, version apiVersion) (*directorSession, error) {
	lines, tokens := r.Header.Values("Authorization"), r.Header.Values(legacyHeader)
	if len(lines) > 1 || len(tokens) > 1 || len(r.Header.Values(accessTokenHeader)) > 1 {
		return nil, errors.New("a header with credentials twice")
	}
	var s *directorSession
	var usable bool
	switch {
	case len(lines) == 1:
		scheme, name, _ := strings.Cut(lines[0], " ")
		if strings.EqualFold(scheme, "SIGN") {
			return nil, errors.New("SIGN at " + r.Method + " " + r.URL.Path + ", which is no login")
		}
		if s = d.sessions.find(name); s != nil {
			usable = strings.EqualFold(scheme, "Bearer") && name == s.jwt && d.cfg.Now().Before(s.expires)
		}
	case len(tokens) == 1:
		if s = d.sessions.find(tokens[0]); s != nil {
			usable = tokens[0] == s.token() && s.legacy && version.hasLegacyLogin()
		}
	default:
		return nil, nil
	}
	if err := d.agree(r, s); err != nil || !usable {
		return nil, err
	}
	return s, nil
}

// agree checks that whatever else names a session names this one; without one that it names none which is alive. Headers that hold something else
// are from a session that is over.
func (d *Director) agree(r *http.Request, s *directorSession) error {
	check := func(where, name string) error {
		if s == nil && d.sessions.find(name) == nil || s != nil && (name == s.token() || name == s.jwt) {
			return nil
		}
		return errors.New(where + " does not name the session that the request is for")
	}
	for _, name := range []string{legacyHeader, accessTokenHeader} {
		for _, value := range r.Header.Values(name) {
			if err := check("header "+name, value); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{jwtCookie, sessionIDCookie, legacyCookie} {
		for _, c := range r.CookiesNamed(name) {
			if err := check("cookie "+name, c.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTenantContext refuses an organization that is named by a URN: cells answer that with 401, as if the session were over (go-vcloud-director,
// govcd/tenant_context.go).
func checkTenantContext(r *http.Request) error {
	for _, id := range r.Header.Values(tenantContextHeader) {
		if !isUUID(id) {
			return fmt.Errorf("tenant context %.100q is not a bare UUID", id)
		}
	}
	return nil
}

func isUUID(s string) bool {
	for i, c := range []byte(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash && c != '-' || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return len(s) == 36
}
