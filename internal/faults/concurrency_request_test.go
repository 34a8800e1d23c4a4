package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 78: one transport is below many http.Clients, each with habits of its own.
func TestTransportIsSharedByManyClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		_, tr := l.soap(t, l.source(t, tokensource.STSConfig{}))
		clients := make([]*http.Client, 20)
		for i := range clients {
			clients[i] = &http.Client{Transport: tr}
			if i%2 == 0 {
				clients[i].Jar, _ = cookiejar.New(nil) // keeps the cookie of a session that is not logged in
			}
			if i%3 == 0 {
				clients[i].Timeout = time.Minute
			}
		}
		for round := 1; round <= 3; round++ {
			atOnce(len(clients), func(i int) {
				c := clients[i]
				succeeds(t, serviceContent, c)
				succeeds(t, currentTime, c)
				succeeds(t, folder, c)
				if i%10 == 0 {
					c.CloseIdleConnections()
				}
				succeeds(t, currentTime, c)
			})
			expect(t, l.vsphere, round, 1)
			l.vsphere.Kill()
		}
		if n := l.vsphere.MaxConcurrentLogins(); n != 1 || l.sts.Requests() != 3 {
			t.Errorf("%d logins at one time, %d requests for a token, want 1 and 3", n, l.sts.Requests())
		}
	})
}

// serviceContent is what govmomi's clients begin with.
func serviceContent(ctx context.Context, c *http.Client) (int, string, error) {
	body := message("RetrieveServiceContent", `<_this type="ServiceInstance">ServiceInstance</_this>`)
	return do(ctx, c, http.MethodPost, vcURL+"/sdk", http.Header{"Content-Type": {"text/xml"}}, strings.NewReader(body))
}

func folder(ctx context.Context, c *http.Client) (int, string, error) {
	return do(ctx, c, http.MethodGet, vcURL+"/folder/x", nil, nil)
}

// ownBody is a body in a buffer that its owner fills anew once it is closed.
type ownBody struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func (b *ownBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// Fault 80: the caller uses its request for something else as soon as it has the answer, which comes before the body was sent.
func TestRequestBelongsToTheCallerAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var cookies []string
		seen := map[string]bool{}
		l := newLab(t, func(c *labConfig) {
			c.vsphere.OnLogin = func(l vmssotest.Login) {
				mu.Lock()
				defer mu.Unlock()
				cookies = append(cookies, l.Cookie)
			}
		})
		var readers sync.WaitGroup
		_, tr := l.soap(t, l.source(t, tokensource.STSConfig{}), func(c *vmsso.Config) {
			c.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := l.base.RoundTrip(r)
				readers.Go(func() { r.Clone(t.Context()) }) // as it may until the answer's body is closed
				return resp, err
			})
		})
		must(t, currentTime, &http.Client{Transport: tr})
		l.vsphere.Kill()
		l.vsphere.Inject("PUT /folder", -1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			mu.Lock()
			defer mu.Unlock()
			seen[r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Mine")+r.Header.Get("X-Other")] = true
			if strings.Contains(r.Header.Get("Cookie"), cookies[0]) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.WriteHeader(http.StatusCreated)
		})
		atOnce(50, func(i int) { putAndReuse(t, tr, i) })
		readers.Wait()
		for i := range 50 {
			if !seen[fmt.Sprintf("PUT /folder/%d %d", i, i)] {
				t.Errorf("request %d did not arrive as it was", i)
			}
		}
		if len(seen) != 50 {
			t.Errorf("%d different requests arrived, want 50: %v", len(seen), seen)
		}
		expect(t, l.vsphere, 2, 1)
	})
}

// putAndReuse makes a request and changes all of it afterwards.
func putAndReuse(t *testing.T, tr *vmsso.Transport, i int) {
	data := bytes.Repeat([]byte("x"), 512<<10)
	body := &ownBody{Reader: bytes.NewReader(data), closed: make(chan struct{})}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s/folder/%d", vcURL, i), body)
	req.Header.Set("X-Mine", strconv.Itoa(i))
	resp, err := tr.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Errorf("got %v, %v", resp, err)
		return
	}
	if len(req.Header) != 1 || req.Body != body || resp.Request != req {
		t.Errorf("the request was changed: header %v, body %T", req.Header, req.Body)
	}
	req.Header.Set("X-Mine", "another")
	req.Header["X-Other"] = []string{"value"}
	req.URL, req.Method, req.ContentLength, req.Body = &url.URL{}, http.MethodGet, 7, nil
	<-body.closed
	clear(data)
	resp.Body.Close()
}
