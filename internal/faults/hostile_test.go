package faults_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/lookup"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A watch notes the Authorization fields that servers get.
type watch struct {
	mu   sync.Mutex // guards seen
	seen []string
}

func (s *watch) over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Header["Authorization"]...)
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// Fault 106: the server says 401 and asks for a password, for NTLM and the like, at the login and for every call. Nobody gives it any: what it gets is
// the signed token as before, as seldom as any refusal allows, and once its demands end the work goes on.
func TestOtherSchemesThatTheServerAsksForAreIgnored(t *testing.T) {
	onEverySystem(t, func(t *testing.T, sys system) {
		l := newLab(t)
		seen := &watch{}
		l.net.Serve(vcHost, seen.over(l.vcenter))
		l.net.Serve(vcdHost, seen.over(l.director))
		s := sys.server(l)
		asks := instead(http.StatusUnauthorized, "text/html", "<h1>401</h1>", "WWW-Authenticate", `Negotiate, NTLM, Digest realm="vc", nonce="1", Basic realm="vc"`)
		s.Inject(sys.login, -1, asks)
		c, _ := sys.client(l, t, tokensource.Static(holder(rsaPair())))
		for range 5 {
			if _, _, err := sys.call(t.Context(), c); loginError(err) == nil || loginError(err).Status != http.StatusUnauthorized {
				t.Errorf("at the login: got %v, want a LoginError with status 401", err)
			}
		}
		if n := s.Calls(sys.login); n != 1 {
			t.Errorf("%d logins were sent for 5 calls", n)
		}
		s.Inject(sys.login, 0, nil)
		time.Sleep(3 * time.Minute) // RefusedWait
		must(t, sys.call, c)

		s.Inject(sys.op, -1, asks)
		before, logins := s.Calls(sys.op), s.Logins()
		for range 5 {
			if status, text, err := sys.call(t.Context(), c); err != nil || status != http.StatusUnauthorized || text != "<h1>401</h1>" {
				t.Errorf("a call: got %d, %v, %q, want the server's 401", status, err, text)
			}
		}
		if n, more := s.Calls(sys.op)-before, s.Logins()-logins; n > 15 || more > 5 || more > 1 && sys.name != overSOAP.name { // SOAP's probe is the same operation
			t.Errorf("%d calls came of 5, and %d logins", n, more)
		}
		s.Inject(sys.op, 0, nil)
		synctest.Wait()
		must(t, sys.call, c)
		if n := s.Sessions(); n != 1 {
			t.Errorf("%d sessions are left", n)
		}
		for _, value := range seen.seen {
			scheme, _, _ := strings.Cut(value, " ")
			if scheme != "SIGN" && (scheme != "Bearer" || sys.name != onDirector.name) || scheme == "SIGN" && !strings.Contains(value, "signature=") {
				t.Errorf("the server got Authorization: %.40s…", value)
			}
		}
		if sys.name != overSOAP.name && len(seen.seen) == 0 {
			t.Error("the servers saw no Authorization at all: the test proves nothing")
		}
	})
}

// Fault 109: the server tries to make the client loop. Of "not authenticated" to everything come a few logins in half a minute and no heap
// of sessions; of Retry-After: 0 a floor under the waits; of one of thirty years no wait at all on a call and one of an hour on a login.
func TestServerCannotMakeTheClientLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
		must(t, currentTime, c)
		l.vsphere.Inject("CurrentTime", -1, soapFault("ServerFaultCode", "The session is not authenticated.", "NotAuthenticated")) // the probe as well
		for n := 1; n <= 100; n++ {
			if status, text, err := currentTime(t.Context(), c); err != nil || status != 500 || !strings.Contains(text, "NotAuthenticated") {
				t.Fatalf("got %d, %v, %.100s, want the fault", status, err, text)
			}
			time.Sleep(250 * time.Millisecond)
			if calls := l.vsphere.Calls("CurrentTime") - 1; calls > 3*n || l.vsphere.Logins() > 4 || l.vsphere.Sessions() > 1 {
				t.Fatalf("%d requests became %d with %d logins, %d sessions are left", n, calls, l.vsphere.Logins(), l.vsphere.Sessions())
			}
		}
		l.vsphere.Inject("CurrentTime", 0, nil)
		for _, tc := range []struct {
			retryAfter string
			sent       int
			least      time.Duration
			most       time.Duration
		}{
			{"0", 3, time.Second, time.Second},
			{"Thu, 01 Jan 1970 00:00:00 GMT", 3, time.Second, time.Second},
			{"-1", 3, 1500 * time.Millisecond, 3 * time.Second}, // no number: ignored
			{"1000000000", 1, 0, 0},
			{"99999999999999999999999", 1, 0, 0},
			{"Fri, 31 Dec 9999 23:59:59 GMT", 1, 0, 0},
		} {
			before := l.vsphere.Calls("CurrentTime")
			l.vsphere.Inject("CurrentTime", -1, instead(http.StatusServiceUnavailable, "text/plain", "busy", "Retry-After", tc.retryAfter))
			start := time.Now()
			status, _, err := currentTime(t.Context(), c)
			took, sent := time.Since(start), l.vsphere.Calls("CurrentTime")-before
			if err != nil || status != http.StatusServiceUnavailable || sent != tc.sent || took < tc.least || took > tc.most {
				t.Errorf("Retry-After: %s: %d, %v after %v and %d calls, want %d in %v to %v", tc.retryAfter, status, err, took, sent, tc.sent, tc.least, tc.most)
			}
			l.vsphere.Inject("CurrentTime", 0, nil)
		}
		for retryAfter, wait := range map[string]time.Duration{"0": 3 * time.Minute, "1000000000": time.Hour} {
			loginsOfAFullServer(t, l, retryAfter, wait)
		}
	})
}

