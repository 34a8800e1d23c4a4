package vcloud_test

import (
	"cmp"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/vcloud"
	"github.com/vmsso/vmsso/vmssotest"
)

const (
	sessionXML = `<?xml version="1.0" encoding="UTF-8"?>
<Session xmlns="http://www.vmware.com/vcloud/v1.5" user="bob" org="Finance" userId="urn:vcloud:user:1" roles="Organization Administrator, vApp User" href="https://h/api/session" type="application/vnd.vmware.vcloud.session+xml">
  <Link rel="down" type="application/vnd.vmware.vcloud.orgList+xml" href="https://h/api/org/"/>
  <Link rel="remove" href="https://h/api/session"/>
  <Link rel="down" type="application/vnd.vmware.vcloud.org+xml" name="Other" href="https://h/api/org/2"/>
  <Link rel="down" type="application/vnd.vmware.vcloud.org+xml" name="Finance" href="https://h/api/org/1"/>
  <Link rel="down" type="application/vnd.vmware.vcloud.query.queryList+xml" href="https://h/api/query"/>
  <Link rel="entityResolver" type="application/vnd.vmware.vcloud.entity+xml" href="https://h/api/entity/"/>
  <Link rel="down:extensibility" type="application/vnd.vmware.vcloud.apiextensibility+xml" href="https://h/api/extensibility"/>
</Session>`
	sessionJSON = `{"otherAttributes":{},"link":[
 {"otherAttributes":{},"href":"https://h/api/org/1","id":null,"type":"application/vnd.vmware.vcloud.org+json","name":"Finance","rel":"down","model":null},
 {"href":"https://h/api/query","type":"application/vnd.vmware.vcloud.query.queryList+json","name":null,"rel":"down"},
 {"href":"https://h/api/entity/","type":"application/vnd.vmware.vcloud.entity+json","rel":"entityResolver"},
 {"href":"https://h/api/extensibility","rel":"down:extensibility"}],
 "href":"https://h/api/session","user":"bob","org":"Finance","userId":"urn:vcloud:user:1","roles":"Organization Administrator, vApp User"}`
	cloudJSON  = `{"id":"urn:vcloud:session:9","site":{"name":"s","id":"urn:vcloud:site:1"},"user":{"name":"bob","id":"urn:vcloud:user:1"},"org":{"name":"Finance","id":"urn:vcloud:org:1"},"location":"l","roles":["Organization Administrator","vApp User"],"roleRefs":[{"name":"x","id":"y"}],"sessionIdleTimeoutMinutes":30}`
	cloudLinks = `<https://h/api/org/>;rel="down";type="application/vnd.vmware.vcloud.orgList+xml", <https://h/api/org/1>;rel="down";type="application/vnd.vmware.vcloud.org+xml";title="Finance", ` +
		`<https://h/api/query>; rel=down; model="QueryList", <https://h/api/entity/>;rel="entityResolver";title="a, b;c", <https://h/api/extensibility> ; rel="down:extensibility"`
)

func TestReadSessionFromEveryForm(t *testing.T) {
	for _, tc := range []struct {
		name   string
		raw    string
		links  string
		orgURN string
		idle   time.Duration
		n      int
	}{
		{"XML", sessionXML, "", "", 0, 7},
		{"JSON of /api", sessionJSON, "", "", 0, 4},
		{"JSON of /cloudapi", cloudJSON, cloudLinks, "urn:vcloud:org:1", 30 * time.Minute, 5},
	} {
		s, err := vcloud.ReadSession(&vmsso.Session{Raw: []byte(tc.raw), Values: map[string]string{"links": tc.links}})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if len(s.Links) != tc.n {
			t.Errorf("%s: links %q, want %d", tc.name, s.Links, tc.n)
		}
		s.Links = nil
		want := &vcloud.Session{
			User: "bob", UserURN: "urn:vcloud:user:1", Org: "Finance", OrgURN: tc.orgURN, Roles: []string{"Organization Administrator", "vApp User"}, Idle: tc.idle,
			OrgURL: "https://h/api/org/1", QueryListURL: "https://h/api/query", EntityResolverURL: "https://h/api/entity/", ExtensibilityURL: "https://h/api/extensibility",
		}
		if !reflect.DeepEqual(s, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tc.name, s, want)
		}
	}
}

