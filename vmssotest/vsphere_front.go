package vmssotest

import "net/http"

// serveFront lets a request through to the backend unless it is a LoginByToken that does not verify or comes from a session that Kill ended.
func (v *VSphere) serveFront(op string, w http.ResponseWriter, r *http.Request) {
	cookie := cookieOf(r)
	_, state := v.sessions.lookup(cookie)
	switch {
	case op == "LoginByToken":
		v.frontLogin(w, r, cookie)
	case state == killed && op != "RetrieveServiceContent":
		v.notAuthenticated(op, w, r)
	case op == "Logout":
		rec := &statusRecorder{ResponseWriter: w}
		v.cfg.Backend.ServeHTTP(rec, r)
		if rec.ok() {
			v.sessions.end(cookie)
		}
	default:
		v.cfg.Backend.ServeHTTP(w, r)
	}
}

func (v *VSphere) frontLogin(w http.ResponseWriter, r *http.Request, cookie string) {
	body, err := bodyOf(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l, err := v.verify(r, body)
	if err != nil {
		v.refuse(w, err)
		return
	}
	rec := &statusRecorder{ResponseWriter: w, onOK: func(h http.Header) {
		l.Cookie = cookie
		for _, c := range (&http.Response{Header: h}).Cookies() {
			if c.Name == cookieName {
				l.Cookie = c.Value
			}
		}
		v.sessions.add(&session{cookie: l.Cookie, user: l.Subject, state: loggedIn})
		v.tally.accepted.Add(1)
		if v.cfg.OnLogin != nil {
			v.cfg.OnLogin(*l)
		}
	}}
	v.cfg.Backend.ServeHTTP(rec, r)
	rec.ok() // a handler that writes nothing answers 200
}

// statusRecorder notes the status of an answer as it is sent.
type statusRecorder struct {
	http.ResponseWriter
	status int
	onOK   func(http.Header) // called once, before a 200 is sent
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
		if status == http.StatusOK && s.onOK != nil {
			s.onOK(s.Header())
		}
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the server's writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *statusRecorder) ok() bool {
	if s.status == 0 {
		s.WriteHeader(http.StatusOK)
	}
	return s.status == http.StatusOK
}
