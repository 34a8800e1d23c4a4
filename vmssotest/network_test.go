package vmssotest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func hello(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s at %s", name, r.Host) })
}

func TestNetwork(t *testing.T) {
	n := NewNetwork()
	defer n.Close()
	n.Serve("vc.example.test", hello("vc"))
	n.Serve("vc.example.test:8443", hello("other port"))
	n.Serve("https://10.1.2.3", hello("address"))
	n.Serve("http://localhost:8080", hello("plain"))
	for _, http2 := range []bool{false, true} {
		tr := n.Transport()
		tr.ForceAttemptHTTP2 = http2
		c := &http.Client{Transport: tr}
		for url, want := range map[string]string{
			"https://vc.example.test/":      "vc at vc.example.test",
			"https://vc.example.test:8443/": "other port at vc.example.test:8443",
			"https://10.1.2.3/":             "address at 10.1.2.3",
			"http://localhost:8080/":        "plain at localhost:8080",
		} {
			resp, got := get(t, c, url)
			if got != want || resp.TLS != nil && (resp.ProtoMajor == 2) != http2 {
				t.Errorf("%s: %s %q, want %q", url, resp.Proto, got, want)
			}
		}
		tr.CloseIdleConnections()
	}
	n.Serve("vc.example.test", hello("replaced"))
	c := &http.Client{Transport: n.Transport()}
	if _, got := get(t, c, "https://vc.example.test/"); got != "replaced at vc.example.test" {
		t.Errorf("replaced handler: %q", got)
	}
}

func TestNetworkRefusesUnknownHosts(t *testing.T) {
	n := NewNetwork()
	defer n.Close()
	n.Serve("vc.example.test", hello("vc"))
	c := &http.Client{Transport: n.Transport()}
	get(t, c, "https://vc.example.test/")
	n.Stop("vc.example.test")
	for _, url := range []string{"https://unknown.example.test/", "https://vc.example.test:444/", "https://vc.example.test/", "http://vc.example.test:443/"} {
		_, err := c.Get(url)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", url, err)
		}
	}
	n.Serve("vc.example.test", hello("again"))
	if _, got := get(t, c, "https://vc.example.test/"); !strings.HasPrefix(got, "again") {
		t.Errorf("served again: %q", got)
	}
}

func TestNetworkCloseEndsRequests(t *testing.T) {
	n := NewNetwork()
	entered := make(chan struct{})
	n.Serve("vc.example.test", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	failed := make(chan error)
	go func() {
		_, err := (&http.Client{Transport: n.Transport()}).Get("https://vc.example.test/")
		failed <- err
	}()
	<-entered
	n.Close()
	if err := <-failed; err == nil {
		t.Error("the request has succeeded")
	}
	if _, err := n.DialContext(t.Context(), "tcp", "vc.example.test:443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after Close: %v", err)
	}
}

// A TLS network in memory works under synctest: half an hour passes at once, the login is verified with the bubble's clock of the year 2000.
func TestNetworkUnderSynctest(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := authority()
			n := NewNetwork()
			defer n.Close()
			v := NewVSphere(VSphereConfig{Trust: []*x509.Certificate{a.Certificate()}})
			n.Serve("vc.example.test", v)
			tr := n.Transport()
			tr.ForceAttemptHTTP2 = http2
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr}

			cookie := ""
			soap := func(body string) (int, string) {
				req, err := http.NewRequest("POST", "https://vc.example.test/sdk", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "text/xml; charset=utf-8")
				req.Header.Set("SOAPAction", "urn:vim25/8.0.3.0")
				if cookie != "" {
					req.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				for _, set := range resp.Cookies() {
					cookie = set.Value
				}
				answer, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(answer)
			}
			soap(soapXML(`<RetrieveServiceContent xmlns="urn:vim25"/>`))
			m := bearerLogin()
			m.token = a.Issue(Claims{Subject: "alice@vsphere.local"})
			m.timestamp = timestampXML("_t", stamp(time.Now()), stamp(time.Now().Add(time.Minute)))
			if status, answer := soap(m.build(t)); status != http.StatusOK {
				t.Fatalf("login: status %d, %s, reasons %q", status, answer, v.Reasons())
			}
			currentTime := soapXML(`<CurrentTime xmlns="urn:vim25"/>`)
			time.Sleep(29 * time.Minute)
			if status, _ := soap(currentTime); status != http.StatusOK {
				t.Errorf("after 29 minutes: status %d", status)
			}
			time.Sleep(31 * time.Minute)
			if status, _ := soap(currentTime); status != http.StatusInternalServerError || v.Sessions() != 0 {
				t.Errorf("after 31 idle minutes: status %d, sessions %d", status, v.Sessions())
			}
		})
	}
}

func TestListen(t *testing.T) {
	s := Listen(hello("vc"))
	defer s.Close()
	for _, http2 := range []bool{false, true} {
		tr := s.Transport()
		tr.ForceAttemptHTTP2 = http2
		resp, got := get(t, &http.Client{Transport: tr}, s.URL+"/")
		if !strings.HasPrefix(got, "vc at 127.0.0.1:") || (resp.ProtoMajor == 2) != http2 {
			t.Errorf("%s %q, HTTP/2 wanted: %t", resp.Proto, got, http2)
		}
		tr.CloseIdleConnections()
	}
	tr := s.Transport()
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	if _, err := (&http.Client{Transport: tr}).Get(s.URL); err == nil {
		t.Error("a client that does not know the server's CA trusts it")
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	tr = s.Transport()
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig.RootCAs = pool
	get(t, &http.Client{Transport: tr}, s.URL)
}

// Ten thousand goroutines call one endpoint through one transport.
func TestStampede(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand goroutines")
	}
	v := newTestVSphere()
	cookie := loggedInCookie(t, v)
	n := NewNetwork()
	defer n.Close()
	n.Serve("vc.example.test", v)
	tr := n.Transport()
	tr.MaxConnsPerHost, tr.MaxIdleConnsPerHost = 64, 64
	c := &http.Client{Transport: tr}
	const goroutines = 10_000
	var wg sync.WaitGroup
	failures := make(chan string, goroutines)
	for range goroutines {
		wg.Go(func() {
			req, err := http.NewRequest("POST", "https://vc.example.test/sdk", strings.NewReader(soapXML(`<CurrentTime xmlns="urn:vim25"/>`)))
			if err != nil {
				failures <- err.Error()
				return
			}
			req.Header.Set("Content-Type", "text/xml")
			req.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
			resp, err := c.Do(req)
			if err != nil {
				failures <- err.Error()
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				failures <- resp.Status
			}
		})
	}
	wg.Wait()
	close(failures)
	for f := range failures {
		t.Fatal(f)
	}
	if v.Calls("CurrentTime") != goroutines {
		t.Errorf("calls = %d", v.Calls("CurrentTime"))
	}
}

func TestMaxConcurrentLogins(t *testing.T) {
	v := newTestVSphere()
	const logins = 3
	var arrived sync.WaitGroup
	arrived.Add(logins)
	v.Inject("LoginByToken", logins, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		arrived.Done()
		arrived.Wait()
		next.ServeHTTP(w, r)
	})
	msg := bearerLogin().build(t)
	var wg sync.WaitGroup
	for range logins {
		wg.Go(func() { logIn(v, msg) })
	}
	wg.Wait()
	logIn(v, msg)
	if v.MaxConcurrentLogins() != logins || v.Logins() != logins+1 {
		t.Errorf("concurrent %d, logins %d", v.MaxConcurrentLogins(), v.Logins())
	}
}
