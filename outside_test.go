package vmsso_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/vmsso/vmsso"
)

// outside is a caller's own go-retryablehttp around the transport, as its
// documentation shows it.
func outside(tr *vmsso.Transport) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: tr}
	c.Logger = nil
	return c
}

func TestRetriesOfTheCallersOwnMakeNoMoreLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tr := newTransport(t, s)
		c := outside(tr)
		for round := 1; round <= 3; round++ {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					resp, err := c.Post("https://vc.example.test/x", "text/plain", strings.NewReader("body"))
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Errorf("status %d", resp.StatusCode)
					}
				})
			}
			wg.Wait()
			if logins, _ := s.counts(); logins != round {
				t.Errorf("%d logins, want %d", logins, round)
			}
			s.kill()
		}
		for _, body := range s.bodies {
			if body != "body" {
				t.Errorf("the server got the body %q", body)
			}
		}
	})
}

// That package repeats whatever fails, five times by default: a refused login
// would lock the account.
func TestRetriesOfTheCallersOwnDoNotRepeatARefusedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		s.refuse = true
		tr := newTransport(t, s, func(c *vmsso.Config) { c.RefusedWait = time.Hour })
		if _, err := outside(tr).Get("https://vc.example.test/x"); !errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("got %v, want ErrRejected", err)
		}
		if logins, _ := s.counts(); logins != 1 {
			t.Errorf("%d logins, want 1", logins)
		}
	})
}

// With MaxRetries negative the caller's own policy alone decides.
func TestRetriesAreNotMultipliedWhereOursAreOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		tried := 0
		s.onCall = func(req *http.Request) *http.Response {
			if tried++; tried <= 3 {
				return answer(req, http.StatusBadGateway, "")
			}
			return nil
		}
		tr := newTransport(t, s, func(c *vmsso.Config) { c.MaxRetries = -1 })
		resp, err := outside(tr).Get("https://vc.example.test/x")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(text) != "fine" || tried != 4 {
			t.Errorf("status %d, %q after %d tries, want success after 4", resp.StatusCode, text, tried)
		}
	})
}

// What lives in a session, such as a view, means nothing in the next one.
func TestRetryOfABoundRequestIsNotSentInAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem()
		var tr *vmsso.Transport
		s.onCall = func(req *http.Request) *http.Response {
			if req.URL.Path != "/bound" {
				return nil
			}
			go func() { // meanwhile the session is replaced
				s.kill()
				get(t, tr)
			}()
			return answer(req, http.StatusBadGateway, "")
		}
		tr = newTransport(t, s, classed(s, "/bound", vmsso.SessionBound))
		if resp, err := tr.RoundTrip(newRequest(t, "GET", "/bound", nil)); !errors.Is(err, vmsso.ErrNoSession) || resp != nil {
			t.Errorf("got %v, %v, want ErrNoSession", resp, err)
		}
	})
}
