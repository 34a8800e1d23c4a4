package tokensource_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user     = "alice@vsphere.local"
	password = `p<&>"'s3cr3t`
	stsURL   = "https://vc.example.test/sts/STSService/vsphere.local"
)

// An stsLab is a token service in memory.
type stsLab struct {
	net    *vmssotest.Network
	sts    *vmssotest.STS
	base   *http.Transport
	pair   tls.Certificate
	issued []vmssotest.Issued
}

// newSTSLab may run in a synctest bubble: it is given what takes long to make.
func newSTSLab(t *testing.T, authority *vmssotest.Authority, pair tls.Certificate) *stsLab {
	t.Helper()
	l := &stsLab{pair: pair}
	l.sts = vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     authority,
		Users:         map[string]string{user: password},
		SolutionUsers: map[string]*x509.Certificate{"solution": pair.Leaf},
		OnIssue:       func(i vmssotest.Issued) { l.issued = append(l.issued, i) },
	})
	net := vmssotest.NewNetwork()
	net.Serve("vc.example.test", l.sts)
	l.net, l.base = net, net.Transport()
	t.Cleanup(func() {
		l.base.CloseIdleConnections()
		net.Close()
	})
	return l
}

func (l *stsLab) source(t *testing.T, cfg tokensource.STSConfig) *tokensource.STS {
	t.Helper()
	cfg.URL, cfg.Base = stsURL, l.base
	s, err := tokensource.NewSTS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSTSIssuesByWhatTheClientHas(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	for _, tc := range []struct {
		name     string
		cfg      tokensource.STSConfig
		subject  string
		holder   bool
		lifetime time.Duration
	}{
		{"password", tokensource.STSConfig{Username: user, Password: password}, user, false, 5 * time.Minute},
		{"certificate", tokensource.STSConfig{Certificate: &l.pair}, "solution", true, 10 * time.Minute},
		{"both", tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair}, user, true, 10 * time.Minute},
		{"a day", tokensource.STSConfig{Certificate: &l.pair, Lifetime: 24 * time.Hour}, "solution", true, 24 * time.Hour},
		{"function", tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Username: user, Password: password}, nil
		}}, user, false, 5 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tok, err := l.source(t, tc.cfg).Token(t.Context())
			if err != nil {
				t.Fatalf("%v; the service says %q", err, l.sts.Reasons())
			}
			i := l.issued[len(l.issued)-1]
			if tok.Assertion != i.Assertion {
				t.Error("the assertion is not what was sent, byte for byte")
			}
			if !strings.HasPrefix(i.Subject, tc.subject) || !i.Delegatable || i.Renewable {
				t.Errorf("issued for %q, delegatable %t, renewable %t", i.Subject, i.Delegatable, i.Renewable)
			}
			if (tok.Key != nil) != tc.holder || tc.holder != (i.Holder != nil) {
				t.Errorf("key %t, holder %t, want %t", tok.Key != nil, i.Holder != nil, tc.holder)
			}
			if life := time.Until(tok.Expires); life > tc.lifetime || life < tc.lifetime-time.Minute {
				t.Errorf("expires in %v, want %v", life, tc.lifetime)
			}
			if _, err := signer.New(signer.Credentials{Token: tok}); err != nil {
				t.Errorf("the token is of no use: %v", err)
			}
		})
	}
}

// TestLifetimeOfTheAnswerDecides: vcsim's STS answers with an assertion of 2018.
func TestLifetimeOfTheAnswerDecides(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	lifetime := regexp.MustCompile(`(?s)<[a-z]*:?Lifetime.*?Lifetime>`)
	for _, tc := range []struct{ name, with, want string }{
		{"it is there", `<L:Lifetime xmlns:L="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><Expires>2099-01-02T03:04:05.678Z</Expires></L:Lifetime>`, "2099-01-02T03:04:05Z"},
		{"it is not", "", ""},
		{"it is no time", `<Lifetime><Expires>tomorrow</Expires></Lifetime>`, "error"},
	} {
		l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			w.Header().Set("Content-Type", "text/xml")
			_, _ = w.Write(lifetime.ReplaceAll(rec.Body.Bytes(), []byte(tc.with)))
		})
		tok, err := l.source(t, tokensource.STSConfig{Username: user, Password: password}).Token(t.Context())
		if tc.want == "error" {
			if err == nil {
				t.Errorf("%s: no error", tc.name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := cmp.Or(tc.want, l.issued[len(l.issued)-1].NotOnOrAfter.UTC().Format(time.RFC3339))
		if got := tok.Expires.UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s: expires %s, want %s", tc.name, got, want)
		}
	}
}

func TestWrongPasswordIsSentOnce(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, pair)
		given := "wr0ng-s3cr3t"
		s := l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Username: user, Password: given}, nil
		}})
		for range 20 {
			_, err := s.Token(t.Context())
			var le *vmsso.LoginError
			if !errors.Is(err, vmsso.ErrRejected) || !errors.As(err, &le) || le.Stage != "Issue" || le.RetryAfter <= 0 {
				t.Errorf("got %v, want ErrRejected at Issue", err)
			}
		}
		if n := l.sts.Failures(); n != 1 || l.sts.Locked(user) {
			t.Errorf("%d failures at the service, locked %t, want 1 and false", n, l.sts.Locked(user))
		}
		given = password // others are sent at once
		if _, err := s.Token(t.Context()); err != nil {
			t.Errorf("the right password: %v", err)
		}
		given = "wr0ng-s3cr3t"
		time.Sleep(3 * time.Minute)
		if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) || l.sts.Failures() != 2 {
			t.Errorf("after the wait: %v with %d failures, want one more try", err, l.sts.Failures())
		}
	})
}

