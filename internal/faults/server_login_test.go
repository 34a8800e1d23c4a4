package faults_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// foreign is an authority that no server of a lab trusts.
var foreign = sync.OnceValue(vmssotest.NewAuthority)

// Fault 28: the server refuses the login. The same token and the same password are not sent again for three minutes, then once.
func TestRefusedLoginIsNotTriedAgainForThreeMinutes(t *testing.T) {
	foreign()
	onEverySystem(t, func(t *testing.T, sys system) {
		l := newLab(t)
		server := sys.server(l)
		token := &vmsso.Token{Assertion: foreign().Issue(vmssotest.Claims{Subject: user})}
		c, _ := sys.client(l, t, tokensource.Static(token))
		refuse(t, sys, c, func() int { return server.Calls(sys.login) })
		if server.Refused() != 2 {
			t.Errorf("%d refused logins, want 2", server.Refused())
		}
		expect(t, server, 0, 0)
	})
	t.Run("two passwords in turn", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.soap(t, inTurn(l, t))
			for range 20 {
				if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) {
					t.Fatalf("error %v", err)
				}
				time.Sleep(8 * time.Second)
			}
			if l.sts.Failures() != 2 || l.sts.Locked(user) {
				t.Errorf("%d failures, locked %t, want 2 and false", l.sts.Failures(), l.sts.Locked(user))
			}
		})
	})
	t.Run("password", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Username: user, Password: "wrong"}))
			refuse(t, overSOAP, c, l.sts.Failures)
			if n := l.vsphere.Calls("RetrieveServiceContent"); l.sts.Requests() != 2 || n != 0 || l.sts.Locked(user) {
				t.Errorf("%d requests for a token, %d logins, locked %t", l.sts.Requests(), n, l.sts.Locked(user))
			}
		})
	})
}

// inTurn is a source with two wrong passwords, as of two files that are both old.
func inTurn(l *lab, t *testing.T) *tokensource.STS {
	n := 0
	return l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
		n++
		return signer.Credentials{Username: user, Password: []string{"wrong", "wrong too"}[n%2]}, nil
	}})
}

// refuse makes 60 calls within three minutes, and one after that: one attempt for the former and one for the latter.
func refuse(t *testing.T, sys system, c *http.Client, attempts func() int) {
	t.Helper()
	for i := range 60 {
		_, _, err := sys.call(t.Context(), c)
		if !errors.Is(err, vmsso.ErrRejected) || errors.Is(err, vmsso.ErrLocked) {
			t.Fatalf("call %d: error %v", i, err)
		}
		if wait, want := loginError(err).RetryAfter, 3*time.Minute-time.Duration(i)*3*time.Second; wait != want {
			t.Fatalf("call %d: the next try is after %v, want %v", i, wait, want)
		}
		time.Sleep(3 * time.Second)
	}
	if n := attempts(); n != 1 {
		t.Errorf("%d attempts in three minutes, want 1", n)
	}
	if _, _, err := sys.call(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) || attempts() != 2 {
		t.Errorf("after three minutes: error %v, %d attempts, want 2", err, attempts())
	}
}

// Fault 29: the account is locked, by somebody else. It is left alone for a quarter of an hour, or as long as the configuration says.
func TestLockedAccountIsLeftAlone(t *testing.T) {
	for _, tc := range []struct {
		name string
		wait time.Duration // RefusedWait
		lock time.Duration
	}{
		{"by default", 0, 15 * time.Minute},
		{"as configured", 6 * time.Minute, 30 * time.Minute},
	} {
		t.Run("token service, "+tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				for range 5 {
					_, err := l.source(t, tokensource.STSConfig{Username: user, Password: "guess"}).Token(t.Context())
					if !errors.Is(err, vmsso.ErrRejected) {
						t.Fatal(err)
					}
				}
				if !l.sts.Locked(user) {
					t.Fatal("the account is not locked")
				}
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Username: user, Password: password, RefusedWait: tc.wait}))
				locked(t, l, c, tc.lock, func() int { return l.sts.Requests() - 5 })
			})
		})
		t.Run("vSphere, "+tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				l.vsphere.Inject("LoginByToken", 1, soapFault("ServerFaultCode", "Cannot complete login: the user account is locked.", "InvalidLogin"))
				c, _ := l.soap(t, tokensource.Static(bearer()), func(cfg *vmsso.Config) { cfg.RefusedWait = tc.wait })
				locked(t, l, c, tc.lock, func() int { return l.vsphere.Calls("LoginByToken") })
			})
		})
	}
}

