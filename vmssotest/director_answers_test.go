package vmssotest_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmsso/vmsso/vmssotest"
)

const versionsDocument = `<?xml version="1.0" encoding="UTF-8"?>
<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions">
  <VersionInfo deprecated="true">
    <Version>35.0</Version>
    <LoginUrl>https://vcd.example.test/api/sessions</LoginUrl>
  </VersionInfo>
  <VersionInfo deprecated="false">
    <Version>36.0</Version>
    <LoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions</LoginUrl>
    <ProviderLoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions/provider</ProviderLoginUrl>
  </VersionInfo>
  <VersionInfo deprecated="false">
    <Version>9.0</Version>
    <LoginUrl>https://vcd.example.test/api/sessions</LoginUrl>
  </VersionInfo>
  <VersionInfo deprecated="false">
    <Version>9.0.0</Version>
    <LoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions</LoginUrl>
    <ProviderLoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions/provider</ProviderLoginUrl>
  </VersionInfo>
  <VersionInfo deprecated="true">
    <Version>5.5</Version>
    <LoginUrl>https://vcd.example.test/api/sessions</LoginUrl>
    <MediaTypeMapping>
      <MediaType>application/vnd.vmware.vcloud.session+xml</MediaType>
      <ComplexTypeName>SessionType</ComplexTypeName>
      <SchemaLocation>https://vcd.example.test/api/v1.5/schema/session.xsd</SchemaLocation>
    </MediaTypeMapping>
    <MediaTypeMapping>
      <MediaType>application/vnd.vmware.vcloud.org+xml</MediaType>
      <ComplexTypeName>OrgType</ComplexTypeName>
      <SchemaLocation>https://vcd.example.test/api/v1.5/schema/organization.xsd</SchemaLocation>
    </MediaTypeMapping>
  </VersionInfo>
  <AlphaVersion deprecated="false">
    <Version>99.0.0-alpha</Version>
    <LoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions</LoginUrl>
    <ProviderLoginUrl>https://vcd.example.test/cloudapi/1.0.0/sessions/provider</ProviderLoginUrl>
  </AlphaVersion>
</SupportedVersions>`

const oldVersionsDocument = `<?xml version="1.0" encoding="UTF-8"?>
<SupportedVersions xmlns="http://www.vmware.com/vcloud/versions">
  <VersionInfo deprecated="false">
    <Version>29.0</Version>
    <LoginUrl>http://cloud.example.test:8080/api/sessions</LoginUrl>
  </VersionInfo>
</SupportedVersions>`

// Anybody may ask for the versions, whatever else the request carries.
func TestDirectorVersions(t *testing.T) {
	d := newDirector(func(c *vmssotest.DirectorConfig) {
		c.Versions, c.Deprecated = []string{"35.0", "36.0", "9.0", "9.0.0", "5.5"}, []string{"35.0", "5.5"}
	})
	for _, fields := range [][]string{
		nil,
		{"Authorization", "Bearer vmsso", "X-Vcloud-Authorization", "vmsso", "X-Vmware-Vcloud-Access-Token", "vmsso", "Cookie", "vcloud_jwt=a"},
		{"Authorization", `SIGN token="YQ=="`, "Accept", "application/json"},
	} {
		w := directorCall(d, "GET /api/versions", "", fields...)
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("%q: status %d, type %s", fields, w.Code, w.Header().Get("Content-Type"))
		}
		if diff := cmp.Diff(versionsDocument, w.Body.String()); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", fields, diff)
		}
	}
	old := newDirector(func(c *vmssotest.DirectorConfig) {
		c.Versions, c.PublicURL = []string{"29.0"}, "http://cloud.example.test:8080"
	})
	if diff := cmp.Diff(oldVersionsDocument, directorCall(old, "GET /api/versions", "").Body.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	plain := send(newDirector(nil), httptest.NewRequest("GET", "http://vcd.example.test:81/api/versions", nil)).Body.String()
	for _, version := range []string{"35.0", "36.0", "37.0", "38.0", "39.0"} {
		if !strings.Contains(plain, "<Version>"+version+"</Version>\n    <LoginUrl>http://vcd.example.test:81/") {
			t.Errorf("version %s is not there:\n%s", version, plain)
		}
	}
}

