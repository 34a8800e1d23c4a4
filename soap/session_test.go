package soap_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestLoginFromEverySource(t *testing.T) {
	for _, tc := range []struct {
		name    string
		source  func(*testing.T, *lab) vmsso.TokenSource
		holder  bool
		subject string
	}{
		{"static bearer", func(t *testing.T, l *lab) vmsso.TokenSource { return tokensource.Static(bearer()) }, false, user},
		{"static holder-of-key", func(t *testing.T, l *lab) vmsso.TokenSource {
			return tokensource.Static(holderOfKey(rsaPair()))
		}, true, "solution@vsphere.local"},
		{"static holder-of-key, P-256", func(t *testing.T, l *lab) vmsso.TokenSource {
			return tokensource.Static(holderOfKey(ecPair()))
		}, true, "solution@vsphere.local"},
		{"file", fileSource, true, "solution@vsphere.local"},
		{"STS by password", func(t *testing.T, l *lab) vmsso.TokenSource {
			return l.stsSource(t, tokensource.STSConfig{Username: user, Password: password})
		}, false, user},
		{"STS by certificate", func(t *testing.T, l *lab) vmsso.TokenSource {
			pair := rsaPair()
			return l.stsSource(t, tokensource.STSConfig{Certificate: &pair})
		}, true, "solution"},
		{"STS by P-256 certificate", func(t *testing.T, l *lab) vmsso.TokenSource {
			pair := ecPair()
			return l.stsSource(t, tokensource.STSConfig{Certificate: &pair})
		}, true, "solution-ec"},
		{"STS by both", func(t *testing.T, l *lab) vmsso.TokenSource {
			pair := otherPair() // not registered: the person counts
			return l.stsSource(t, tokensource.STSConfig{Username: user, Password: password, Certificate: &pair})
		}, true, user},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			var used *vmsso.Token
			source := tc.source(t, l)
			c, tr := l.client(t, sourceFunc(func(ctx context.Context) (*vmsso.Token, error) {
				tok, err := source.Token(ctx)
				used = tok
				return tok, err
			}))
			for range 3 {
				mustCall(t, c, "CurrentTime", serviceInstance)
			}
			l.expect(t, 1, 1)
			login := l.logins[0]
			if login.Assertion != used.Assertion {
				t.Error("the assertion did not arrive byte for byte")
			}
			if login.HolderOfKey != tc.holder || !strings.HasPrefix(login.Subject, tc.subject) {
				t.Errorf("logged in as %q, holder-of-key %t, want %q and %t", login.Subject, login.HolderOfKey, tc.subject, tc.holder)
			}
			if n := l.vsphere.Calls("RetrieveServiceContent"); n != 1 {
				t.Errorf("%d RetrieveServiceContent, want 1", n)
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
			l.expect(t, 1, 0)
		})
	}
}

type sourceFunc func(context.Context) (*vmsso.Token, error)

func (f sourceFunc) Token(ctx context.Context) (*vmsso.Token, error) { return f(ctx) }

