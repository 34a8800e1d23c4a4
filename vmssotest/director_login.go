package vmssotest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	legacyLogin   = "/api/sessions"
	tenantLogin   = "/cloudapi/1.0.0/sessions"
	providerLogin = tenantLogin + "/provider"

	provider = "System" // the organization of the provider

	accessTokenHeader = "X-Vmware-Vcloud-Access-Token"
	tokenTypeHeader   = "X-Vmware-Vcloud-Token-Type"
	legacyHeader      = "X-Vcloud-Authorization"

	jwtCookie       = "vcloud_jwt"
	sessionIDCookie = "vcloud_session_id"
	legacyCookie    = "vcloud-token" // before 30.0
)

func (d *Director) isLoginPath(path string) bool {
	return path == legacyLogin || d.cloudAPI && (path == tenantLogin || path == providerLogin)
}

func (d *Director) isLogin(r *http.Request) bool {
	return r.Method == http.MethodPost && d.isLoginPath(r.URL.Path)
}

// denial is a refusal with another status than 401.
type denial struct {
	status int
	reason string
}

func (e *denial) Error() string { return e.reason }

func deny(status int, reason string) error { return &denial{status, reason} }

// login answers a login on any path.
func (d *Director) login(w http.ResponseWriter, r *http.Request) {
	l, a, err := d.verify(w, r)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	l.Path, l.Version, l.Header = r.URL.Path, a.version.name, r.Header.Clone()
	s := d.begin(l, a.version)
	l.Session = s.cookie
	d.tally.accepted.Add(1)
	if d.cfg.OnLogin != nil {
		d.cfg.OnLogin(*l)
	}
	s.announce(w, r)
	d.answerSession(w, r, s, a)
}

// refuse answers a login that was not accepted.
func (d *Director) refuse(w http.ResponseWriter, r *http.Request, err error) {
	d.reason(true, err.Error())
	status := http.StatusUnauthorized
	if why, ok := errors.AsType[*denial](err); ok {
		status = why.status
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		empty(w, status)
		return
	}
	d.fail(w, r, status, err.Error())
}

// verify checks a login request: first that it is one, then who it is.
func (d *Director) verify(w http.ResponseWriter, r *http.Request) (*DirectorLogin, accept, error) {
	if body, err := bodyOf(w, r); err != nil || len(body) > 0 {
		return nil, accept{}, deny(http.StatusBadRequest, "login with a body")
	}
	if err := onlyAuthorization(r); err != nil {
		return nil, accept{}, err
	}
	a, ok := d.accepted(r)
	if !ok {
		return nil, a, deny(http.StatusNotAcceptable, fmt.Sprintf("Accept %.100q names no supported version, or the wrong type", r.Header.Values("Accept")))
	}
	if offered := a.version.hasCloudAPI(); r.URL.Path != legacyLogin && !offered || r.URL.Path == legacyLogin && !a.version.hasLegacyLogin() {
		// That the operation is gone is documented, how a cell says so is not: it may be 405 as well.
		return nil, a, deny(http.StatusNotFound, "version "+a.version.name+" has no "+r.URL.Path)
	}
	lines := r.Header.Values("Authorization")
	if len(lines) == 0 {
		status := http.StatusForbidden // as documented for 5.x
		if isCloudAPI(r) {
			status = http.StatusUnauthorized
		}
		return nil, a, deny(status, "no Authorization header")
	}
	h, err := parseDirectorSIGN(lines[0])
	if err != nil {
		return nil, a, err
	}
	l, err := d.identify(h, r.URL.Path)
	return l, a, err
}

// onlyAuthorization refuses what no client has that is about to log in: it is confused, or passes on what is not meant for this request.
func onlyAuthorization(r *http.Request) error {
	for _, name := range []string{legacyHeader, accessTokenHeader} {
		if len(r.Header.Values(name)) > 0 {
			return deny(http.StatusBadRequest, "login with the header "+name)
		}
	}
	for _, name := range []string{jwtCookie, sessionIDCookie, legacyCookie} {
		if len(r.CookiesNamed(name)) > 0 {
			return deny(http.StatusBadRequest, "login with the cookie "+name)
		}
	}
	if n := len(r.Header.Values("Authorization")); n > 1 {
		return deny(http.StatusBadRequest, fmt.Sprintf("login with %d Authorization headers", n))
	}
	return nil
}

