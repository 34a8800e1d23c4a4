package faults_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// A stranger is a host that is not the lab's. It notes every request with its body, and answers with 200 and nothing.
type stranger struct {
	mu   sync.Mutex // guards the fields below
	seen []*http.Request
	body []string
	then http.Handler // what it answers with; nil: nothing
}

func (s *stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.body = append(s.seen, r), append(s.body, string(body))
	if s.then != nil {
		s.then.ServeHTTP(w, r)
	}
}

// sawNothing demands that n requests came, and nothing of value in any.
func (s *stranger) sawNothing(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) != n {
		t.Errorf("the other hosts saw %d requests, want %d", len(s.seen), n)
	}
	for i, r := range s.seen {
		for name, values := range r.Header {
			value := strings.Join(values, "")
			if name == "Cookie" || name == "Authorization" || strings.Contains(strings.ToLower(name+value), "session") || strings.Contains(value, "s3cr3t") {
				t.Errorf("%s saw %s: %.60q", r.Host, name, value)
			}
		}
		if strings.Contains(s.body[i], "Assertion") || strings.Contains(s.body[i], "s3cr3t") {
			t.Errorf("%s saw the body %.100q", r.Host, s.body[i])
		}
	}
}

// others are hosts that look like the lab's.
var others = []string{vcURL + ":8443", "http://" + vcHost + ":80", vcURL + ".evil.example.test", "https://evil.example.test", "https://www." + vcHost}

// serveOthers serves the stranger at them.
func (s *stranger) serveOthers(l *lab) {
	for _, host := range others {
		l.net.Serve(host, s)
	}
}

// Fault 16: the login is redirected to another host, another port, to http, or elsewhere on the same host. It is not followed, the other host sees
// nothing, and the error names it without path and query. No refusal is counted.
func TestRedirectOfALoginIsNotFollowed(t *testing.T) {
	for _, sys := range systems {
		l := newLab(t)
		evil := &stranger{}
		evil.serveOthers(l)
		s := sys.server(l)
		c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range append([]string{"https://" + vcHost, ""}, others...) {
				s.Inject(sys.login, 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
					w.Header().Set("Location", to+"/other?ticket=s3cr3t")
					w.WriteHeader(status)
				})
				_, _, err := sys.call(t.Context(), c)
				le, host := loginError(err), to[strings.LastIndexByte(to, '/')+1:]
				if host == "" {
					host = "another path"
				}
				if le == nil || le.Status != status || !strings.Contains(err.Error(), "redirected to "+host+",") || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%s, %d to %s: got %v, want an error that names the host alone", sys.name, status, to, err)
				}
			}
		}
		if n, want := s.Calls(sys.login), 5*(len(others)+2); n != want {
			t.Errorf("%s: %d logins were sent, want %d", sys.name, n, want)
		}
		evil.sawNothing(t, 0)
		must(t, sys.call, c)
		expect(t, s, 1, 1)
	}
}

// Fault 17: an ordinary call is redirected to another origin, which http.Client follows. Cookie and header of the session stay behind, no login is
// begun there; a redirect on the own origin is in the session.
func TestRedirectOfACallLeavesTheSessionBehind(t *testing.T) {
	for _, sys := range systems {
		url, op := map[string]string{"SOAP": vcURL + "/folder/x", "REST": vcURL + "/api/vcenter/vm"}[sys.name], sys.op
		switch sys.name {
		case "SOAP":
			op = "GET /folder"
		case "Cloud Director":
			url = vcdURL + "/api/org"
		}
		l := newLab(t)
		evil := &stranger{}
		evil.serveOthers(l)
		s := sys.server(l)
		c, _ := sys.client(l, t, tokensource.Static(bearer()))
		redirected := func(to string, status int) {
			t.Helper()
			s.Inject(op, 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.Redirect(w, r, to, status) })
			if got, _, err := do(t.Context(), c, http.MethodGet, url, nil, nil); err != nil || got != http.StatusOK {
				t.Errorf("%s to %s: got %d, %v", sys.name, to, got, err)
			}
		}
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range others {
				redirected(to+"/sdk/lookalike", status)
			}
			redirected(url, status)
		}
		evil.sawNothing(t, 5*len(others))
		if n := s.Calls(op); n != 5*len(others)+10 {
			t.Errorf("%s: %d calls came, want %d redirected ones and 5 others", sys.name, n, 5*len(others)+5)
		}
		expect(t, s, 1, 1)
	}
}