const sessionXML = `<?xml version="1.0" encoding="UTF-8"?>
<Session xmlns="http://www.vmware.com/vcloud/v1.5" locationId="ORGID@SITEID" org="Finance" roles="Organization Administrator" user="alice@example.test" userId="urn:vcloud:user:USERID" href="https://vcd.example.test/api/session" type="application/vnd.vmware.vcloud.session+xml">
  <Link rel="down" href="https://vcd.example.test/api/org/" type="application/vnd.vmware.vcloud.orgList+xml"></Link>
  <Link rel="remove" href="https://vcd.example.test/api/session"></Link>
  <Link rel="down" href="https://vcd.example.test/api/admin/" type="application/vnd.vmware.admin.vcloud+xml"></Link>
  <Link rel="down" href="https://vcd.example.test/api/org/ORGID" name="Finance" type="application/vnd.vmware.vcloud.org+xml"></Link>
  <Link rel="down" href="https://vcd.example.test/api/query" type="application/vnd.vmware.vcloud.query.queryList+xml"></Link>
  <Link rel="entityResolver" href="https://vcd.example.test/api/entity/" type="application/vnd.vmware.vcloud.entity+xml"></Link>
  <Link rel="down:extensibility" href="https://vcd.example.test/api/extensibility" type="application/vnd.vmware.vcloud.apiextensibility+xml"></Link>
  <AuthorizedLocations>
    <Location>
      <LocationId>ORGID@SITEID</LocationId>
      <SiteName>vcd.example.test</SiteName>
      <OrgName>Finance</OrgName>
      <RestApiEndpoint>https://vcd.example.test</RestApiEndpoint>
      <UIEndpoint>https://vcd.example.test</UIEndpoint>
      <AuthContext>Finance</AuthContext>
    </Location>
  </AuthorizedLocations>
</Session>`

const sessionJSON = `{"locationId":"ORGID@SITEID","org":"Finance","roles":"Organization Administrator","user":"alice@example.test",` +
	`"userId":"urn:vcloud:user:USERID","href":"https://vcd.example.test/api/session","type":"application/vnd.vmware.vcloud.session+json","link":[` +
	`{"rel":"down","href":"https://vcd.example.test/api/org/","type":"application/vnd.vmware.vcloud.orgList+json"},` +
	`{"rel":"remove","href":"https://vcd.example.test/api/session"},` +
	`{"rel":"down","href":"https://vcd.example.test/api/admin/","type":"application/vnd.vmware.admin.vcloud+json"},` +
	`{"rel":"down","href":"https://vcd.example.test/api/org/ORGID","name":"Finance","type":"application/vnd.vmware.vcloud.org+json"},` +
	`{"rel":"down","href":"https://vcd.example.test/api/query","type":"application/vnd.vmware.vcloud.query.queryList+json"},` +
	`{"rel":"entityResolver","href":"https://vcd.example.test/api/entity/","type":"application/vnd.vmware.vcloud.entity+json"},` +
	`{"rel":"down:extensibility","href":"https://vcd.example.test/api/extensibility","type":"application/vnd.vmware.vcloud.apiextensibility+json"}],` +
	`"authorizedLocations":[{"locationId":"ORGID@SITEID","siteName":"vcd.example.test","orgName":"Finance",` +
	`"restApiEndpoint":"https://vcd.example.test","uiEndpoint":"https://vcd.example.test","authContext":"Finance"}]}`

const cloudSession = `{"id":"urn:vcloud:session:SESSIONID","site":{"name":"Test site","id":"urn:vcloud:site:SITEID"},` +
	`"user":{"name":"alice@example.test","id":"urn:vcloud:user:USERID"},"org":{"name":"Finance","id":"urn:vcloud:org:ORGID"},` +
	`"location":"ORGID@SITEID","roles":["Organization Administrator"],` +
	`"roleRefs":[{"name":"Organization Administrator","id":"urn:vcloud:role:ROLEID"}],"sessionIdleTimeoutMinutes":30}`