// fileSource writes a token and its key pair into files.
func fileSource(t *testing.T, _ *lab) vmsso.TokenSource {
	tok, dir := holderOfKey(rsaPair()), t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(tok.Key)
	if err != nil {
		t.Fatal(err)
	}
	pair := rsaPair()
	for name, data := range map[string][]byte{
		"token.xml": []byte("<?xml version=\"1.0\"?>\n" + tok.Assertion + "\n"),
		"cert.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw}),
		"key.pem":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := tokensource.NewFile(tokensource.FileConfig{
		Token:       filepath.Join(dir, "token.xml"),
		Certificate: filepath.Join(dir, "cert.pem"),
		Key:         filepath.Join(dir, "key.pem"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLaterCallsCarryTheCookieAlone(t *testing.T) {
	l := newLab(t)
	c, _ := l.client(t, tokensource.Static(bearer()))
	var cookies []string
	l.vsphere.Inject("CurrentTime", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		cookies = append(cookies, r.Header.Get("Cookie"))
		if r.ContentLength != int64(len(message("CurrentTime", serviceInstance))) {
			t.Errorf("the message is %d bytes long: not the caller's", r.ContentLength)
		}
		next.ServeHTTP(w, r)
	})
	var action string
	l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		action = r.Header.Get("SOAPAction")
		next.ServeHTTP(w, r)
	})
	mustCall(t, c, "CurrentTime", serviceInstance)
	mustCall(t, c, "CurrentTime", serviceInstance)
	if action != `"urn:vim25/8.0.3.0"` {
		t.Errorf("LoginByToken with SOAPAction %s, want the version that the server named", action)
	}
	want := "vmware_soap_session=" + l.logins[0].Cookie
	if len(cookies) != 2 || strings.ReplaceAll(cookies[0], `"`, "") != want || cookies[1] != cookies[0] {
		t.Errorf("cookies %q, want %q twice", cookies, want)
	}
}

func TestTenThousandGoroutinesLogInOnceAtTheServer(t *testing.T) {
	l := newLab(t)
	l.base.MaxConnsPerHost, l.base.MaxIdleConnsPerHost = 256, 256 // or most of the time goes into TLS
	c, _ := l.client(t, l.stsSource(t, tokensource.STSConfig{Username: user, Password: password}))
	for round := 1; round <= 2; round++ {
		var wg sync.WaitGroup
		for range 10000 {
			wg.Go(func() {
				if status, text, err := call(t.Context(), c, "CurrentTime", serviceInstance); err != nil || status != 200 {
					t.Errorf("status %d, error %v, %.200s", status, err, text)
				}
			})
		}
		wg.Wait()
		l.expect(t, round, 1)
		if n := l.sts.Requests(); n != round {
			t.Errorf("%d requests to the token service, want %d", n, round)
		}
		l.vsphere.Kill()
	}
	if n := l.vsphere.MaxConcurrentLogins(); n != 1 {
		t.Errorf("%d logins at the same time, want 1", n)
	}
}

func TestSessionThatIsGoneIsReplaced(t *testing.T) {
	for _, tc := range []struct{ name, operation, content string }{
		{"fault", "CurrentTime", serviceInstance},
		{"missingSet", "RetrievePropertiesEx", allVMs},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.client(t, tokensource.Static(holderOfKey(rsaPair())))
			mustCall(t, c, tc.operation, tc.content)
			l.vsphere.Kill()
			if text := mustCall(t, c, tc.operation, tc.content); strings.Contains(text, "NotAuthenticated") {
				t.Errorf("the caller got %s", text)
			}
			l.expect(t, 2, 1)
		})
	}
}

func TestIdleSessionIsReplaced(t *testing.T) {
	newLab(t) // makes the keys outside the bubble
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c, tr := l.client(t, tokensource.Static(bearer(func(c *vmssotest.Claims) { c.NotOnOrAfter = time.Now().Add(24 * time.Hour) })))
		mustCall(t, c, "CurrentTime", serviceInstance)
		time.Sleep(29 * time.Minute)
		mustCall(t, c, "CurrentTime", serviceInstance)
		l.expect(t, 1, 1)
		time.Sleep(31 * time.Minute)
		mustCall(t, c, "CurrentTime", serviceInstance)
		l.expect(t, 2, 1)
		tr.Close()
	})
}

func TestFileServiceIsLoggedInToo(t *testing.T) {
	l := newLab(t)
	c, _ := l.client(t, tokensource.Static(bearer()))
	put := func(body string) int {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://vc.example.test/folder/x.iso", strings.NewReader(body))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for range 2 {
		if status := put(strings.Repeat("x", 900<<10)); status != http.StatusCreated {
			t.Errorf("status %d", status)
		}
		l.vsphere.Kill() // the server then answers 401 before it has read the body
	}
	l.expect(t, 2, 0)
}

