package call_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/call"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// written is the size of the header as net/http writes it.
func written(t *testing.T, req *http.Request) int {
	t.Helper()
	r, w := io.Pipe()
	go func() { w.CloseWithError(req.Write(w)) }()
	n := 0
	for b := bufio.NewReader(r); ; {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if n += len(line); line == "\r\n" {
			_, _ = io.Copy(io.Discard, b)
			return n
		}
	}
}

func TestHeaderThatIsTooLargeIsNotSent(t *testing.T) {
	var sent *http.Request
	rt := roundTripper(func(req *http.Request) (*http.Response, error) {
		sent = req
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
	})
	post := func(size, most int) error {
		sent = nil
		c := &call.Call{Method: "POST", URL: &url.URL{Scheme: "https", Host: "vcd.example.test", Path: "/api/sessions"}, Stage: "login",
			Header: http.Header{"Authorization": {strings.Repeat("x", size)}, "Accept": {"application/json"}}, MaxHeader: most}
		_, err := c.Do(t.Context(), rt)
		return err
	}
	if err := post(6000, 8192); err != nil || sent == nil {
		t.Fatal(err)
	}
	wire := written(t, sent)
	if wire <= 6000 {
		t.Fatalf("%d bytes were written", wire)
	}
	// The estimate is no less than what is written, and not much more.
	if err := post(6000, wire-1); !errors.Is(err, vmsso.ErrHeaderTooLarge) || sent != nil {
		t.Errorf("a header of %d bytes where %d are allowed: %v, sent %t", wire, wire-1, err, sent != nil)
	}
	if err := post(6000, wire+100); err != nil {
		t.Errorf("a header of %d bytes where %d are allowed: %v", wire, wire+100, err)
	}
	err := post(9000, 8192)
	if !errors.Is(err, vmsso.ErrHeaderTooLarge) || sent != nil || !strings.Contains(err.Error(), "the limit is 8192; nothing was sent") {
		t.Errorf("9000 bytes where 8192 are allowed: %v, sent %t", err, sent != nil)
	}
	for _, none := range []int{0, -1} {
		if err := post(100_000, none); err != nil || sent == nil {
			t.Errorf("without a limit (%d): %v", none, err)
		}
	}
}

func TestHeaderThatTheServerFindsTooLarge(t *testing.T) {
	c := &call.Call{Method: "POST", URL: &url.URL{Scheme: "https", Host: "vcd.example.test", Path: "/api/sessions"}, Header: http.Header{"Authorization": {strings.Repeat("x", 5000)}}}
	_, err := c.Do(t.Context(), roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusRequestHeaderFieldsTooLarge, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	var le *vmsso.LoginError
	if !errors.Is(err, vmsso.ErrHeaderTooLarge) || !errors.As(err, &le) || le.Status != 431 || !strings.Contains(err.Error(), "fewer groups") {
		t.Errorf("got %v, want ErrHeaderTooLarge with advice", err)
	}
	if errors.Is(err, vmsso.ErrRejected) {
		t.Error("it counts as a refusal of the token")
	}
}

func TestFieldTakesOnlyWhatAHeaderCanCarry(t *testing.T) {
	for _, ok := range []string{"a", "cn9uYmdugN8E2j96+5Lqrc3YBvFsEgDHXzyfJrJ/6bM=", "a.b-c_d~", strings.Repeat("x", 16<<10)} {
		if err := call.Field(ok); err != nil {
			t.Errorf("%.20q: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "a b", "a\r\nX: y", "a\n", "\x00", "a\x7f", "ä", "a\xff", strings.Repeat("x", 16<<10+1)} {
		if err := call.Field(bad); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}