// The login and a look at the session later are answered the same.
func TestDirectorSessionDocuments(t *testing.T) {
	for _, test := range []struct{ path, current, accept, kind, want string }{
		{"/api/sessions", "/api/session", xml37, "application/vnd.vmware.vcloud.session+xml;version=37.0", sessionXML},
		{"/api/sessions", "/api/session", "application/*;version=36.0", "application/vnd.vmware.vcloud.session+xml;version=36.0", sessionXML},
		{"/api/sessions", "/api/session", "application/*+json;version=37.0", "application/vnd.vmware.vcloud.session+json;version=37.0", sessionJSON},
		{tenants, tenants + "/current", json37, "application/json", cloudSession},
		{tenants, tenants + "/urn:vcloud:session:SESSIONID", json37, "application/json", cloudSession},
	} {
		session := ""
		d := newDirector(func(c *vmssotest.DirectorConfig) {
			c.OnLogin = func(l vmssotest.DirectorLogin) { session = l.Session }
		})
		s := newSignIn()
		at(test.path, "Finance", test.accept)(s)
		login := send(d, s.build(t))
		op := "GET " + strings.Replace(test.current, "SESSIONID", session, 1)
		later := directorCall(d, op, "", "Accept", test.accept, "Authorization", bearerOf(login.Header()))
		for _, w := range []*httptest.ResponseRecorder{login, later} {
			if w.Code != 200 || w.Header().Get("Content-Type") != test.kind {
				t.Errorf("%s: status %d, type %s", op, w.Code, w.Header().Get("Content-Type"))
			}
			if diff := cmp.Diff(test.want, withoutIDs(w.Body.String(), session)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", op, diff)
			}
		}
		if got := jwtClaims(t, login.Header().Get("X-Vmware-Vcloud-Access-Token")); got.JTI != strings.ReplaceAll(session, "-", "") || got.Sub != "alice@example.test" {
			t.Errorf("JWT %+v, session %s", got, session)
		}
	}
}

// withoutIDs puts the names of the ids where they stand.
func withoutIDs(doc, session string) string {
	doc = strings.ReplaceAll(doc, session, "SESSIONID")
	const id = `([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`
	for _, where := range []struct{ expr, name string }{
		{`urn:vcloud:user:` + id, "USERID"}, {`urn:vcloud:role:` + id, "ROLEID"}, {`@` + id, "SITEID"}, {`(?:"|>)` + id + `@`, "ORGID"},
	} {
		if m := regexp.MustCompile(where.expr).FindStringSubmatch(doc); m != nil {
			doc = strings.ReplaceAll(doc, m[1], where.name)
		}
	}
	return doc
}