// Fault 18: one server has many spellings: capitals, the port that is the default, an IPv6 address in other digits. They are one session; and the
// signature of a holder-of-key login over REST, which covers host and port as the server sees them, is right for each.
func TestSpellingsOfAHostAreOneSession(t *testing.T) {
	for _, tc := range []struct {
		serve     string
		endpoint  string
		spellings []string
	}{
		{vcHost, "https://VC.Example.TEST", []string{vcURL, vcURL + ":443", "https://vC.eXample.test:443", "HTTPS://VC.EXAMPLE.TEST"}},
		{vcHost, "https://vc.example.test:443", []string{vcURL, "https://VC.example.test"}},
		{vcHost + ":8443", "https://Vc.example.test:8443", []string{vcURL + ":8443"}},
		{"http://localhost:80", "http://LOCALHOST", []string{"http://localhost:80", "HTTP://LocalHost"}},
		{"2001:db8::1", "https://[2001:db8::1]", []string{"https://[2001:DB8::1]", "https://[2001:db8::1]:443", "https://[2001:db8:0:0:0:0:0:1]"}},
		{"[2001:db8::1]:8443", "https://[2001:DB8::1]:8443", []string{"https://[2001:db8::1]:8443"}},
		{"http://[fe80::1]:8989", "http://[fe80::1%25eth0]:8989", []string{"http://[FE80:0::1%25eth0]:8989"}},
		{"http://[fe80::2]:80", "http://[fe80::2%25eth0]", []string{"http://[FE80::2%25eth0]:80"}},
	} {
		t.Run(tc.endpoint, func(t *testing.T) {
			l := newLab(t)
			l.net.Serve(tc.serve, l.vcenter)
			newWire(l).bendTo(func(ctx context.Context, network, addr string) (net.Conn, error) {
				name, port, _ := net.SplitHostPort(strings.ToLower(addr)) // as DNS and IP do not mind
				if ip, err := netip.ParseAddr(name); err == nil {
					name = ip.WithZone("").String()
				}
				return l.net.DialContext(ctx, network, net.JoinHostPort(name, port))
			})
			c, _ := l.rest(t, tokensource.Static(holder(rsaPair())), func(cfg *vmsso.Config) { cfg.Endpoint, cfg.AllowHTTP = tc.endpoint, true })
			for _, url := range append(tc.spellings, tc.endpoint) {
				if status, _, err := do(t.Context(), c, http.MethodGet, url+"/api/vcenter/vm", nil, nil); err != nil || status != http.StatusOK {
					t.Errorf("%s: got %d, %v; the server says %q", url, status, err, l.automation.Reasons())
				}
			}
			expect(t, l.automation, 1, 1)
		})
	}
}

// Fault 19: a disk goes to the URL that a lease names, on an ESXi host. That is another origin: the host gets the body and the caller's own header
// fields untouched and nothing of vCenter's session, and its 401 ends nothing.
func TestUploadToAnESXiHostHasNoSession(t *testing.T) {
	l := newLab(t)
	esx := &stranger{}
	l.net.Serve("esx1.example.test", esx)
	c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	disk := strings.Repeat("disk", 1<<18)
	upload := func() int {
		t.Helper()
		header := http.Header{"Content-Type": {"application/x-vnd.vmware-streamVmdk"}, "Overwrite": {"t"}}
		status, _, err := do(t.Context(), c, http.MethodPut, "https://esx1.example.test/nfc/52a1/disk-0.vmdk", header, io.MultiReader(strings.NewReader(disk)))
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	upload() // before there is a session: none is needed
	expect(t, l.vsphere, 0, 0)
	must(t, currentTime, c)
	upload()
	esx.then = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Add("Set-Cookie", "vmware_soap_session=s3cr3t; Path=/")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, faultMessage("ServerFaultCode", "The session is not authenticated.", "NotAuthenticated"))
	})
	for range 3 {
		if status := upload(); status != http.StatusUnauthorized {
			t.Errorf("got status %d, want the host's own", status)
		}
	}
	must(t, currentTime, c)
	expect(t, l.vsphere, 1, 1)
	esx.sawNothing(t, 5)
	for i, r := range esx.seen {
		if esx.body[i] != disk || r.Header.Get("Overwrite") != "t" {
			t.Errorf("the host got %d bytes with %v, want the caller's own request", len(esx.body[i]), r.Header)
		}
	}
}