func TestReadSessionOfOldVersionsAndFewRights(t *testing.T) {
	s, err := vcloud.ReadSession(&vmsso.Session{Raw: []byte(`<Session xmlns="http://www.vmware.com/vcloud/v1" userUrn="urn:vcloud:user:1" user="bob" org="Finance"><Link rel="down" type="application/vnd.vmware.vcloud.query.queryList+xml" href="https://h/api/query"/></Session>`)})
	if err != nil || s.UserURN != "urn:vcloud:user:1" || s.OrgURL != "" || s.QueryListURL != "https://h/api/query" || s.Roles != nil {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestReadSessionRefusesWhatDescribesNone(t *testing.T) {
	for _, raw := range []string{"", "<html/>", "{}", "[]", "null", `{"user":{"name":1}}`, "<Session", `<Error xmlns="http://www.vmware.com/vcloud/v1.5"/>`} {
		if s, err := vcloud.ReadSession(&vmsso.Session{Raw: []byte(raw)}); err == nil || s != nil {
			t.Errorf("%q: got %v, want an error", raw, s)
		}
	}
}

func TestReadSessionOfALogin(t *testing.T) {
	for _, tc := range []struct {
		a    *vcloud.Authenticator
		idle time.Duration
		role string
	}{
		{&vcloud.Authenticator{Org: "Finance"}, 30 * time.Minute, "Organization Administrator"},
		{&vcloud.Authenticator{}, 30 * time.Minute, "System Administrator"},
		{&vcloud.Authenticator{Org: "Finance", Version: "35.0"}, 0, "Organization Administrator"},
	} {
		l := newLab(t, vmssotest.DirectorConfig{})
		c, tr := l.client(t, tc.a, holder())
		raw, err := tr.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := vcloud.ReadSession(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.EqualFold(s.Org, cmp.Or(tc.a.Org, "system")) || s.User != user || !strings.HasPrefix(s.UserURN, "urn:vcloud:user:") || s.Idle != tc.idle || len(s.Roles) != 1 || s.Roles[0] != tc.role {
			t.Errorf("%s %s: got %+v", tc.a.Org, tc.a.Version, s)
		}
		for name, u := range map[string]string{"organization": s.OrgURL, "queries": s.QueryListURL, "entities": s.EntityResolverURL, "extensions": s.ExtensibilityURL} {
			if !strings.HasPrefix(u, host+"/api/") {
				t.Errorf("%s: %q", name, u)
			}
		}
		if status, text, err := do(t.Context(), c, "GET", strings.TrimPrefix(s.QueryListURL, host)+"?type=vm", nil, nil); err != nil || status != 200 {
			t.Errorf("browsing from the session: status %d, %v, %s", status, err, text)
		}
	}
}

// FuzzReadSession: whatever a server answers, there is a session or an error,
// and its parts are parts of the answer.
func FuzzReadSession(f *testing.F) {
	for _, raw := range []string{sessionXML, sessionJSON, cloudJSON, "", "{}", "<Session/>"} {
		f.Add([]byte(raw), cloudLinks)
	}
	for _, links := range []string{"<", "<a>;", "<a>;b", "<a>;b=", `<a>;b="`, "<a>;rel=b,<c>;rel=d", `<a>;rel="b" x <c>`, "<a>;rel=down;type=t;model=m;title=n;name=o"} {
		f.Add([]byte(cloudJSON), links)
	}
	f.Fuzz(func(t *testing.T, raw []byte, links string) {
		s, err := vcloud.ReadSession(&vmsso.Session{Raw: raw, Values: map[string]string{"links": links}})
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v, %v", s, err)
		}
		if s == nil {
			return
		}
		if s.Idle < 0 {
			t.Errorf("idle for %v", s.Idle)
		}
		given := map[string]bool{"": true}
		for _, l := range s.Links {
			given[l.Href] = true
		}
		for _, u := range []string{s.OrgURL, s.QueryListURL, s.EntityResolverURL, s.ExtensibilityURL} {
			if !given[u] {
				t.Errorf("%q is none of the links %q", u, s.Links)
			}
		}
	})
}
