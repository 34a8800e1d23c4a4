package faults_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// spaces is what floods are made of; XML and JSON allow any number.
var spaces = bytes.Repeat([]byte(" "), 64<<10)

// bomb is a fault of 256 MiB, compressed: a file of gzip may consist of several.
var bomb = sync.OnceValue(func() []byte {
	zip := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text) // to memory
		_ = z.Close()
		return b.Bytes()
	}
	return append(zip(openFault), bytes.Repeat(zip(strings.Repeat(" ", 1<<20)), 256)...)
})

// openFault is the beginning of a fault that need not end.
const openFault = `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault><faultcode>ServerFaultCode</faultcode><faultstring>`

// endless answers with a fault, or what is said instead, that goes on until nobody takes it any more, or for 10 GB. It counts the bytes.
func endless(sent *atomic.Int64, begin string) vmssotest.Injector {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, begin)
		for sent.Load() < 10<<30 && r.Context().Err() == nil {
			n, err := w.Write(spaces)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
}

// explodes answers with the bomb.
func explodes(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write(bomb())
}

// allocates tells how many bytes of memory f takes in all, whatever is free again.
func allocates(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Fault 107: the answer is a fault of 10 GB, or one of 256 MiB that is small as long as it is compressed. Of a login's answer 4 MiB are read,
// decompressed, and the connection is dropped; of a call's answer a few KiB are looked at, and the caller gets it as it comes.
func TestHugeAnswerIsReadToALimit(t *testing.T) {
	bomb()
	for _, sys := range systems {
		stages := []string{sys.login}
		if sys.name == overSOAP.name {
			stages = append(stages, "Issue") // of the token service, which they share
		}
		for _, stage := range stages {
			for _, kind := range []string{"10 GB", "gzip bomb"} {
				t.Run(sys.name+", "+stage+", "+kind, func(t *testing.T) {
					l := newLab(t)
					var sent atomic.Int64
					f := endless(&sent, openFault)
					if kind == "gzip bomb" {
						f = explodes
					}
					l.sts.Inject(stage, 1, f)
					sys.server(l).Inject(stage, 1, f)
					c, _ := sys.client(l, t, l.source(t, tokensource.STSConfig{}))
					var err error
					took := allocates(func() { _, _, err = sys.call(t.Context(), c) })
					if loginError(err) == nil || !strings.Contains(err.Error(), "the answer is longer than 4194304 bytes") {
						t.Errorf("got %v, want a LoginError that names the limit", err)
					}
					if took > 64<<20 || sent.Load() > 8<<20 {
						t.Errorf("%d bytes of memory were taken for %d that were sent", took, sent.Load())
					}
					must(t, sys.call, c)
					expect(t, sys.server(l), 1, 1)
				})
			}
		}
	}
	t.Run("calls", hugeAnswersToCalls)
}

// hugeAnswersToCalls sends them in a session that is alive, and in one that is gone.
func hugeAnswersToCalls(t *testing.T) {
	l := newLab(t)
	c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
	must(t, currentTime, c)
	post := func(header http.Header) (begin string) {
		t.Helper()
		header.Set("Content-Type", "text/xml")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, vcURL+"/sdk", strings.NewReader(message("CurrentTime", "")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		head := make([]byte, 100)
		_, _ = io.ReadFull(resp.Body, head)
		return string(head)
	}
	var sent atomic.Int64
	l.vsphere.Inject("CurrentTime", 1, endless(&sent, openFault))
	l.vsphere.Inject("CurrentTime", 1, explodes)
	l.vsphere.Inject("CurrentTime", 1, explodes)
	var plain, unzipped, zipped string
	took := allocates(func() {
		plain = post(http.Header{})
		unzipped = post(http.Header{})
		zipped = post(http.Header{"Accept-Encoding": {"gzip"}})
	})
	if plain != openFault[:100] || unzipped != openFault[:100] || zipped != string(bomb()[:100]) {
		t.Errorf("the caller got %q, %q and %q, want the beginning of each", plain, unzipped, zipped)
	}
	expect(t, l.vsphere, 1, 1)
	l.vsphere.Kill()
	l.vsphere.Inject("CurrentTime", 1, endless(&sent, openFault+`</faultstring><detail><NotAuthenticatedFault xsi:type="NotAuthenticated"/></detail>`))
	took += allocates(func() { must(t, currentTime, c) })
	expect(t, l.vsphere, 2, 1)
	if took > 64<<20 || sent.Load() > 8<<20 {
		t.Errorf("%d bytes of memory were taken for %d that were sent", took, sent.Load())
	}
}

// hijacked answers with what write puts on the connection itself.
func hijacked(write func(w io.Writer) error) vmssotest.Injector {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_ = write(conn)
	}
}

// pour writes begin and then the piece until nobody takes it any more, or 256 MiB of it. It counts the bytes.
func pour(sent *atomic.Int64, begin, piece string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, begin)
		for err == nil && sent.Load() < 256<<20 {
			var n int
			n, err = io.WriteString(w, piece)
			sent.Add(int64(n))
		}
		return err
	}
}

// Fault 108: the header, the 1xx answers before it or the trailer after the body have no end. The limits of the base transport end them: 10 MiB without
// further ado, less if the program says so. Login and call fail, once, and the next ones work.
func TestHeaderWithoutEndMeetsTheLimitOfTheBase(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
	body := message("CurrentTimeResponse", "<returnval>2026-01-01T00:00:00Z</returnval>")
	field := "X-Flood: " + strings.Repeat("x", 1<<10) + "\r\n"
	for name, flood := range map[string][2]string{
		"header":    {ok, field},
		"one field": {ok + "X-Flood: ", strings.Repeat("x", 16<<10)},
		"1xx":       {"", "HTTP/1.1 103 Early Hints\r\n" + field + "\r\n"},
		"trailer":   {ok + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body), field},
	} {
		for _, limit := range []int64{0, 64 << 10} {
			t.Run(fmt.Sprintf("%s, limit %d", name, limit), func(t *testing.T) {
				l := newLab(t)
				l.base.MaxResponseHeaderBytes = limit
				most := limit + 1<<20 // what pipes and buffers hold
				if limit == 0 {
					most = 11 << 20
				}
				var sent atomic.Int64
				f := hijacked(pour(&sent, flood[0], flood[1]))
				c, _ := l.soap(t, l.source(t, tokensource.STSConfig{}))
				try := func(op string, call func(context.Context, *http.Client) (int, string, error)) error {
					t.Helper()
					sent.Store(0)
					l.vsphere.Inject(op, 1, f)
					before := l.vsphere.Calls(op)
					_, _, err := call(t.Context(), c)
					if err == nil || sent.Load() > most || l.vsphere.Calls(op) != before+1 {
						t.Errorf("%s: got %v after %d bytes and %d requests, want an error after %d bytes at most", op, err, sent.Load(), l.vsphere.Calls(op)-before, most)
					}
					return err
				}
				if err := try("LoginByToken", currentTime); loginError(err) == nil {
					t.Errorf("got %v, want a LoginError", err)
				}
				must(t, currentTime, c)
				if err := try("CurrentTime", currentTime); loginError(err) != nil {
					t.Errorf("got %v, want the error of the call", err)
				}
				must(t, currentTime, c)
				expect(t, l.vsphere, 1, 1)
			})
		}
	}
}
