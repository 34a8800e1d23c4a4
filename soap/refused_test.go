package soap_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestTokensThatTheServerRefuses(t *testing.T) {
	stranger := vmssotest.NewAuthority()
	for _, tc := range []struct {
		name string
		tok  *vmsso.Token
	}{
		{"another issuer", &vmsso.Token{Assertion: stranger.Issue(vmssotest.Claims{Subject: user})}},
		{"altered", &vmsso.Token{Assertion: strings.Replace(bearer().Assertion, "alice", "malic", 1)}},
		{"expired an hour ago", &vmsso.Token{
			Assertion: bearer(func(c *vmssotest.Claims) {
				c.NotBefore, c.NotOnOrAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			}).Assertion,
			Expires: time.Now().Add(time.Hour), // or it would not be sent
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			c, _ := l.client(t, tokensource.Static(tc.tok))
			for range 5 {
				_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
				var le *vmsso.LoginError
				if !errors.Is(err, vmsso.ErrRejected) || !errors.As(err, &le) || le.Stage != "LoginByToken" || le.Status != 500 {
					t.Errorf("got %v, want ErrRejected at LoginByToken", err)
				}
			}
			if n := l.vsphere.Refused(); n != 1 {
				t.Errorf("the server refused %d logins, want 1: the token must not be offered again", n)
			}
		})
	}
}

// TestTamperingOnTheWayIsRefused flips one byte of the login message.
func TestTamperingOnTheWayIsRefused(t *testing.T) {
	for name, part := range map[string]string{
		"body":              "SessionManager</_this>",
		"created":           "<wsu:Created>2",
		"token":             "solution@",
		"message signature": "</ds:SignatureValue><ds:KeyInfo><wsse:",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			flipped := false
			c, _ := l.client(t, tokensource.Static(holderOfKey(rsaPair())), func(cfg *vmsso.Config) {
				cfg.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
					body, err := io.ReadAll(req.Body)
					if err != nil {
						return nil, err
					}
					if i := bytes.LastIndex(body, []byte(part)); bytes.Contains(body, []byte("<LoginByToken")) && i > 0 {
						at := i - 4 // the last characters of a signature value, or what stands before
						if part[0] != '<' || part[1] != '/' {
							at = i + len(part) - 10
						}
						if name == "created" {
							at = i + len(part) + 2
						}
						if body[at] == '1' {
							body[at] = '2'
						} else {
							body[at] = '1'
						}
						flipped = true
					}
					req = req.Clone(req.Context())
					req.Body = io.NopCloser(bytes.NewReader(body))
					return l.base.RoundTrip(req)
				})
			})
			_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
			if !flipped {
				t.Fatal("nothing was flipped")
			}
			if !errors.Is(err, vmsso.ErrRejected) || l.vsphere.Refused() != 1 || l.vsphere.Logins() != 0 {
				t.Errorf("got %v, %d refused, %d logins: %q", err, l.vsphere.Refused(), l.vsphere.Logins(), l.vsphere.Reasons())
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestUnusableTokenIsRefusedBeforeAnythingIsSent(t *testing.T) {
	other := otherPair()
	hok := holderOfKey(rsaPair())
	for _, tc := range []struct {
		name string
		tok  *vmsso.Token
		want error
	}{
		{"key of another token", &vmsso.Token{Assertion: hok.Assertion, Key: other.PrivateKey.(crypto.Signer)}, vmsso.ErrUnsupportedKey},
		{"holder-of-key without key", &vmsso.Token{Assertion: hok.Assertion}, vmsso.ErrUnsupportedKey},
		{"bearer with key", &vmsso.Token{Assertion: bearer().Assertion, Key: hok.Key}, vmsso.ErrUnsupportedKey},
		{"no SAML", &vmsso.Token{Assertion: "<password>s3cr3t</password>"}, vmsso.ErrUnsupportedToken},
		{"no XML", &vmsso.Token{Assertion: "s3cr3t"}, vmsso.ErrUnsupportedToken},
		{"two assertions", &vmsso.Token{Assertion: bearer().Assertion + bearer().Assertion}, vmsso.ErrUnsupportedToken},
		{"injection", &vmsso.Token{Assertion: bearer().Assertion + "</wsse:Security><evil/>"}, vmsso.ErrUnsupportedToken},
		{"expired", bearer(func(c *vmssotest.Claims) {
			c.NotBefore, c.NotOnOrAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), vmsso.ErrTokenExpired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t)
			sent := 0
			base := func(cfg *vmsso.Config) {
				cfg.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
					sent++
					return l.base.RoundTrip(req)
				})
			}
			own := sourceFunc(func(context.Context) (*vmsso.Token, error) { return tc.tok, nil })
			sources := map[string]vmsso.TokenSource{"Static": tokensource.Static(tc.tok), "own source": own}
			if errors.Is(tc.want, vmsso.ErrTokenExpired) {
				delete(sources, "own source") // it has not set Expires: the server decides
			}
			for name, source := range sources {
				c, _ := l.client(t, source, base)
				_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
				if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "s3cr3t") || sent != 0 {
					t.Errorf("%s: got %v after %d requests, want %v and none", name, err, sent, tc.want)
				}
			}
		})
	}
}

// TestFaultTextWithTheTokenIsRedacted: a server, or somebody before it, echoes
// what it was sent.
func TestFaultTextWithTheTokenIsRedacted(t *testing.T) {
	l := newLab(t)
	tok := bearer()
	l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(500)
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace("cannot parse " + tok.Assertion[100:180])
		_, _ = io.WriteString(w, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>x</faultcode><faultstring>`+text+`</faultstring></Fault></Body></Envelope>`)
	})
	c, _ := l.client(t, tokensource.Static(tok))
	_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
	if err == nil || strings.Contains(err.Error(), tok.Assertion[120:140]) || !strings.Contains(err.Error(), "cannot parse [redacted]") {
		t.Errorf("got %v, want the server's words without the token", err)
	}
}