// identify checks the attributes of a login on this path.
func (d *Director) identify(h directorHeader, path string) (*DirectorLogin, error) {
	org, audience, ok := d.org(h["org"])
	switch {
	case !ok:
		return nil, fmt.Errorf("organization %.100q is not known", h["org"])
	case path == tenantLogin && org == provider:
		return nil, errors.New("the provider at the login of the tenants")
	case path == providerLogin && org != provider:
		return nil, errors.New("a tenant at the login of the provider")
	case path == legacyLogin && org == provider && d.cfg.NonProviderOnly:
		return nil, errors.New("the provider at the login that is closed to it")
	}
	assertion, err := unpackToken(h["token"])
	if err != nil {
		return nil, err
	}
	l := &DirectorLogin{Org: org, Assertion: assertion}
	if user, ok := d.cfg.Opaque[assertion]; ok {
		l.Subject = user
		return l, nil
	}
	doc, err := parseDocument([]byte(assertion))
	if err != nil {
		return nil, errors.New("token: " + err.Error())
	}
	if is(doc.root, nsSAML, "EncryptedAssertion") {
		return nil, errors.New("token: an EncryptedAssertion that is not known")
	}
	t, err := verifyAssertion(doc.root, d.cfg.Trust, d.cfg.Now(), d.cfg.Tolerance)
	if err != nil {
		return nil, err
	}
	if audience != "" && !t.isFor(audience) {
		return nil, fmt.Errorf("assertion is for %.200q, not for %q", t.audiences, audience)
	}
	l.Subject, l.AssertionID, l.HolderOfKey, l.Holder = t.subject, t.id, t.holder != nil, t.holder
	if t.holder == nil { // the signature attributes of a bearer token are not looked at
		return l, nil
	}
	return l, h.checkPossession(assertion, t.holder, d.cfg.AllowSHA1)
}

// org finds an organization and its entity ID. None named is the provider.
func (d *Director) org(name string) (org, audience string, ok bool) {
	if name == "" || strings.EqualFold(name, provider) {
		for org, audience := range d.cfg.Orgs {
			if strings.EqualFold(org, provider) {
				return provider, audience, true
			}
		}
		return "", "", false
	}
	audience, ok = d.cfg.Orgs[name]
	return name, audience, ok
}

// begin makes the session of a login.
func (d *Director) begin(l *DirectorLogin, v apiVersion) *directorSession {
	s := &directorSession{session: &session{cookie: newUUID(), user: l.Subject, state: loggedIn}, org: l.Org, version: v, legacy: l.Path == legacyLogin}
	if v.hasJWT() {
		s.expires = d.cfg.Now().Add(d.cfg.Lifetime).Truncate(time.Second)
		s.jwt = newJWT(s.user, locationID(s.org), s.token(), s.expires)
	}
	d.sessions.add(s)
	return s
}

// newJWT returns a token that says what a cell's says. Nobody can check its signature, which is as long as one of RSA with 2048 bits.
func newJWT(user, issuer, id string, expires time.Time) string {
	claims, err := json.Marshal(struct {
		Subject string `json:"sub"`
		Issuer  string `json:"iss"`
		Expires int64  `json:"exp"`
		ID      string `json:"jti"`
	}{user, issuer, expires.Unix(), id})
	if err != nil {
		panic("vmssotest: " + err.Error()) // strings and a number
	}
	signature := make([]byte, 256)
	rand.Read(signature) // never fails
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part(claims) + "." + part(signature)
}

// announce sets the headers of an accepted login: what is to be sent from now on.
func (s *directorSession) announce(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	cookie := func(name, value string) { // Secure is left out on plain HTTP, or no cookie jar would send it back
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: s.jwt != "", Secure: r.TLS != nil})
	}
	if s.legacy {
		header.Set(legacyHeader, s.token())
	}
	if s.jwt == "" {
		cookie(legacyCookie, s.token())
		return
	}
	header.Set(accessTokenHeader, s.jwt)
	header.Set(tokenTypeHeader, "Bearer")
	cookie(jwtCookie, s.jwt)
	cookie(sessionIDCookie, s.token())
}