func TestDirectorSessionDetails(t *testing.T) {
	login := func(d http.Handler, path, org, accept string) *httptest.ResponseRecorder {
		s := newSignIn()
		at(path, org, accept)(s)
		return send(d, s.build(t))
	}
	idle := func(c *vmssotest.DirectorConfig) {
		c.Idle = 90*time.Second + 1
		c.Versions = []string{"34.0", "35.0", "9.0.0"}
	}
	for version, want := range map[string]string{"34.0": `}]}`, "35.0": `,"sessionIdleTimeoutMinutes":2}`, "9.0.0": `,"sessionIdleTimeoutMinutes":2}`} {
		if got := login(newDirector(idle), tenants, "Finance", "application/json;version="+version).Body.String(); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	w := login(newDirector(nil), provider, "System", json37)
	if got := w.Body.String(); !strings.Contains(got, `"org":{"name":"System",`) || !strings.Contains(got, `"roles":["System Administrator"]`) {
		t.Error(got)
	}
	links := strings.Join(w.Header()["Link"], "\n")
	want := `<https://vcd.example.test/api/org/>;rel="down";type="application/vnd.vmware.vcloud.orgList+xml"
<https://vcd.example.test/api/session>;rel="remove"
<https://vcd.example.test/api/admin/>;rel="down";type="application/vnd.vmware.admin.vcloud+xml"
<https://vcd.example.test/api/org/ORGID>;rel="down";type="application/vnd.vmware.vcloud.org+xml";title="System"
<https://vcd.example.test/api/query>;rel="down";type="application/vnd.vmware.vcloud.query.queryList+xml"
<https://vcd.example.test/api/entity/>;rel="entityResolver";type="application/vnd.vmware.vcloud.entity+xml"
<https://vcd.example.test/api/extensibility>;rel="down:extensibility";type="application/vnd.vmware.vcloud.apiextensibility+xml"`
	if diff := cmp.Diff(want, regexp.MustCompile(`org/[0-9a-f-]{36}`).ReplaceAllString(links, "org/ORGID")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := login(newDirector(nil), "/api/sessions", "", xml37).Body.String(); !strings.Contains(got, ` org="System" roles="System Administrator"`) {
		t.Error(got)
	}
}

const vmRecords = `<?xml version="1.0" encoding="UTF-8"?>
<QueryResultRecords xmlns="http://www.vmware.com/vcloud/v1.5" href="https://vcd.example.test/api/query?type=vm&amp;page=1" type="application/vnd.vmware.vcloud.query.records+xml" name="vm" page="1" pageSize="25" total="3">
  <VMRecord href="https://vcd.example.test/api/vApp/vm-1" name="web01" status="POWERED_ON" numberOfCpus="2" memoryMB="4096"></VMRecord>
  <VMRecord href="https://vcd.example.test/api/vApp/vm-2" name="web02" status="POWERED_ON" numberOfCpus="2" memoryMB="4096"></VMRecord>
  <VMRecord href="https://vcd.example.test/api/vApp/vm-3" name="db01" status="POWERED_OFF" numberOfCpus="4" memoryMB="16384"></VMRecord>
</QueryResultRecords>`

const vmPage = `{"resultTotal":3,"pageCount":1,"page":1,"pageSize":25,"values":[` +
	`{"id":"vm-1","name":"web01","status":"POWERED_ON","numberOfCpus":2,"memoryMB":4096},` +
	`{"id":"vm-2","name":"web02","status":"POWERED_ON","numberOfCpus":2,"memoryMB":4096},` +
	`{"id":"vm-3","name":"db01","status":"POWERED_OFF","numberOfCpus":4,"memoryMB":16384}]}`

const forbiddenXML = `<?xml version="1.0" encoding="UTF-8"?>
<Error xmlns="http://www.vmware.com/vcloud/v1.5" minorErrorCode="ACCESS_TO_RESOURCE_IS_FORBIDDEN" message="the session has no right to PATH" majorErrorCode="403"></Error>`

func TestDirectorResources(t *testing.T) {
	d := newDirector(nil)
	tenant := bearerOf(logIn(t, d, nil))
	admin := bearerOf(logIn(t, d, at(provider, "System", json37)))
	const (
		json    = "application/*+json;version=37.0"
		orgList = `<?xml version="1.0" encoding="UTF-8"?>
<OrgList xmlns="http://www.vmware.com/vcloud/v1.5" href="https://vcd.example.test/api/org/" type="application/vnd.vmware.vcloud.orgList+xml">
  <Org href="https://vcd.example.test/api/org/ORGID" name="Finance" type="application/vnd.vmware.vcloud.org+xml"></Org>
`
		system  = `  <Org href="https://vcd.example.test/api/org/ORGID" name="System" type="application/vnd.vmware.vcloud.org+xml"></Org>` + "\n"
		errType = "application/vnd.vmware.vcloud.error"
	)
	for _, test := range []struct {
		op, accept, auth, body string
		status                 int
		kind, want             string
	}{
		{"GET /api/org", xml37, tenant, "", 200, "application/vnd.vmware.vcloud.orgList+xml;version=37.0", orgList + "</OrgList>"},
		{"GET /api/org/", xml37, admin, "", 200, "application/vnd.vmware.vcloud.orgList+xml;version=37.0", orgList + system + "</OrgList>"},
		{"GET /api/query?type=vm&page=1", xml37, tenant, "", 200, "application/vnd.vmware.vcloud.query.records+xml;version=37.0", vmRecords},
		{"GET /api/query", xml37, tenant, "", 400, errType + "+xml", ""},
		{"GET /api/query?type=vApp", xml37, tenant, "", 400, errType + "+xml", ""},
		{"GET /cloudapi/1.0.0/vms", json37, tenant, "", 200, "application/json", vmPage},
		{"POST /api/echo", xml37, tenant, "\x00 any", 200, "application/octet-stream", "\x00 any"},
		{"PUT /transfer/a/b", xml37, tenant, "12345", 200, "application/json", "5"},
		{"GET /transfer/a", xml37, tenant, "", 404, errType + "+xml", ""},
		{"GET /api/admin", xml37, tenant, "", 403, errType + "+xml", strings.Replace(forbiddenXML, "PATH", "/api/admin", 1)},
		{"POST /api/admin/orgs", xml37, tenant, "", 403, errType + "+xml", strings.Replace(forbiddenXML, "PATH", "/api/admin/orgs", 1)},
		{"GET /api/admin/", json, tenant, "", 403, errType + "+json;version=37.0",
			`{"minorErrorCode":"ACCESS_TO_RESOURCE_IS_FORBIDDEN","message":"the session has no right to /api/admin/","majorErrorCode":403}`},
		{"GET /cloudapi/1.0.0/site", json37, tenant, "", 403, "application/json",
			`{"minorErrorCode":"ACCESS_TO_RESOURCE_IS_FORBIDDEN","message":"the session has no right to /cloudapi/1.0.0/site"}`},
		{"GET /api/admin", xml37, admin, "", 200, "application/vnd.vmware.admin.vcloud+xml;version=37.0", ""},
		{"GET /cloudapi/1.0.0/site", json37, admin, "", 200, "application/json", ""},
		{"GET /api/administrator", xml37, tenant, "", 404, errType + "+xml", ""},
		{"GET /api/unknown", xml37, tenant, "", 404, errType + "+xml", `<?xml version="1.0" encoding="UTF-8"?>
<Error xmlns="http://www.vmware.com/vcloud/v1.5" minorErrorCode="NOT_FOUND" message="there is no GET /api/unknown" majorErrorCode="404"></Error>`},
		{"GET /cloudapi/1.0.0/unknown", json37, tenant, "", 404, "application/json", `{"minorErrorCode":"NOT_FOUND","message":"there is no GET /cloudapi/1.0.0/unknown"}`},
	} {
		w := directorCall(d, test.op, test.body, "Accept", test.accept, "Authorization", test.auth)
		if w.Code != test.status || w.Header().Get("Content-Type") != test.kind {
			t.Errorf("%s: status %d, want %d; type %s, want %s", test.op, w.Code, test.status, w.Header().Get("Content-Type"), test.kind)
		}
		got := regexp.MustCompile(`org/[0-9a-f-]{36}`).ReplaceAllString(w.Body.String(), "org/ORGID")
		if diff := cmp.Diff(test.want, got); diff != "" && test.want != "" {
			t.Errorf("%s: (-want +got)\n%s", test.op, diff)
		}
	}
}

// Over a real connection, of either version of HTTP.
func TestDirectorOverTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		d := newDirector(nil)
		server := vmssotest.Listen(d)
		transport := server.Transport()
		transport.ForceAttemptHTTP2 = h2
		do := func(r *http.Request, host string) *http.Response {
			t.Helper()
			r.RequestURI, r.URL.Host, r.Host = "", host, ""
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if (resp.ProtoMajor == 2) != h2 {
				t.Errorf("%s", resp.Proto)
			}
			return resp
		}
		host := strings.TrimPrefix(server.URL, "https://")
		login := do(newSignIn().build(t), host)
		answer, err := io.ReadAll(login.Body)
		if err != nil || login.StatusCode != 200 || !strings.Contains(string(answer), ` href="`+server.URL+`/api/session"`) {
			t.Errorf("status %d, answer %s, error %v, reasons %q", login.StatusCode, answer, err, d.Reasons())
		}
		upload := func(auth string, fill int) *http.Response {
			r := httptest.NewRequest("PUT", "https://vcd.example.test/transfer/a", io.LimitReader(zeros{}, 1<<20))
			r.ContentLength = 1 << 20
			r.Header.Set("Accept", xml37)
			r.Header.Set("Authorization", auth)
			r.Header.Set("X-Fill", strings.Repeat("a", fill))
			return do(r, host)
		}
		for _, test := range []struct {
			auth string
			fill int
			want string
		}{
			{bearerOf(login.Header), 0, "200 1048576"},
			{"Bearer vmsso", 0, "401 "}, // early: the body is not read
			{bearerOf(login.Header), 8192, "431 Request Header Fields Too Large\n"},
		} {
			resp := upload(test.auth, test.fill)
			body, err := io.ReadAll(resp.Body)
			if got := fmt.Sprintf("%d %s", resp.StatusCode, body); err != nil || got != test.want {
				t.Errorf("%s: %q, want %q; error %v", resp.Proto, got, test.want, err)
			}
			if resp.StatusCode == 401 && resp.ContentLength != 0 {
				t.Errorf("%s: length %d", resp.Proto, resp.ContentLength)
			}
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestNewDirectorPanics(t *testing.T) {
	trust := []*x509.Certificate{idp().Certificate()}
	for name, cfg := range map[string]vmssotest.DirectorConfig{
		"nobody is trusted":  {},
		"version is empty":   {Trust: trust, Versions: []string{""}},
		"version of one":     {Trust: trust, Versions: []string{"37"}},
		"version of four":    {Trust: trust, Versions: []string{"9.0.0.0"}},
		"version of letters": {Trust: trust, Versions: []string{"37.0", "38.x"}},
		"version with sign":  {Trust: trust, Versions: []string{"37.+1"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			vmssotest.NewDirector(cfg)
		})
	}
}
