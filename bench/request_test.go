package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/soap"
)

// BenchmarkRequest is one request in a session that exists, on a base that costs
// nothing. Limits: that base, and the least that keeps the contract of
// http.RoundTripper.
func BenchmarkRequest(b *testing.B) {
	base := rig.NewStub()
	one := rig.NewTransport(b, vmsso.Config{Auth: rig.Header{}, Base: base, MaxRetries: -1})
	zero := rig.NewTransport(b, vmsso.Config{Auth: rig.Header{}, Base: base})
	cookies := rig.NewTransport(b, vmsso.Config{Auth: rig.Cookie{}, Base: base})
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/api": zero, "/rest": zero, "/": cookies})
	if err != nil {
		b.Fatal(err)
	}
	for _, headers := range []int{4, 10} {
		b.Run(fmt.Sprintf("%d-headers", headers), func(b *testing.B) {
			send := func(rt http.RoundTripper) func() error {
				req := rig.NewRequest(headers)
				return func() error { _, err := rt.RoundTrip(req); return err }
			}
			least := send(rig.ByHand(base))
			row := func(name string, rt http.RoundTripper) { rig.Against(b, name, least, send(rt)) }
			rig.Each(b, "limit:base", send(base))
			rig.Each(b, "limit:maps.Clone", least)
			row("req.Clone", rig.ByClone(base))
			row("vmsso", zero)
			row("vmsso-one-layer", one)
			row("vmsso-three-layers", routes)
			row("vmsso-cookie", cookies)
		})
	}
}

// BenchmarkRequestParallel is BenchmarkRequest on one CPU and on all. Limit: the
// least that keeps the contract, which shows how the allocator scales.
func BenchmarkRequestParallel(b *testing.B) {
	base := rig.NewStub()
	tr := rig.NewTransport(b, vmsso.Config{Auth: rig.Header{}, Base: base})
	for _, way := range []struct {
		name string
		rt   http.RoundTripper
	}{{"limit:maps.Clone", rig.ByHand(base)}, {"req.Clone", rig.ByClone(base)}, {"vmsso", tr}} {
		rig.Parallel(b, way.name, func() func() error {
			req := rig.NewRequest(4)
			return func() error { _, err := way.rt.RoundTrip(req); return err }
		})
	}
}

// BenchmarkSession looks the session up, on one CPU and on all. Limit: an atomic
// pointer.
func BenchmarkSession(b *testing.B) {
	tr := rig.NewTransport(b, vmsso.Config{Auth: rig.Header{}, Base: rig.NewStub()})
	var kept atomic.Pointer[vmsso.Session]
	kept.Store(&vmsso.Session{})
	ctx := context.Background()
	lookup := func(name string, get func() *vmsso.Session) {
		rig.Parallel(b, name, func() func() error {
			return func() error {
				if get() == nil {
					return io.EOF
				}
				return nil
			}
		})
	}
	ours := func() *vmsso.Session { s, _ := tr.Session(ctx); return s }
	lookup("limit:atomic.Pointer", kept.Load)
	lookup("vmsso", ours)
	rig.Against(b, "vmsso", func() error { kept.Load(); return nil }, func() error { ours(); return nil })
}

const (
	currentTime       = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`
	currentTimeAnswer = `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` +
		`<CurrentTimeResponse xmlns="urn:vim25"><returnval>2026-11-22T08:00:00.000000Z</returnval></CurrentTimeResponse></soapenv:Body></soapenv:Envelope>`
)

// soapStub reads a request and answers it as vSphere does.
func soapStub(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	req.Body.Close()
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(currentTimeAnswer)), Request: req}, nil
}

// BenchmarkSOAPCall is a call, whose body is looked at on its way out and on its
// way back. Limit: the base, which reads the one and makes the other.
func BenchmarkSOAPCall(b *testing.B) {
	base := rig.Func(soapStub)
	tr := rig.NewTransport(b, vmsso.Config{Endpoint: "https://vc.example.test/sdk", Auth: &soap.Authenticator{}, Base: rig.Canned{Next: base}})
	text := []byte(currentTime)
	call := func(rt http.RoundTripper, getBody bool) func() error {
		req := rig.NewRequest(0)
		req.Method, req.URL.Path, req.Header = http.MethodPost, "/sdk", http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Soapaction": {`"urn:vim25/8.0.3.0"`}, "User-Agent": {"bench"}}
		req.ContentLength = int64(len(text))
		if getBody {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		}
		return func() error {
			r := *req
			r.Body = io.NopCloser(bytes.NewReader(text))
			resp, err := rt.RoundTrip(&r)
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			return err
		}
	}
	limit := call(base, true)
	rig.Each(b, "limit:base", limit)
	rig.Against(b, "vmsso-GetBody", limit, call(tr, true))
	rig.Against(b, "vmsso-body-as-govmomi-has-it", limit, call(tr, false))
}
