package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 23: the session is gone, and a call is answered with NotAuthenticated. One login and one replay, of the same bytes.
func TestCallWithoutASessionIsSentAgainOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		must(t, currentTime, c)
		l.vsphere.Kill()
		var bodies []string
		l.vsphere.Inject("CurrentTime", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			next.ServeHTTP(w, r)
		})
		must(t, currentTime, c)
		if len(bodies) != 2 || bodies[0] != bodies[1] || !strings.HasPrefix(bodies[0], "<?xml") || !strings.HasSuffix(bodies[0], "</Envelope>") {
			t.Errorf("the server got %q, want one message twice", bodies)
		}
		expect(t, l.vsphere, 2, 1)
		if l.sts.Issued() != 2 || l.vsphere.Refused() != 0 {
			t.Errorf("%d tokens, %d refused logins, want 2 and 0", l.sts.Issued(), l.vsphere.Refused())
		}
	})
}

// powerOn is a call for which the user may lack the privilege.
func powerOn(ctx context.Context, c *http.Client) (int, string, error) {
	body := message("PowerOnVM_Task", `<_this type="VirtualMachine">vm-1</_this>`)
	return do(ctx, c, http.MethodPost, vcURL+"/sdk", http.Header{"Content-Type": {"text/xml"}}, strings.NewReader(body))
}

// Fault 24: the replay is refused as well: a privilege is missing, not the session. The caller gets the fault; further refusals make no further
// logins, and the session that was given up too early is logged out.
func TestRefusedReplayIsHandedUpAndMakesNoMoreLogins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.vsphere.Inject("PowerOnVM_Task", -1, soapFault("ServerFaultCode", "The session is not authenticated.", "NotAuthenticated"))
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		must(t, currentTime, c)
		for i := range 20 {
			status, text, err := powerOn(t.Context(), c)
			if want := faultMessage("ServerFaultCode", "The session is not authenticated.", "NotAuthenticated"); status != 500 || text != want || err != nil {
				t.Fatalf("call %d: status %d, error %v, answer %s", i, status, err, text)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		expect(t, l.vsphere, 2, 1)
		if n := l.vsphere.Calls("PowerOnVM_Task"); n != 21 { // the first one twice
			t.Errorf("%d requests, want 21", n)
		}
		must(t, currentTime, c) // in the same session
		expect(t, l.vsphere, 2, 1)
	})
}

// Fault 25: any other fault belongs to the caller, byte for byte, and costs neither a login nor a second request.
func TestOtherFaultsPassThroughUnchanged(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tc := range []struct {
		name, contentType, body string
	}{
		{"a fault", "text/xml; charset=utf-8", faultMessage("ServerFaultCode", "The operation is not allowed in the current state.", "InvalidPowerState")},
		{"a text that mentions another", "text/xml", faultMessage("ServerFaultCode", "NotAuthenticated is not what this is", "RuntimeFault")},
		{"not in order", "text/xml", "\r\n<not><xml>\x00\xff&broken;"},
		{"a long one", "text/xml", faultMessage("ServerFaultCode", long, "NotAuthenticatedNot")},
		{"a page", "text/html", "<html>NotAuthenticatedFault</html>"},
		{"nothing", "text/xml", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				l.vsphere.Inject("PowerOnVM_Task", 1, instead(500, tc.contentType, tc.body))
				c, _ := l.soap(t, tokensource.Static(bearer()))
				must(t, currentTime, c)
				status, text, err := powerOn(t.Context(), c)
				if status != 500 || text != tc.body || err != nil {
					t.Errorf("status %d, error %v, %d bytes, want 500 and %d bytes: %.200q", status, err, len(text), len(tc.body), text)
				}
				if n := l.vsphere.Calls("PowerOnVM_Task"); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
				expect(t, l.vsphere, 1, 1)
			})
		})
	}
}