// locked demands one attempt until the wait is over, then a login.
func locked(t *testing.T, l *lab, c *http.Client, wait time.Duration, attempts func() int) {
	t.Helper()
	for i := range 10 {
		_, _, err := currentTime(t.Context(), c)
		if !errors.Is(err, vmsso.ErrLocked) || !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "wait until the lock ends") {
			t.Fatalf("call %d: error %v", i, err)
		}
		if attempts() != 1 {
			t.Fatalf("call %d: %d attempts, want 1", i, attempts())
		}
		if i < 9 {
			time.Sleep((wait - time.Nanosecond) / 9) // the last call comes a few ns early
		}
	}
	time.Sleep(time.Second)
	must(t, currentTime, c)
	expect(t, l.vsphere, 1, 1)
}

// Fault 30: the password has expired. It is not sent again; a new one is, at once.
func TestExpiredPasswordWaitsForANewOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.sts.Inject("Issue", 1, soapFault("ns0:FailedAuthentication", "Password of the user logging on is expired. :: User account expired", ""))
		current := "the old one"
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Username: user, Password: current}, nil
		}}))
		for range 20 {
			_, _, err := currentTime(t.Context(), c)
			if !errors.Is(err, vmsso.ErrPasswordExpired) || !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "set a new password") {
				t.Fatalf("error %v", err)
			}
			time.Sleep(8 * time.Second)
		}
		if l.sts.Requests() != 1 {
			t.Errorf("the expired password was sent %d times, want once", l.sts.Requests())
		}
		current = password
		must(t, currentTime, c)
		if l.sts.Requests() != 2 || l.sts.Failures() != 0 {
			t.Errorf("%d requests for a token, %d failures, want 2 and 0", l.sts.Requests(), l.sts.Failures())
		}
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 36: the token is good, its user may not log in. That is final, and no attempt follows until the wait is over. A session that began before the
// server knew is logged out.
func TestLoginWithoutPermissionIsFinal(t *testing.T) {
	const forbidden = `{"minorErrorCode":"ACCESS_TO_RESOURCE_IS_FORBIDDEN","message":"No permission."}`
	const unauthorized = `{"error_type":"UNAUTHORIZED","messages":[{"args":[],"default_message":"No permission.","id":"vapi.security.authorization"}]}`
	noPermission := faultMessage("ServerFaultCode", "Permission to perform this operation was denied.", "NoPermission")
	for _, tc := range []struct {
		name    string
		sys     system
		answer  vmssotest.Injector
		says    string
		logins  int // that the server counts
		logouts int
	}{
		{"SOAP", overSOAP, instead(500, "text/xml", noPermission), "NoPermission: Permission", 0, 1},
		{"SOAP, session begun", overSOAP, spoilt(func(a *httptest.ResponseRecorder) { a.Code = 500; text(a, noPermission) }), "NoPermission: Permission", 1, 1},
		{"REST", overREST, instead(403, "application/json", unauthorized), "No permission.", 0, 0},
		{"Cloud Director", onDirector, instead(403, "application/json", forbidden), "ACCESS_TO_RESOURCE_IS_FORBIDDEN: No permission.", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := tc.sys.server(l)
				server.Inject(tc.sys.login, 1, tc.answer)
				c, tr := tc.sys.client(l, t, tokensource.Static(bearer()))
				for range 10 {
					_, _, err := tc.sys.call(t.Context(), c)
					if !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(loginError(err).Fault, tc.says) {
						t.Fatalf("error %v", err)
					}
					time.Sleep(17 * time.Second)
				}
				if n := server.Calls(tc.sys.login); n != 1 || server.Calls(tc.sys.op) != 0 {
					t.Errorf("%d logins and %d calls, want 1 and 0", n, server.Calls(tc.sys.op))
				}
				if err := tr.Close(); err != nil || server.Calls(tc.sys.logout) != tc.logouts {
					t.Errorf("Close: %v, %d logouts, want %d", err, server.Calls(tc.sys.logout), tc.logouts)
				}
				expect(t, server, tc.logins, 0)
			})
		})
	}
}

