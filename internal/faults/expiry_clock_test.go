package faults_test

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A serverClock is ahead of the clock of the client, which cannot be set.
type serverClock struct{ ahead atomic.Int64 }

func (c *serverClock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }
func (c *serverClock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }

// dated answers with the date of that clock.
func (c *serverClock) dated(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		h.ServeHTTP(w, r)
	})
}

// newClockLab returns a lab whose vCenter has a clock of its own. Its sessions last for days.
func newClockLab(t *testing.T, change ...func(*labConfig)) (*lab, *serverClock) {
	t.Helper()
	clock := &serverClock{}
	l := newLab(t, append(change, func(c *labConfig) {
		c.sts.Now, c.vsphere.Now, c.automation.Now = clock.now, clock.now, clock.now
		c.vsphere.Idle = 100 * time.Hour
	})...)
	l.net.Serve(vcHost, clock.dated(l.vcenter))
	return l, clock
}

// Fault 56: a clock jumps by hours, and the machine is suspended for a night.
func TestClockThatJumpsEndsNoSession(t *testing.T) {
	for _, jump := range []time.Duration{8 * time.Hour, -8 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, clock := newClockLab(t)
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
				must(t, currentTime, c)
				clock.set(jump)
				for range 10 {
					must(t, currentTime, c)
				}
				expect(t, l.vsphere, 1, 1)

				l.vsphere.Kill()
				for range 10 {
					_, _, err := currentTime(t.Context(), c)
					if le := loginError(err); !errors.Is(err, vmsso.ErrClockSkew) || le.ClockOffset != jump {
						t.Errorf("got %v, want ErrClockSkew and the offset %v", err, jump)
					}
				}
				if n := l.vsphere.Calls("RetrieveServiceContent"); n != 1 || l.sts.Failures() != 0 {
					t.Errorf("%d logins begun, %d failures of the account, want 1 and none", n, l.sts.Failures())
				}
				clock.set(0)
				must(t, currentTime, c) // at once: a wrong clock is no refusal
				expect(t, l.vsphere, 2, 1)

				time.Sleep(8 * time.Hour) // suspended: connections and session are gone on resume
				l.vsphere.Kill()
				l.net.Stop(vcHost)
				l.net.Serve(vcHost, clock.dated(l.vcenter))
				synctest.Wait()
				must(t, currentTime, c)
				expect(t, l.vsphere, 3, 1)
			})
		})
	}
}

// Fault 57: the clocks differ by a little, by almost the servers' 10 minutes, and by more.
func TestClockSkewIsToleratedOrMeasuredButNotCorrected(t *testing.T) {
	for _, skew := range []time.Duration{time.Minute, -time.Minute, 9 * time.Minute, -9 * time.Minute, 11 * time.Minute, -11 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { loginWithSkew(t, skew) })
		})
	}
	t.Run("a service that gives tokens their time by its own clock", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l, clock := newClockLab(t)
			clock.set(-9 * time.Minute) // its token, which lives for 5, has expired by our clock
			l.sts.Inject("Issue", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				body, _ := io.ReadAll(r.Body)
				body = regexp.MustCompile(`<wst:Lifetime>.*</wst:Lifetime>`).ReplaceAll(body, nil)
				r.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(w, r)
			})
			c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
			must(t, currentTime, c)
			expect(t, l.vsphere, 1, 1)
		})
	})
	t.Run("a server that says InvalidLogin", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			l, clock := newClockLab(t)
			clock.set(-11 * time.Minute)
			c, _ := l.soap(t, tokensource.Static(bearer(func(c *vmssotest.Claims) { c.NotBefore = time.Now().Add(-30 * time.Minute) })))
			_, _, err := currentTime(t.Context(), c)
			if le := loginError(err); !errors.Is(err, vmsso.ErrRejected) || le.ClockOffset != -11*time.Minute {
				t.Errorf("got %v, want ErrRejected, from which the offset can be read", err)
			}
			if reasons := l.vsphere.Reasons(); len(reasons) != 1 || !strings.Contains(reasons[0], "Timestamp") {
				t.Errorf("refused %q, want once because of the time", reasons)
			}
		})
	})
}

func loginWithSkew(t *testing.T, skew time.Duration) {
	l, clock := newClockLab(t)
	clock.set(skew)
	created := "<wsu:Created>" + time.Now().UTC().Add(-5*time.Second).Format("2006-01-02T15:04:05.000Z") // by our clock
	ours := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if body, err := io.ReadAll(r.Body); err != nil || !bytes.Contains(body, []byte(created)) {
			t.Errorf("the message for %s was not created at %s", r.Header.Get("Soapaction"), created)
		}
		next.ServeHTTP(w, r)
	}
	l.sts.Inject("Issue", -1, ours)
	l.vsphere.Inject("LoginByToken", -1, ours)
	c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	if skew.Abs() < 10*time.Minute {
		must(t, currentTime, c)
		expect(t, l.vsphere, 1, 1)
		return
	}
	for range 3 {
		_, _, err := currentTime(t.Context(), c)
		if le := loginError(err); !errors.Is(err, vmsso.ErrClockSkew) || le.Stage != "Issue" || le.ClockOffset != skew {
			t.Errorf("got %v, want ErrClockSkew of Issue with the offset", err)
		}
	}
	if n := l.sts.Requests(); n != 3 || l.sts.Failures() != 0 {
		t.Errorf("%d requests for a token, %d failures of the account, want one for each call and none", n, l.sts.Failures())
	}
	expect(t, l.vsphere, 0, 0)
}

