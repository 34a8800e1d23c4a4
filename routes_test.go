package vmsso_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

// place is a RoundTripper that notes what comes to it.
type place struct {
	seen         []string
	closed, idle int
	err          error
}

func (p *place) RoundTrip(req *http.Request) (*http.Response, error) {
	p.seen = append(p.seen, req.URL.Path)
	return answer(req, 200, ""), nil
}
func (p *place) Close() error          { p.closed++; return p.err }
func (p *place) CloseIdleConnections() { p.idle++ }

type function func(*http.Request) (*http.Response, error)

func (f function) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestRoutesChooseByWholeSegments(t *testing.T) {
	soap, rest, deep, other := &place{}, &place{}, &place{}, &place{}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/sdk": soap, "/folder": soap, "/api": rest, "/api/deep/er": deep, "/": other})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: routes}
	for _, tc := range []struct {
		path string
		to   *place
	}{
		{"/sdk", soap},
		{"/sdk/", soap},
		{"/sdk/vimServiceVersions.xml", soap},
		{"/folder/vm.vmdk?dcPath=x", soap},
		{"/api", rest},
		{"/api/session", rest},
		{"/api/deep", rest},
		{"/api/deep/error", rest},
		{"/api/deep/er", deep},
		{"/api/deep/er/x", deep},
		{"/apiary", other},
		{"/sdkfoo", other},
		{"/SDK", other},
		{"/", other},
		{"", other},
	} {
		resp, err := client.Get("https://vc.example.test" + tc.path)
		if err != nil {
			t.Errorf("%s: %v", tc.path, err)
			continue
		}
		resp.Body.Close()
		path, _, _ := strings.Cut(tc.path, "?")
		if n := len(tc.to.seen); n == 0 || tc.to.seen[n-1] != path {
			t.Errorf("%s did not go where it belongs", tc.path)
		}
	}
}

func TestRoutesCloseEachRoundTripperOnce(t *testing.T) {
	one, two := &place{err: errors.New("one")}, &place{err: errors.New("two")}
	plain := function(func(req *http.Request) (*http.Response, error) { return answer(req, 200, ""), nil })
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/a": one, "/b": one, "/c": two, "/d": plain, "/e": plain, "/f": http.NewFileTransport(http.Dir("."))})
	if err != nil {
		t.Fatal(err)
	}
	if err := routes.Close(); !errors.Is(err, one.err) || !errors.Is(err, two.err) {
		t.Errorf("got %v, want both errors", err)
	}
	routes.CloseIdleConnections()
	if one.closed != 1 || two.closed != 1 || one.idle != 1 || two.idle != 1 {
		t.Errorf("closed %d and %d times, idle %d and %d times, want once each", one.closed, two.closed, one.idle, two.idle)
	}
}

func TestRoutesRefuseWhatCannotBeMeant(t *testing.T) {
	p := &place{}
	for name, table := range map[string]map[string]http.RoundTripper{
		"at least one path":  {},
		`"/api" leads to no`: {"/api": nil},
		`"api" is not`:       {"api": p},
		`"" is not`:          {"": p},
		`"/api/" is not`:     {"/api/": p},
	} {
		if r, err := vmsso.NewRoutes(table); err == nil || r != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that says %q", err, name)
		}
	}
	routes, err := vmsso.NewRoutes(map[string]http.RoundTripper{"/api": p})
	if err != nil {
		t.Fatal(err)
	}
	body := &countingBody{Reader: strings.NewReader("x")}
	req, err := http.NewRequest("POST", "https://vc.example.test/sdk", body)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := routes.RoundTrip(req); err == nil || resp != nil || !strings.Contains(err.Error(), "no route for this path") {
		t.Errorf("got %v, %v, want an error", resp, err)
	}
	if body.closes() != 1 {
		t.Errorf("the body was closed %d times, want once", body.closes())
	}
}
