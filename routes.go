package vmsso

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// Routes is an http.RoundTripper that chooses another one by the path of the
// request, so that one http.Client serves all of a vCenter: /sdk and /folder in
// the session of SOAP, /api and /rest in that of vSphere Automation. It is safe
// for concurrent use. Use [NewRoutes] to make one, and Close it to log out
// everywhere.
type Routes struct{ list []route } // the longest path first

type route struct {
	path string
	rt   http.RoundTripper
}

// NewRoutes returns the Routes of a table by path. A path such as "/api" stands
// for itself and for all below it, by whole segments: not for "/apiary". The
// longest that fits wins; "/" fits all. For a vCenter, "/api" and "/rest" lead to
// the transport of vSphere Automation, and "/" to that of SOAP: /sdk, /folder,
// /nfc and the other file services are served in its session.
func NewRoutes(table map[string]http.RoundTripper) (*Routes, error) {
	if len(table) == 0 {
		return nil, errors.New("vmsso: NewRoutes needs a table with at least one path")
	}
	r := &Routes{}
	for _, path := range slices.Sorted(maps.Keys(table)) {
		rt := table[path]
		if rt == nil {
			return nil, fmt.Errorf("vmsso: the route %q leads to no RoundTripper", path)
		}
		if !strings.HasPrefix(path, "/") || path != "/" && strings.HasSuffix(path, "/") {
			return nil, fmt.Errorf("vmsso: the route %q is not of the form /api: a slash before each segment and none at the end", path)
		}
		r.list = append(r.list, route{path, rt})
	}
	slices.SortStableFunc(r.list, func(a, b route) int { return len(b.path) - len(a.path) })
	return r, nil
}

// RoundTrip implements http.RoundTripper. A path that no route fits is an error.
func (r *Routes) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL != nil {
		for _, to := range r.list {
			if to.fits(req.URL.Path) {
				return to.rt.RoundTrip(req)
			}
		}
	}
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, errors.New("vmsso: no route for this path: add it to the table of NewRoutes, or / for all others")
}

func (r route) fits(path string) bool {
	rest, ok := strings.CutPrefix(path, r.path)
	return ok && (rest == "" || rest[0] == '/') || r.path == "/"
}

// Close closes those RoundTrippers of the table that have a Close method, each
// once, and returns their errors.
func (r *Routes) Close() error {
	var errs []error
	for _, rt := range r.distinct() {
		if c, ok := rt.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// CloseIdleConnections closes the idle connections of all RoundTrippers.
func (r *Routes) CloseIdleConnections() {
	for _, rt := range r.distinct() {
		if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

// distinct returns each RoundTripper once: several paths can lead to one.
func (r *Routes) distinct() (list []http.RoundTripper) {
	for _, to := range r.list {
		if !slices.ContainsFunc(list, func(rt http.RoundTripper) bool { return same(rt, to.rt) }) {
			list = append(list, to.rt)
		}
	}
	return list
}

// same compares two RoundTrippers. Those of a type that cannot be compared, such
// as a func, count as different.
func same(a, b http.RoundTripper) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
