package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 39: the login sets more cookies than the one. Of two with the same name and path the last counts; those for other hosts, also a parent domain,
// and for other paths are not sent; the longest path comes first. Nor does a later answer replace the session's cookie by one for elsewhere.
func TestOnlyCookiesOfTheEndpointAreSent(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after []string // Set-Cookie lines around the server's own
		want          string   // what the next call has; @ is the server's own cookie
	}{
		{"no other", nil, nil, "@"},
		{"twice", []string{"vmware_soap_session=stale; Path=/"}, nil, "@"},
		{"deleted, then set", []string{"vmware_soap_session=; Path=/; Max-Age=0"}, nil, "@"},
		{"another host", nil, []string{"vmware_soap_session=stale; Path=/; Domain=evil.example.test"}, "@"},
		{"parent domain", nil, []string{"vmware_soap_session=stale; Path=/; Domain=.example.test"}, "@"},
		{"a domain below", nil, []string{"vmware_soap_session=stale; Path=/; Domain=a.vc.example.test"}, "@"},
		{"this very host", nil, []string{"lb=node-1; Path=/; Domain=vc.example.test"}, "@; lb=node-1"},
		{"another path", nil, []string{"vmware_soap_session=stale; Path=/ui"}, "@"},
		{"a longer path", nil, []string{"lb=node-1; Path=/sdk"}, "lb=node-1; @"},
		{"expired", nil, []string{"lb=node-1; Path=/; Expires=Fri, 31 Dec 1999 00:00:00 GMT"}, "@"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var own, sent string
				l := newLab(t, func(cfg *labConfig) {
					cfg.vsphere.OnLogin = func(login vmssotest.Login) { own = "vmware_soap_session=" + login.Cookie }
				})
				l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					w.Header()["Set-Cookie"] = slices.Clone(tc.before)
					next.ServeHTTP(&atHeader{w, func(h http.Header) { h["Set-Cookie"] = append(h["Set-Cookie"], tc.after...) }}, r)
				})
				l.vsphere.Inject("CurrentTime", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					sent = r.Header.Get("Cookie")
					next.ServeHTTP(w, r)
				})
				c, _ := l.soap(t, tokensource.Static(bearer()))
				must(t, currentTime, c)
				if want := strings.Replace(tc.want, "@", own, 1); sent != want {
					t.Errorf("the call has the cookies %q, want %q", sent, want)
				}
				expect(t, l.vsphere, 1, 1)
			})
		})
	}
	t.Run("later", foreignCookieLater)
}

// foreignCookieLater: a cookie of the session's name that is not for this session, in the answer of a call.
func foreignCookieLater(t *testing.T) {
	for _, attributes := range []string{
		"Path=/; Domain=evil.example.test", "Path=/; Domain=example.test", "Path=/ui", "Path=/; Max-Age=0", "Path=/; Expires=Fri, 31 Dec 1999 00:00:00 GMT",
	} {
		t.Run(attributes, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := newLab(t)
				c, _ := l.soap(t, tokensource.Static(bearer()))
				must(t, currentTime, c)
				l.vsphere.Inject("CurrentTime", 1, spoilt(func(a *httptest.ResponseRecorder) {
					a.Header().Set("Set-Cookie", "vmware_soap_session=stale; "+attributes)
				}))
				must(t, currentTime, c)
				must(t, currentTime, c)
				expect(t, l.vsphere, 1, 1)
			})
		})
	}
}

// atHeader changes the header before the first byte of an answer with status 200.
type atHeader struct {
	http.ResponseWriter
	change func(http.Header)
}

func (w *atHeader) Write(b []byte) (int, error) {
	if w.change != nil {
		w.change(w.Header())
		w.change = nil
	}
	return w.ResponseWriter.Write(b)
}

// Fault 40: each answer sets a new session ID, and the server takes the newest only. No login is lost by it, and the logout names the newest too.
func TestNewestSessionIDIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, tr := l.soap(t, tokensource.Static(bearer()))
		must(t, currentTime, c)
		var real, newest string
		l.vsphere.Inject("", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			c, err := r.Cookie("vmware_soap_session")
			if err != nil {
				t.Error("a request without a cookie")
				return
			}
			if newest == "" {
				real, newest = c.Value, c.Value
			}
			if c.Value != newest {
				t.Errorf("the session ID is %q, want the newest, %q", c.Value, newest)
			}
			r.Header.Set("Cookie", "vmware_soap_session="+real)
			newest += "n"
			http.SetCookie(w, &http.Cookie{Name: "vmware_soap_session", Value: newest, Path: "/"})
			next.ServeHTTP(w, r)
		})
		for range 5 {
			must(t, currentTime, c)
		}
		expect(t, l.vsphere, 1, 1)
		if want := real + "nnnnn"; newest != want {
			t.Errorf("the newest session ID is %q, want %q", newest, want)
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		expect(t, l.vsphere, 1, 0)
	})
}

// Fault 41: a server refuses every login on a session where one failed. Each login begins without cookies, also with those that the caller's jar has.
func TestLoginBeginsWithoutCookies(t *testing.T) {
	foreign()
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		var first, login []string
		l.vsphere.Inject("RetrieveServiceContent", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			first = append(first, r.Header.Get("Cookie"))
			next.ServeHTTP(w, r)
		})
		l.vsphere.Inject("LoginByToken", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			login = append(login, r.Header.Get("Cookie"))
			next.ServeHTTP(w, r)
		})
		token := &vmsso.Token{Assertion: foreign().Issue(vmssotest.Claims{Subject: user})}
		c, _ := l.soap(t, sourceFunc(func(context.Context) (*vmsso.Token, error) { return token, nil }))
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(&url.URL{Scheme: "https", Host: vcHost, Path: "/"}, []*http.Cookie{{Name: "vmware_soap_session", Value: "of-another-day"}})
		c.Jar = jar
		if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrRejected) {
			t.Fatalf("error %v", err)
		}
		time.Sleep(3 * time.Minute)
		token = bearer()
		must(t, currentTime, c)
		l.vsphere.Kill()
		must(t, currentTime, c)
		expect(t, l.vsphere, 2, 1)
		if fmt.Sprint(first) != "[  ]" {
			t.Errorf("cookies of the first calls: %q, want three times none", first)
		}
		if slices.Sort(login); len(slices.Compact(login)) != 3 || strings.Contains(fmt.Sprint(login), "another-day") {
			t.Errorf("cookies of the logins: %q, want three different ones", login)
		}
	})
}
