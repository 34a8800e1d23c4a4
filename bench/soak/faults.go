package main

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// A fault is what befalls a request.
type fault int

const (
	none      fault = iota
	ended           // all sessions of the system end
	dropped         // the connection breaks before the server has done anything
	lost            // the connection breaks instead of the answer
	late            // the answer takes some time
	cut             // the answer is cut off
	busy            // 503 with Retry-After
	many            // 429
	page            // 502 with a page
	forbid          // refused in whatever session, as for a missing privilege
	impatient       // the caller's context ends soon
	spoilt          // of logins: the token is refused

	// These follow from others.
	goneFault // the session was gone, says a SOAP fault
	gone401   // says status 401
	gone200   // says an answer with status 200
	faultKinds
)

var faultNames = [faultKinds]string{
	ended:     "it comes as all sessions end",
	dropped:   "connection reset before it is executed",
	lost:      "connection reset instead of the answer",
	late:      "answer late",
	cut:       "answer cut off",
	busy:      "503 with Retry-After",
	many:      "429",
	page:      "502 with a page",
	forbid:    "refused in any session",
	impatient: "caller's own context ends",
	goneFault: "session gone, by a SOAP fault",
	gone401:   "session gone, by status 401",
	gone200:   "session gone, within a 200",
}

// ofCalls, ofLogins, ofLogouts and ofTokens are the faults that are drawn, as often as they are listed.
func ofCalls() []fault {
	return []fault{ended, ended, ended, dropped, dropped, lost, lost, late, late, cut, busy, busy, many, page, page, forbid, impatient, impatient}
}
func ofLogins() []fault {
	return []fault{dropped, lost, cut, late, late, busy, many, page, spoilt, spoilt, spoilt}
}
func ofLogouts() []fault { return []fault{dropped, lost, late, page} }
func ofTokens() []fault  { return []fault{dropped, lost, late, busy, page} }

// Dice are rolled by many.
type dice struct {
	mu sync.Mutex // guards r
	r  *rand.Rand
}

// draw draws a fault for a share of the requests.
func (d *dice) draw(share float64, from []fault) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.r.Float64() >= share {
		return none
	}
	return from[d.r.IntN(len(from))]
}

// answerInstead answers by itself if that is the fault, and tells whether it did.
func answerInstead(f fault, w http.ResponseWriter, retryAfter string) bool {
	status := map[fault]int{busy: http.StatusServiceUnavailable, many: http.StatusTooManyRequests, page: http.StatusBadGateway}[f]
	if status == 0 {
		return false
	}
	if f != page && retryAfter != "" {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<html><body>no healthy upstream</body></html>"))
	return true
}

// deliver writes an answer, or what the fault leaves of it.
func deliver(f fault, w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	switch f {
	case lost:
		reset(w)
	case late:
		select {
		case <-time.After(rand.N(200 * time.Millisecond)):
		case <-r.Context().Done():
		}
	case cut:
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()+1))
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
	if f == cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