// Fault 37: the login succeeds, but its answer names no session. That is an error, and the next call logs in anew.
func TestLoginWithoutASessionIDStoresNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sys    system
		change func(*httptest.ResponseRecorder)
	}{
		{"no cookie", overSOAP, func(a *httptest.ResponseRecorder) { a.Header().Del("Set-Cookie") }},
		{"cookie deleted", overSOAP, func(a *httptest.ResponseRecorder) {
			a.Header().Set("Set-Cookie", "vmware_soap_session=x; Path=/; Max-Age=0")
		}},
		{"cookie without a value", overSOAP, func(a *httptest.ResponseRecorder) { a.Header().Set("Set-Cookie", "vmware_soap_session=; Path=/") }},
		{"cookie of a load balancer", overSOAP, func(a *httptest.ResponseRecorder) { a.Header().Set("Set-Cookie", "lb=node-1; Path=/") }},
		{"empty string", overREST, func(a *httptest.ResponseRecorder) { text(a, `""`) }},
		{"null", overREST, func(a *httptest.ResponseRecorder) { text(a, `null`) }},
		{"no body", overREST, func(a *httptest.ResponseRecorder) { text(a, ``) }},
		{"an object", overREST, func(a *httptest.ResponseRecorder) { text(a, `{"value":""}`) }},
		{"no header", onDirector, func(a *httptest.ResponseRecorder) {
			a.Header().Del("X-Vmware-Vcloud-Access-Token")
			a.Header().Del("X-Vcloud-Authorization")
		}},
		{"empty header", onDirector, func(a *httptest.ResponseRecorder) {
			a.Header().Set("X-Vmware-Vcloud-Access-Token", "")
			a.Header().Set("X-Vcloud-Authorization", "")
		}},
	} {
		t.Run(tc.sys.name+", "+tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := tc.sys.server(l)
				if tc.sys.name == "SOAP" { // the cookie from before the login would do: some servers keep it
					l.vsphere.Inject("RetrieveServiceContent", 1, spoilt(func(a *httptest.ResponseRecorder) { a.Header().Del("Set-Cookie") }))
					l.vsphere.Inject("LoginByToken", 1, spoiltLogin(tc.change))
				} else {
					server.Inject(tc.sys.login, 1, spoilt(tc.change))
				}
				c, _ := tc.sys.client(l, t, tokensource.Static(bearer()))
				_, _, err := tc.sys.call(t.Context(), c)
				le := loginError(err)
				if le == nil || errors.Is(err, vmsso.ErrRejected) || le.Status/100 != 2 || le.Stage != tc.sys.login {
					t.Fatalf("error %v", err)
				}
				if server.Calls(tc.sys.op) != 0 {
					t.Error("the call was made without a session")
				}
				must(t, tc.sys.call, c)
				if n := server.Calls(tc.sys.login); n != 2 {
					t.Errorf("%d logins, want 2", n)
				}
			})
		})
	}
}

// spoiltLogin is spoilt for a LoginByToken that is accepted whatever it says.
func spoiltLogin(change func(answer *httptest.ResponseRecorder)) vmssotest.Injector {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		yes := instead(200, "text/xml", message("LoginByTokenResponse", ""), "Set-Cookie", "vmware_soap_session=x; Path=/")
		spoilt(change)(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { yes(w, r, nil) }))
	}
}

func text(a *httptest.ResponseRecorder, body string) {
	a.Body.Reset()
	a.Body.WriteString(body)
}

// Fault 38: a captive portal or login page answers 200. The error names what came, not what it says; nothing is stored and nobody refused.
func TestLoginPageIsNoAnswer(t *testing.T) {
	page := "<html><head><title>Welcome to our hotel</title></head><body>" + strings.Repeat("<p>free coffee</p>", 1000) + "</body></html>"
	for _, tc := range []struct {
		name, at string
		sys      system
		says     string
	}{
		{"SOAP, first call", "RetrieveServiceContent", overSOAP, "text/html"},
		{"SOAP, login", "LoginByToken", overSOAP, "text/html"},
		{"REST", "POST /api/session", overREST, "no session ID"},
		{"Cloud Director, versions", "GET /api/versions", onDirector, "text/html"},
		{"Cloud Director, login", "POST /cloudapi/1.0.0/sessions", onDirector, "no token of a session"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := tc.sys.server(l)
				server.Inject(tc.at, 1, instead(200, "text/html", page))
				c, _ := tc.sys.client(l, t, l.source(t, tokensource.STSConfig{}))
				_, _, err := tc.sys.call(t.Context(), c)
				if le := loginError(err); le == nil || le.Status != 200 || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("error %v", err)
				}
				if len(err.Error()) > 600 || strings.Contains(err.Error(), "<p>") {
					t.Errorf("the error quotes the page: %v", err)
				}
				must(t, tc.sys.call, c)
				expect(t, server, 1, 1)
			})
		})
	}
	t.Run("token service", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l := newLab(t)
			l.sts.Inject("Issue", 1, instead(200, "text/html", page))
			c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
			_, _, err := currentTime(t.Context(), c)
			if le := loginError(err); le == nil || le.Stage != "Issue" || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "text/html") {
				t.Fatalf("error %v", err)
			}
			must(t, currentTime, c)
			expect(t, l.vsphere, 1, 1)
		})
	})
}