// Fault 26: the session is gone, and REST says 401, to a request with a body too.
func TestUnauthorizedIsSentAgainOnce(t *testing.T) {
	for _, sys := range []system{overREST, onDirector} {
		t.Run(sys.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := sys.server(l)
				c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
				must(t, sys.call, c)
				server.Kill()
				must(t, sys.call, c)
				if n := server.Calls(sys.op); n != 3 {
					t.Errorf("%d requests, want 3", n)
				}
				expect(t, server, 2, 1)

				server.Kill()
				url := map[string]string{"REST": vcURL, "Cloud Director": vcdURL}[sys.name] + "/api/echo"
				status, text, err := do(t.Context(), c, http.MethodPost, url, http.Header{"Content-Type": {"text/plain"}}, io.MultiReader(strings.NewReader("a body")))
				if status != 200 || text != "a body" || err != nil {
					t.Errorf("status %d, error %v, answer %q", status, err, text)
				}
				if n := server.Calls("POST /api/echo"); n != 2 {
					t.Errorf("%d requests with a body, want 2", n)
				}
				expect(t, server, 3, 1)
			})
		})
	}
}

// Fault 27: 403 says that a right is missing: no login, no replay. The request had the session, so it is not that either.
func TestForbiddenIsNoReasonToLogIn(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		l := newLab(t)
		server := sys.server(l)
		c, _ := sys.client(l, t, tokensource.Static(bearer()))
		must(t, sys.call, c)
		sent := 0
		server.Inject(sys.op, -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("Cookie")+r.Header.Get("Vmware-Api-Session-Id")+r.Header.Get("Authorization") != "" {
				sent++
			}
			instead(403, "text/plain", "no right")(w, r, next)
		})
		for range 5 {
			if status, text, err := sys.call(t.Context(), c); status != 403 || text != "no right" || err != nil {
				t.Fatalf("status %d, error %v, answer %q", status, err, text)
			}
		}
		if n := server.Calls(sys.op); n != 6 || sent != 5 {
			t.Errorf("%d requests, %d of five with the session, want 6 and 5", n, sent)
		}
		expect(t, server, 1, 1)
	})
}

// Fault 49: at the logout the session is gone already. That is what Close wants.
func TestLogoutOfASessionThatIsGoneIsNoError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sys    system
		answer vmssotest.Injector // nil: the server's own
	}{
		{"NotAuthenticated", overSOAP, nil},
		{"401", overSOAP, instead(401, "text/plain", "Unauthorized")},
		{"401", overREST, nil},
		{"404", overREST, instead(404, "application/json", `{"error_type":"NOT_FOUND","messages":[]}`)},
		{"401", onDirector, nil},
		{"404", onDirector, instead(404, "text/plain", "")},
	} {
		t.Run(tc.sys.name+", "+tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				server := tc.sys.server(l)
				c, tr := tc.sys.client(l, t, tokensource.Static(bearer()))
				must(t, tc.sys.call, c)
				server.Kill()
				if tc.answer != nil {
					server.Inject(tc.sys.logout, 1, tc.answer)
				}
				if err := tr.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if n := server.Calls(tc.sys.logout); n != 1 {
					t.Errorf("%d logouts, want 1", n)
				}
				expect(t, server, 1, 0)
			})
		})
	}
}

// Fault 50: the network fails at the logout of Close. It returns in time, with the error, and the session is forgotten all the same.
func TestCloseForgetsTheSessionThatItCannotEnd(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*lab, system)
		took  time.Duration
	}{
		{"no answer", func(l *lab, sys system) {
			sys.server(l).Inject(sys.logout, 1, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
		}, 5 * time.Second},
		{"reset", func(l *lab, sys system) {
			sys.server(l).Inject(sys.logout, 1, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		}, 0},
		{"refused", func(l *lab, _ system) { l.net.Stop(vcHost); l.net.Stop(vcdHost) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sys := range systems {
				bubble(t, func(t *testing.T) {
					l := newLab(t)
					server := sys.server(l)
					c, tr := sys.client(l, t, tokensource.Static(bearer()))
					must(t, sys.call, c)
					tc.spoil(l, sys)
					start := time.Now()
					if err := tr.Close(); err == nil || time.Since(start) != tc.took {
						t.Errorf("%s: Close: error %v after %v, want one after %v", sys.name, err, time.Since(start), tc.took)
					}
					if s := fmt.Sprint(tr); !strings.Contains(s, "session: none") {
						t.Errorf("%s: after Close: %s", sys.name, s)
					}
					if _, _, err := sys.call(t.Context(), c); !errors.Is(err, vmsso.ErrClosed) {
						t.Errorf("%s: a call after Close: error %v", sys.name, err)
					}
					if n := server.Calls(sys.op); n != 1 {
						t.Errorf("%s: %d calls, want 1", sys.name, n)
					}
				})
			}
		})
	}
}