func TestLockedAccountIsLeftAloneForLonger(t *testing.T) {
	authority, pair := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, pair)
		for i := range 5 { // somebody else
			_, _ = l.source(t, tokensource.STSConfig{Username: user, Password: strings.Repeat("x", i+1)}).Token(t.Context())
		}
		s := l.source(t, tokensource.STSConfig{Username: user, Password: password})
		_, err := s.Token(t.Context())
		if !errors.Is(err, vmsso.ErrLocked) || !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "wait until the lock ends") {
			t.Errorf("got %v, want ErrLocked with advice", err)
		}
		asked := l.sts.Requests()
		time.Sleep(14 * time.Minute)
		if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrLocked) || l.sts.Requests() != asked {
			t.Errorf("after 14 minutes: %v, %d requests more, want ErrLocked and none", err, l.sts.Requests()-asked)
		}
		time.Sleep(time.Minute)
		if _, err := s.Token(t.Context()); err != nil {
			t.Errorf("after 15 minutes: %v", err)
		}
	})
}

func TestFaultsOfTheSTS(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	stranger := vmssotest.NewKeyPair("stranger", nil)
	for _, tc := range []struct {
		name, code, text string
		cfg              tokensource.STSConfig
		want             error
	}{
		{name: "unknown certificate", cfg: tokensource.STSConfig{Certificate: &stranger}, want: vmsso.ErrRejected},
		{"clock", "ns0:InvalidTimeRange", "The token authority rejected an issue request for TimePeriod", tokensource.STSConfig{}, vmsso.ErrClockSkew},
		{"STS certificate", "ns0:InvalidTimeRange", "Signing certificate is not valid at Mon", tokensource.STSConfig{}, vmsso.ErrSTSCertificate},
		{"password expired", "ns0:FailedAuthentication", "User password expired", tokensource.STSConfig{}, vmsso.ErrPasswordExpired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.code != "" {
				tc.cfg.Username, tc.cfg.Password = user, password
				l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
					w.Header().Set("Content-Type", "text/xml")
					w.WriteHeader(500)
					_, _ = w.Write([]byte(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/"><faultcode>` + tc.code + `</faultcode><faultstring>` + tc.text + ` for p&lt;&amp;>"'s3cr3t</faultstring></S:Fault></S:Body></S:Envelope>`))
				})
			}
			_, err := l.source(t, tc.cfg).Token(t.Context())
			var le *vmsso.LoginError
			if !errors.Is(err, tc.want) || !errors.As(err, &le) || le.Stage != "Issue" || le.Endpoint != "vc.example.test" || le.Status != 500 || le.Fault == "" {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v shows the password", err)
			}
		})
	}
}

func TestBadSTSConfigIsRefused(t *testing.T) {
	pair := vmssotest.NewKeyPair("solution", nil)
	expired := vmssotest.NewKeyPairBetween("old", nil, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour))
	wrapped, err := vmsso.New(vmsso.Config{Endpoint: "https://vc.example.test", Source: tokensource.Static(nil), Auth: noAuth{}})
	if err != nil {
		t.Fatal(err)
	}
	base := tokensource.STSConfig{URL: stsURL, Username: user, Password: password}
	for _, tc := range []struct {
		name   string
		change func(*tokensource.STSConfig)
		want   string
	}{
		{"no URL", func(c *tokensource.STSConfig) { c.URL = "" }, "STSConfig.URL is missing"},
		{"plain http", func(c *tokensource.STSConfig) { c.URL = "http://vc.example.test/sts" }, "use https"},
		{"password in the URL", func(c *tokensource.STSConfig) { c.URL = "https://a:s3cr3t@vc.example.test" }, "credentials belong to the token source"},
		{"no credentials", func(c *tokensource.STSConfig) { c.Username, c.Password = "", "" }, "give a token, a certificate, or a user name and password"},
		{"no password", func(c *tokensource.STSConfig) { c.Password = "" }, "give both"},
		{"control character", func(c *tokensource.STSConfig) { c.Password = "a\x01b" }, "control character"},
		{"fixed and function", func(c *tokensource.STSConfig) {
			c.Credentials = func(context.Context) (signer.Credentials, error) { return signer.Credentials{}, nil }
		}, "give one"},
		{"expired certificate", func(c *tokensource.STSConfig) { c.Certificate = &expired }, "valid from"},
		{"certificate without key", func(c *tokensource.STSConfig) {
			c.Certificate = &tls.Certificate{Certificate: pair.Certificate}
		}, "private key"},
		{"negative lifetime", func(c *tokensource.STSConfig) { c.Lifetime = -1 }, "negative"},
		{"wrapped transport", func(c *tokensource.STSConfig) { c.Base = wrapped }, "give the transport below it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := base
			tc.change(&cfg)
			if _, err := tokensource.NewSTS(cfg); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

// noAuth is an Authenticator that is never asked.
type noAuth struct{ vmsso.Authenticator }
