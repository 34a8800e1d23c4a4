package faults_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// Fault 13: the server resets the stream of a request, and ends connections with GOAWAY; over HTTP/1.1 these are a broken connection and "Connection:
// close". Both are faults of the network: no refusal is remembered, no session dropped, no POST repeated that may have been done. A GET is
// repeated, and what GOAWAY says was not looked at.
func TestGoAwayAndStreamResetAreFaultsOfTheNetwork(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			l := newLab(t)
			l.base.ForceAttemptHTTP2 = version == "HTTP/2.0"
			spoken := map[string]bool{}
			l.vsphere.Inject("LoginByToken", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				spoken[r.Proto] = true
				hangUp(w, r, next)
			})
			c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
			if _, _, err := currentTime(t.Context(), c); loginError(err) == nil || errors.Is(err, vmsso.ErrRejected) {
				t.Errorf("a reset login: got %v, want a LoginError that is no refusal", err)
			}
			must(t, currentTime, c)
			getComesTwice(t, l)
			l.vsphere.Inject("CurrentTime", 1, hangUp)
			if status, _, err := currentTime(t.Context(), c); err == nil || loginError(err) != nil {
				t.Errorf("a reset call: got %d, %v, want the error of the network", status, err)
			}
			for range 10 {
				l.vsphere.Inject("CurrentTime", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					w.Header().Set("Connection", "close") // net/http makes GOAWAY of it
					next.ServeHTTP(w, r)
				})
				must(t, currentTime, c)
			}
			if n := l.vsphere.Calls("CurrentTime"); n != 12 {
				t.Errorf("%d calls came, want 12: one that was lost, and none twice", n)
			}
			expect(t, l.vsphere, 1, 1)
			if l.sts.Requests() != 2 || l.sts.Failures() != 0 || !spoken[version] {
				t.Errorf("%d tokens, %d failures, spoken %v, want 2, 0 and %s", l.sts.Requests(), l.sts.Failures(), spoken, version)
			}
		})
	}
	for _, taken := range []uint32{0, 1} {
		t.Run(fmt.Sprintf("GOAWAY after stream %d", taken), func(t *testing.T) { goAwayAtTheLogin(t, taken) })
	}
}

// getComesTwice resets a GET, which may be repeated, on the first request of a connection: net/http does not repeat it by itself then.
func getComesTwice(t *testing.T, l *lab) {
	t.Helper()
	c, _ := l.rest(t, tokensource.Static(bearer()))
	must(t, vms, c)
	l.base.CloseIdleConnections()
	l.automation.Inject("GET /api/vcenter/vm", 1, hangUp)
	must(t, vms, c)
	if n := l.automation.Calls("GET /api/vcenter/vm"); n != 3 {
		t.Errorf("%d GETs came, want 3", n)
	}
	expect(t, l.automation, 1, 1)
}

// goAwayAtTheLogin answers the first request, for a token, with GOAWAY. Of a stream that the server has taken nobody knows what became of it.
func goAwayAtTheLogin(t *testing.T, taken uint32) {
	l := newLab(t)
	w := newWire(l)
	pair := rsaPair()
	pin, _ := thumbprint(t, l, vcHost)
	var err error
	l.base.ForceAttemptHTTP2 = true
	l.base.TLSClientConfig, err = vmsso.PinCertificate(l.base.TLSClientConfig, pin, fmt.Sprintf("%x", sha256.Sum256(pair.Leaf.Raw)))
	if err != nil {
		t.Fatal(err)
	}
	w.bendTo(func(context.Context, string, string) (net.Conn, error) {
		w.straighten()
		client, server := net.Pipe()
		cfg := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
		go restarting(tls.Server(server, cfg), taken)
		return client, nil
	})
	c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	if taken == 0 {
		must(t, currentTime, c)
	} else {
		if _, _, err := currentTime(t.Context(), c); loginError(err) == nil || loginError(err).Stage != "Issue" || errors.Is(err, vmsso.ErrRejected) {
			t.Errorf("got %v, want a LoginError of Issue that is no refusal", err)
		}
		if n := l.sts.Requests(); n != 0 {
			t.Errorf("the token was asked for again: %d requests", n)
		}
		must(t, currentTime, c)
	}
	expect(t, l.vsphere, 1, 1)
	if n := l.sts.Requests(); n != 1 {
		t.Errorf("%d requests at the token service, want 1", n)
	}
}

// restarting speaks HTTP/2 until a request comes, and says GOAWAY with this last stream.
func restarting(c net.Conn, last uint32) {
	defer c.Close()
	goAway := []byte{0, 0, 8, 7, 0, 0, 0, 0, 0}
	goAway = binary.BigEndian.AppendUint32(goAway, last)
	goAway = binary.BigEndian.AppendUint32(goAway, 0) // NO_ERROR: the server shuts down
	if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
	for answered := false; ; {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			return
		}
		if head[3] == 1 && !answered { // HEADERS
			answered = true
			go func() { // the pipe has no room: the client may be writing too
				_, _ = c.Write(goAway)
				if last > 0 {
					c.Close()
				}
			}()
		}
	}
}
