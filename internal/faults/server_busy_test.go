package faults_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

const noUpstream = "<html><body><h1>503</h1>No healthy upstream</body></html>"

// Fault 20: the server has no room for another session. Nobody asks it for one before the time, whatever the callers do; then one login succeeds.
func TestFullServerIsNotAskedAgain(t *testing.T) {
	const most = `{"error_type":"SERVICE_UNAVAILABLE","messages":[{"args":[],"default_message":"Too many sessions.",` +
		`"id":"com.vmware.vapi.endpoint.failedToLoginMaxUserSessionCountReached"}]}`
	for _, tc := range []struct {
		name   string
		sys    system
		answer vmssotest.Injector
		wait   time.Duration
	}{
		{"SOAP", overSOAP, instead(503, "text/plain", "503: Out of HTTP sessions. Too many active sessions.", "Retry-After", "600"), 10 * time.Minute},
		{"SOAP, a fault", overSOAP, soapFault("ServerFaultCode", "vim.fault.failedToLoginMaxUserSessionCountReached", ""), 3 * time.Minute},
		{"SOAP, a fault with a time", overSOAP, instead(503, "text/xml",
			faultMessage("ServerFaultCode", "vim.fault.failedToLoginMaxUserSessionCountReached", ""), "Retry-After", "600"), 10 * time.Minute},
		{"REST", overREST, instead(503, "application/json", most, "Retry-After", "600"), 10 * time.Minute},
		{"REST, without a time", overREST, instead(503, "application/json", most), 3 * time.Minute},
		{"Cloud Director", onDirector, instead(503, "text/plain", "Out of HTTP sessions", "Retry-After", "600"), 10 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := tc.sys.server(l)
				server.Inject(tc.sys.login, 1, tc.answer)
				c, _ := tc.sys.client(l, t, l.source(t, tokensource.STSConfig{}))
				_, _, err := tc.sys.call(t.Context(), c)
				if !errors.Is(err, vmsso.ErrSessionLimit) || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "log out sessions") {
					t.Fatalf("error %v", err)
				}
				if le := loginError(err); le.RetryAfter != tc.wait {
					t.Errorf("the next try is after %v, want %v", le.RetryAfter, tc.wait)
				}
				for range 100 {
					time.Sleep((tc.wait - time.Second) / 100)
					if _, _, err := tc.sys.call(t.Context(), c); !errors.Is(err, vmsso.ErrSessionLimit) {
						t.Fatalf("meanwhile: error %v", err)
					}
				}
				if n := server.Calls(tc.sys.login); n != 1 || l.sts.Requests() != 1 {
					t.Errorf("%d logins and %d requests for a token while there was no room, want 1 and 1", n, l.sts.Requests())
				}
				time.Sleep(time.Second)
				must(t, tc.sys.call, c)
				expect(t, server, 1, 1)
			})
		})
	}
}

// Fault 21: the front of a system that boots answers 503 with a page. A login fails and is no refusal; what may be repeated of an open session waits and
// is repeated, what may not comes back as it is.
func TestBootingServerIsNoRefusal(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		l := newLab(t)
		server := sys.server(l)
		server.Inject("", 2, instead(503, "text/html", noUpstream))
		c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
		for range 2 {
			_, _, err := sys.call(t.Context(), c)
			le := loginError(err)
			if le == nil || le.Status != 503 || errors.Is(err, vmsso.ErrRejected) || strings.Contains(le.Error(), "<h1>") {
				t.Fatalf("the login while it boots: error %v", err)
			}
		}
		must(t, sys.call, c) // no wait: nothing was refused
		expect(t, server, 1, 1)

		server.Inject(sys.op, 2, instead(503, "text/html", noUpstream))
		start := time.Now()
		status, text, err := sys.call(t.Context(), c)
		if took := time.Since(start); sys.name == "SOAP" { // a POST may have happened
			if status != 503 || text != noUpstream || err != nil || took != 0 {
				t.Errorf("SOAP: status %d, error %v, after %v, answer %q", status, err, took, text)
			}
		} else if status != 200 || err != nil || took < 1500*time.Millisecond {
			t.Errorf("GET: status %d, error %v, after %v", status, err, took)
		}
		expect(t, server, 1, 1)
	})
}

// Fault 22: 429 with Retry-After, in seconds and as a date. The wait is kept to the second; who asks for more than half a minute gets no second request.
// At the login no caller waits: all get the error, which names the time, and nobody logs in before.
func TestTooManyRequestsWaitsAsLongAsItIsTold(t *testing.T) {
	for _, tc := range []struct {
		name, after string
		wait        time.Duration
		status      int // for the caller
	}{
		{"seconds", "7", 7 * time.Second, 200},
		{"a date", "Sat, 01 Jan 2000 00:00:11 GMT", 11 * time.Second, 200},
		{"at once", "0", 500 * time.Millisecond, 200},
		{"a date that has passed", "Fri, 31 Dec 1999 23:00:00 GMT", 500 * time.Millisecond, 200},
		{"the longest", "30", 30 * time.Second, 200},
		{"longer", "31", 0, 429},
		{"much longer", "999999999999999999999", 0, 429},
		{"a far date", "Sat, 01 Jan 2050 00:00:00 GMT", 0, 429},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sys := range systems {
				bubble(t, func(t *testing.T) {
					l := newLab(t)
					server := sys.server(l)
					c, _ := sys.client(l, t, tokensource.Static(bearer()))
					must(t, sys.call, c)
					server.Inject(sys.op, 1, instead(429, "text/plain", "slow down", "Retry-After", tc.after))
					start := time.Now()
					status, _, err := sys.call(t.Context(), c)
					if took := time.Since(start); status != tc.status || err != nil || took != tc.wait {
						t.Errorf("%s: status %d, error %v, after %v, want %d after %v", sys.name, status, err, took, tc.status, tc.wait)
					}
					if n, want := server.Calls(sys.op), map[int]int{200: 3, 429: 2}[tc.status]; n != want {
						t.Errorf("%s: %d requests, want %d", sys.name, n, want)
					}
					expect(t, server, 1, 1)
				})
			}
		})
	}
	t.Run("login", func(t *testing.T) {
		onEverySystem(t, busyLogin)
	})
}

func busyLogin(t *testing.T, sys system) {
	l := newLab(t)
	server := sys.server(l)
	for i, answer := range []vmssotest.Injector{
		instead(429, "text/plain", "slow down", "Retry-After", "60"),
		instead(503, "text/plain", "slow down", "Retry-After", "60"),
		func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			date := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
			instead(429, "text/plain", "slow down", "Retry-After", date)(w, r, next)
		},
	} {
		server.Inject(sys.login, 1, answer)
		c, _ := sys.client(l, t, tokensource.Static(bearer()))
		for range 60 {
			_, _, err := sys.call(t.Context(), c)
			le := loginError(err)
			if le == nil || le.RetryAfter <= 0 || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(le.Error(), "not tried again for ") {
				t.Fatalf("answer %d: error %v", i, err)
			}
			time.Sleep(time.Second - time.Millisecond)
		}
		if n := server.Calls(sys.login); n != 2*i+1 {
			t.Errorf("answer %d: %d logins within the minute, want %d", i, n, 2*i+1)
		}
		time.Sleep(time.Second)
		must(t, sys.call, c)
		expect(t, server, i+1, i+1)
	}
}