func TestViewOfADeadSessionIsReportedLost(t *testing.T) {
	l := newLab(t)
	c, _ := l.client(t, tokensource.Static(bearer()))
	text := mustCall(t, c, "CreateContainerView", `<_this type="ViewManager">ViewManager</_this>`)
	_, view, _ := strings.Cut(text, `type="ContainerView">`)
	view, _, ok := strings.Cut(view, "<")
	if !ok || !strings.HasPrefix(view, "session[") {
		t.Fatalf("no view in %s", text)
	}
	l.vsphere.Kill()
	status, text, err := call(t.Context(), c, "DestroyView", `<_this type="ContainerView">`+view+`</_this>`)
	if err != nil || status != 500 || !strings.Contains(text, "NotAuthenticated") {
		t.Errorf("status %d, error %v, %s: want the server's refusal", status, err, text)
	}
	if n := l.vsphere.Calls("DestroyView"); n != 1 {
		t.Errorf("sent %d times, want once: the view died with its session", n)
	}
	mustCall(t, c, "CurrentTime", serviceInstance)
	l.expect(t, 2, 1)
}

func TestCallersOwnLoginIsRefused(t *testing.T) {
	l := newLab(t)
	c, _ := l.client(t, tokensource.Static(bearer()))
	for _, op := range []string{"Login", "LoginByToken", "CloneSession"} {
		if _, _, err := call(t.Context(), c, op, `<_this type="SessionManager">SessionManager</_this>`); !errors.Is(err, vmsso.ErrOwnLogin) {
			t.Errorf("%s: %v, want ErrOwnLogin", op, err)
		}
	}
	mustCall(t, c, "CurrentTime", serviceInstance)
	mustCall(t, c, "Logout", `<_this type="SessionManager">SessionManager</_this>`)
	l.expect(t, 1, 0)
	mustCall(t, c, "CurrentTime", serviceInstance)
	l.expect(t, 2, 1)
}

func TestServerThatSetsNoCookieIsAnError(t *testing.T) {
	l := newLab(t)
	l.vsphere.Inject("RetrieveServiceContent", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(noCookies{w}, r)
	})
	l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(message("LoginByTokenResponse", "<returnval><key>1</key></returnval>")))
	})
	c, _ := l.client(t, tokensource.Static(bearer()))
	_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
	if err == nil || !strings.Contains(err.Error(), "LoginByToken: the server accepted the token but set no session cookie") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

type noCookies struct{ http.ResponseWriter }

func (w noCookies) WriteHeader(status int) {
	w.Header().Del("Set-Cookie")
	w.ResponseWriter.WriteHeader(status)
}
func (w noCookies) Write(b []byte) (int, error) {
	w.Header().Del("Set-Cookie")
	return w.ResponseWriter.Write(b)
}

func TestLocaleArrivesAsItIs(t *testing.T) {
	l := newLab(t)
	for _, tc := range []struct {
		locale string
		ok     bool
	}{{"", true}, {"en_US", true}, {`a"b&c<d>'`, true}, {"a\x01b", false}} {
		c, tr := l.client(t, tokensource.Static(holderOfKey(rsaPair())), func(cfg *vmsso.Config) {
			cfg.Auth = &soap.Authenticator{Locale: tc.locale}
		})
		before := l.vsphere.Calls("RetrieveServiceContent")
		_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
		if (err == nil) != tc.ok {
			t.Errorf("locale %q: %v; the server says %q", tc.locale, err, l.vsphere.Reasons())
		}
		if tc.ok && l.logins[len(l.logins)-1].Locale != tc.locale {
			t.Errorf("locale %q arrived as %q", tc.locale, l.logins[len(l.logins)-1].Locale)
		}
		if !tc.ok && l.vsphere.Calls("RetrieveServiceContent") != before {
			t.Errorf("locale %q was refused after something had been sent", tc.locale)
		}
		tr.Close()
	}
}