// loginsOfAFullServer calls every second while the server says that it has no room.
func loginsOfAFullServer(t *testing.T, l *lab, retryAfter string, wait time.Duration) {
	t.Helper()
	c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	l.vsphere.Inject("RetrieveServiceContent", -1, instead(http.StatusServiceUnavailable, "text/plain", "Out of HTTP sessions", "Retry-After", retryAfter))
	before := l.vsphere.Calls("RetrieveServiceContent")
	for start := time.Now(); time.Since(start) < wait; time.Sleep(time.Second) {
		_, _, err := currentTime(t.Context(), c)
		if le := loginError(err); le == nil || le.RetryAfter <= 0 || le.RetryAfter > wait {
			t.Fatalf("Retry-After: %s: got %v, want a LoginError with a wait of %v at most", retryAfter, err, wait)
		}
	}
	if n := l.vsphere.Calls("RetrieveServiceContent") - before; n != 1 {
		t.Errorf("Retry-After: %s: %d logins were begun in %v, want 1", retryAfter, n, wait)
	}
	l.vsphere.Inject("RetrieveServiceContent", 0, nil)
	must(t, currentTime, c)
}

// Fault 110: the program is led to a lookalike: by a URL that begins with the right name, by the Lookup Service, by the login URL that a Cloud Director
// names, or by a URL with a password in it. The lookalike sees neither token nor session, and such URLs are refused before anything is sent.
func TestLookalikeHarvestsNothing(t *testing.T) {
	l := newLab(t, func(cfg *labConfig) { cfg.director.PublicURL = "https://evil.example.test" })
	evil := &stranger{}
	evil.serveOthers(l)
	l.net.Serve(vcHost+".", evil)
	c, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, c)
	urls := []string{vcURL + "./sdk", vcURL + "@evil.example.test/sdk", vcURL + ":443@evil.example.test/sdk", "https://evil.example.test/" + vcHost + "/sdk",
		"https://evil.example.test?" + vcURL, "https://evil.example.test/#@" + vcHost, "https://evil.example.test\\@" + vcHost + "/sdk"}
	led := 0
	for _, url := range urls {
		for _, host := range []string{"", vcHost} { // a Host header that lies
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				continue // no URL for net/http
			}
			req.Host = host
			if resp, err := tr.RoundTrip(req); err == nil {
				resp.Body.Close()
				led++
			}
		}
	}
	if led < 12 {
		t.Errorf("%d requests were led astray: the test proves too little", led)
	}
	evil.sawNothing(t, led)
	tenant, _ := l.vcd(t, tokensource.Static(bearer()))
	if _, _, err := orgs(t.Context(), tenant); loginError(err) == nil || !strings.Contains(err.Error(), "evil.example.test") {
		t.Errorf("a login URL on another host: got %v, want an error that names it", err)
	}
	l.net.Serve("lookup.example.test", vmssotest.NewLookup(vmssotest.LookupConfig{Services: vmssotest.LookupServices("https://evil.example.test")}))
	finder, err := lookup.New(lookup.Config{URL: "https://lookup.example.test", Base: l.base})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := finder.Endpoints(t.Context()); err == nil {
		t.Errorf("the Lookup Service leads to %v", found)
	}
	evil.sawNothing(t, led)
	expect(t, l.vsphere, 1, 1)
	expect(t, l.director, 0, 0)
	if n := l.sts.Requests(); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
	refuseURLs(t)
}

// refuseURLs gives every constructor URLs that credentials must not go to.
func refuseURLs(t *testing.T) {
	t.Helper()
	for _, url := range []string{"https://alice:s3cr3t@" + vcHost, "https://alice@" + vcHost, vcURL + "@evil.example.test",
		"http://" + vcHost, "http://localhost.evil.example.test", "http://127.0.0.1.evil.example.test", "ftp://" + vcHost, "https://v\u0441.example.test"} {
		_, err := vmsso.New(vmsso.Config{Endpoint: url, Source: tokensource.Static(bearer()), Auth: &soap.Authenticator{}})
		_, errSTS := tokensource.NewSTS(tokensource.STSConfig{URL: url, Username: user, Password: password})
		_, errLookup := lookup.New(lookup.Config{URL: url})
		for _, err := range []error{err, errSTS, errLookup} {
			if err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s: got %v, want an error without the password", url, err)
			}
		}
	}
	for _, url := range []string{"http://localhost:8989", "http://127.0.0.1:8989", "http://[::1]"} {
		if _, err := vmsso.New(vmsso.Config{Endpoint: url, Source: tokensource.Static(bearer()), Auth: &soap.Authenticator{}}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