// Fault 58: a local time zone with half hours, times without a fraction, and times in what we read that no clock shows.
func TestTimesAreWrittenInUTCAndReadStrictly(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("half", 5*3600+1800)
	defer func() { time.Local = local }()
	bubble(t, func(t *testing.T) {
		var messages []string
		l := newLab(t, func(c *labConfig) {
			c.sts.OnIssue = func(i vmssotest.Issued) { messages = append(messages, string(i.Message)) }
			c.vsphere.OnLogin = func(l vmssotest.Login) { messages = append(messages, string(l.Message)) }
		})
		time.Sleep(time.Second) // and no millisecond
		pair := rsaPair()
		c, tr := l.soap(t, l.source(t, tokensource.STSConfig{Certificate: &pair}))
		must(t, currentTime, c)
		times := regexp.MustCompile(`<wsu:(?:Created|Expires)>([^<]*)<`).FindAllStringSubmatch(strings.Join(messages, ""), -1)
		if len(times) != 6 { // a Timestamp in each message, and the Lifetime that is asked for
			t.Errorf("%d times, want 6", len(times))
		}
		for _, at := range times {
			if !regexp.MustCompile(`^1999-12-31T23:59:56\.000Z$|^2000-01-01T00:(09:56|00:01|10:01)\.000Z$`).MatchString(at[1]) {
				t.Errorf("time %q, want UTC with milliseconds and Z", at[1])
			}
		}
		tr.Close()
		readStrictly(t, l)
	})
}

// readStrictly lets leap seconds and 24:00 come from the token service and in assertions.
func readStrictly(t *testing.T, l *lab) {
	t.Helper()
	logins := l.vsphere.Calls("RetrieveServiceContent")
	for _, at := range []string{"2000-12-31T23:59:60.000Z", "2000-12-31T24:00:00.000Z", "2000-12-31T23:59:59.000", "2000-12-31"} {
		l.sts.Inject("Issue", 1, spoilt(func(a *httptest.ResponseRecorder) {
			body := regexp.MustCompile(`<wsu:Expires>[^<]*`).ReplaceAllString(a.Body.String(), "<wsu:Expires>"+at)
			a.Body.Reset()
			a.Body.WriteString(body)
		}))
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		if _, _, err := currentTime(t.Context(), c); err == nil || !strings.Contains(err.Error(), "is not a time") {
			t.Errorf("Lifetime until %s: %v", at, err)
		}
		for _, name := range []string{"NotBefore", "NotOnOrAfter"} {
			tok := bearer()
			tok.Assertion = regexp.MustCompile(name+`="[^"]*"`).ReplaceAllString(tok.Assertion, name+`="`+at+`"`)
			c, _ := l.soap(t, tokensource.Static(tok))
			if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrUnsupportedToken) {
				t.Errorf("%s %s: %v, want ErrUnsupportedToken", name, at, err)
			}
		}
	}
	if n := l.vsphere.Calls("RetrieveServiceContent"); n != logins {
		t.Errorf("%d logins were begun", n-logins)
	}
}

// Fault 62: the client's certificate is not yet valid, has expired, or expires between two logins.
func TestCertificateOutsideItsTimeSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		pair := vmssotest.NewKeyPairBetween("solution", rsaPair().PrivateKey.(crypto.Signer), start.Add(time.Hour), start.Add(3*time.Hour))
		l := newLab(t, func(c *labConfig) { c.sts.SolutionUsers["solution"] = pair.Leaf })
		unusable := func(when string) {
			t.Helper()
			_, err := tokensource.NewSTS(tokensource.STSConfig{URL: vcURL, Base: l.base, Certificate: &pair})
			if !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), "is valid from 2000-01-01T01:00:00Z to 2000-01-01T03:00:00Z only") {
				t.Errorf("%s: %v, want ErrUnsupportedKey and the times", when, err)
			}
		}
		unusable("too early")
		time.Sleep(2 * time.Hour)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Certificate: &pair}))
		must(t, currentTime, c)
		time.Sleep(2 * time.Hour)
		unusable("too late")
		for range 3 {
			if _, _, err := currentTime(t.Context(), c); !errors.Is(err, vmsso.ErrUnsupportedKey) {
				t.Errorf("the next login: %v, want ErrUnsupportedKey", err)
			}
		}
		if n := l.sts.Requests(); n != 1 || l.sts.Failures() != 0 {
			t.Errorf("%d requests for a token, want that of the first login alone", n)
		}
		expect(t, l.vsphere, 1, 0)
	})
}
