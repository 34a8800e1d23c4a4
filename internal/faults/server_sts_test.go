package faults_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 31: the token service cannot sign, because its own certificate has expired. It says so by the code that it has for clocks as well; the error
// tells the operator what to renew, and neither the credentials nor the clocks are blamed.
func TestExpiredSTSCertificateIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		l.sts.Inject("Issue", 1, soapFault("ns0:InvalidTimeRange", "Signing certificate is not valid at 2000-01-01", ""))
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		for range 2 {
			_, _, err := currentTime(t.Context(), c)
			if !errors.Is(err, vmsso.ErrSTSCertificate) || errors.Is(err, vmsso.ErrClockSkew) || errors.Is(err, vmsso.ErrRejected) {
				t.Fatalf("error %v", err)
			}
			if text := err.Error(); !strings.Contains(text, "renew the signing certificate") || !strings.Contains(text, "get a token from "+vcHost) {
				t.Errorf("the error tells too little: %v", err)
			}
		}
		if n := l.vsphere.Calls("RetrieveServiceContent"); n != 0 || l.sts.Requests() != 1 {
			t.Errorf("%d logins, %d requests for a token, want 0 and 1: it takes a person to mend", n, l.sts.Requests())
		}
		time.Sleep(3 * time.Minute)
		must(t, currentTime, c) // it has been renewed
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 32: the clock of the token service is further off than it tolerates. The error says by how much and in which direction; the credentials are
// not counted as refused, and nothing is repeated with another time.
func TestClockOfTheTokenServiceIsMeasured(t *testing.T) {
	for _, tc := range []struct {
		name   string
		offset time.Duration
		says   string
	}{
		{"ahead", 25 * time.Minute, "the server's clock is 25m0s ahead"},
		{"behind", -3 * time.Hour, "the server's clock is 3h0m0s behind"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				now := func() time.Time { return time.Now().Add(tc.offset) }
				l := newLab(t, func(cfg *labConfig) { cfg.sts.Now = now })
				l.sts.Inject("", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
					next.ServeHTTP(w, r)
				})
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
				_, _, err := currentTime(t.Context(), c)
				if !errors.Is(err, vmsso.ErrClockSkew) || errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("error %v", err)
				}
				if le := loginError(err); le.ClockOffset != tc.offset || le.Stage != "Issue" {
					t.Errorf("offset %v at stage %s, want %v at Issue", le.ClockOffset, le.Stage, tc.offset)
				}
				if l.sts.Requests() != 1 || l.sts.Failures() != 0 {
					t.Errorf("%d requests for a token, %d failures, want 1 and 0", l.sts.Requests(), l.sts.Failures())
				}
				expect(t, l.vsphere, 0, 0)
			})
		})
	}
}

// Fault 33: the certificate of the solution user is not registered, as after a renewal. It is offered once, and the error says that the token service
// refused it; the certificate that is registered is offered at once.
func TestUnregisteredCertificateIsOfferedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		pair := otherPair()
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Certificate: &pair}, nil
		}}))
		for range 20 {
			_, _, err := currentTime(t.Context(), c)
			le := loginError(err)
			if !errors.Is(err, vmsso.ErrRejected) || le.Stage != "Issue" || !strings.Contains(le.Fault, "FailedAuthentication") {
				t.Fatalf("error %v", err)
			}
			time.Sleep(8 * time.Second)
		}
		if l.sts.Failures() != 1 || l.sts.Requests() != 1 || !strings.Contains(l.sts.Reasons()[0], "not registered") {
			t.Errorf("%d failures of %d requests, want one of one: %q", l.sts.Failures(), l.sts.Requests(), l.sts.Reasons())
		}
		pair = rsaPair()
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 34: a fault that nobody knows. Its code and reason are in the error, short and without the password that the server echoes; it is no refusal of
// the credentials.
func TestUnknownFaultIsQuotedWithoutSecrets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		echo := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(password)
		reason := "The request failed for " + echo + "&#13;&#10;" + strings.Repeat(" and so on", 10_000)
		l.sts.Inject("Issue", 1, soapFault("ns0:RequestFailed", reason, ""))
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		_, _, err := currentTime(t.Context(), c)
		le := loginError(err)
		if le == nil || errors.Is(err, vmsso.ErrRejected) || !strings.HasPrefix(le.Fault, "RequestFailed: The request failed for ") {
			t.Fatalf("error %v", err)
		}
		if s := err.Error(); strings.Contains(s, "s3cr3t") || strings.ContainsAny(s, "\r\n") || len(s) > 600 {
			t.Errorf("%d bytes with the password, a line break or all of the reason: %q", len(s), s)
		}
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
	})
}

// Fault 35: vCenter refuses the token that the token service has just issued: it is one of another domain. The error tells the stages apart; two fresh
// tokens are tried, no third one.
func TestRefusalOfAFreshTokenNamesTheStage(t *testing.T) {
	foreign()
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(cfg *labConfig) { cfg.sts.Authority = foreign() })
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		for range 20 {
			_, _, err := currentTime(t.Context(), c)
			le := loginError(err)
			if !errors.Is(err, vmsso.ErrRejected) || le.Stage != "LoginByToken" || !strings.HasPrefix(le.Fault, "InvalidLogin: ") {
				t.Fatalf("error %v", err)
			}
			if !strings.HasPrefix(le.Error(), "vmsso: log in to "+vcHost+": LoginByToken: ") {
				t.Errorf("the error does not begin with where it was: %v", le)
			}
			time.Sleep(8 * time.Second)
		}
		if l.sts.Issued() != 2 || l.vsphere.Refused() != 2 || l.sts.Failures() != 0 {
			t.Errorf("%d tokens, %d refused logins, %d failures, want 2, 2 and 0", l.sts.Issued(), l.vsphere.Refused(), l.sts.Failures())
		}
		expect(t, l.vsphere, 0, 0)
	})
}

// Fault 48: all servers are nine minutes off, which they tolerate. Nothing is corrected and nothing fails.
func TestToleratedClocksNeedNoCorrection(t *testing.T) {
	for _, offset := range []time.Duration{9 * time.Minute, -9 * time.Minute} {
		for _, sys := range systems {
			for _, pair := range []*tls.Certificate{nil, new(rsaPair())} {
				bubble(t, func(t *testing.T) {
					now := func() time.Time { return time.Now().Add(offset) }
					var issued []vmssotest.Issued
					l := newLab(t, func(cfg *labConfig) {
						cfg.sts.Now, cfg.vsphere.Now, cfg.automation.Now, cfg.director.Now = now, now, now, now
						cfg.sts.OnIssue = func(i vmssotest.Issued) { issued = append(issued, i) }
					})
					server := sys.server(l)
					c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{Username: user, Password: password, Certificate: pair}))
					must(t, sys.call, c)
					server.Kill()
					must(t, sys.call, c)
					expect(t, server, 2, 1)
					if server.Refused() != 0 || l.sts.Requests() != 2 || len(issued) != 2 {
						t.Fatalf("%s at %v: %d refused, %d requests for a token", sys.name, offset, server.Refused(), l.sts.Requests())
					}
					if ours := ">" + time.Now().UTC().Format("2006-01-02T15:04"); !strings.Contains(string(issued[1].Message), ours) {
						t.Errorf("%s at %v: the second request has not the time of this machine", sys.name, offset)
					}
				})
			}
		}
	}
}
