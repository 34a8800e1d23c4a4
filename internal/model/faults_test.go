//go:build model

package model_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// serveSTS hands a request to the token service of the moment.
func (w *world) serveSTS(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	now := w.sts
	w.mu.Unlock()
	w.inject(rw, r, now)
}

// inject is what happens to a request that has come to a server.
func (w *world) inject(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	s, f := w.arrived(r)
	switch f.how {
	case "drop":
		panic(http.ErrAbortHandler)
	case "busy":
		rw.Header().Set("Retry-After", strconv.Itoa(int(f.d/time.Second)))
		http.Error(rw, "busy", http.StatusServiceUnavailable)
		return
	case "full":
		http.Error(rw, "Out of HTTP sessions", http.StatusServiceUnavailable)
		return
	case "slow":
		if !pause(r, f.d) {
			panic(http.ErrAbortHandler)
		}
	case "refuse":
		w.sys.spoil(r)
	}
	rec := httptest.NewRecorder()
	w.process(s, rec, r, next)
	maps.Copy(rw.Header(), rec.Header())
	if f.how == "cut" && rec.Body.Len() == 0 {
		f.how = "swallow" // there is nothing to cut
	}
	switch f.how {
	case "swallow":
		panic(http.ErrAbortHandler)
	case "late", "deaf":
		if !pause(r, f.d) {
			panic(http.ErrAbortHandler)
		}
	case "cut":
		rw.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()+1))
	}
	rw.WriteHeader(rec.Code)
	_, _ = rw.Write(rec.Body.Bytes())
	if f.how == "cut" {
		_ = http.NewResponseController(rw).Flush()
		panic(http.ErrAbortHandler)
	}
}

// pause waits, and tells whether the client has waited too.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// arrived finds the sending of a request, and what is to happen to it.
func (w *world) arrived(r *http.Request) (*sending, fault) {
	n, _ := strconv.Atoi(r.Header.Get(serialHeader))
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sendings[n]
	c := s.call
	if c == nil {
		return s, s.fault
	}
	if c.forbidden { // it comes without a session, as it were
		for _, name := range []string{"Cookie", "Authorization", "Vmware-Api-Session-Id"} {
			r.Header.Del(name)
		}
	}
	if c.faulty == c.fault.times {
		return s, fault{}
	}
	c.faulty++
	return s, c.fault
}

// process lets the server do its work, and notes what it did.
func (w *world) process(s *sending, rec *httptest.ResponseRecorder, r *http.Request, next http.Handler) {
	if s.role != login {
		next.ServeHTTP(rec, r)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.processed(s, rec)
		return
	}
	w.processing.Lock()
	defer w.processing.Unlock()
	live, accepted, refused := w.server.Sessions(), w.server.Logins(), w.server.Refused()
	next.ServeHTTP(rec, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	s.accepted, s.refused, s.born = w.server.Logins() > accepted, w.server.Refused() > refused, time.Now()
	if s.accepted && live > w.unknown()-1 { // less this one
		w.needless(s)
	}
}

// processed notes what came of other requests than logins. The lock is held.
func (w *world) processed(s *sending, rec *httptest.ResponseRecorder) {
	switch text := rec.Body.String(); {
	case s.role == sts:
		s.refused, s.locked = strings.Contains(text, "FailedAuthentication"), strings.Contains(text, "locked")
	case s.role == logout, s.call != nil && s.call.of == "logout":
		s.ended = true
		w.open(ended).over = true
	case s.call == nil:
	case w.sys.refused(rec.Code, text):
		s.refused = true
	case rec.Code < 300:
		s.call.executions++
	}
}
