package vmssotest

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"strings"
)

// Media types without "+xml" or "+json".
const (
	sessionType = "application/vnd.vmware.vcloud.session"
	orgListType = "application/vnd.vmware.vcloud.orgList"
	orgType     = "application/vnd.vmware.vcloud.org"
	errorType   = "application/vnd.vmware.vcloud.error"
)

// named is a reference of /cloudapi.
type named struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

type link struct {
	Rel  string `xml:"rel,attr" json:"rel"`
	Href string `xml:"href,attr" json:"href"`
	Name string `xml:"name,attr,omitempty" json:"name,omitempty"`
	Type string `xml:"type,attr,omitempty" json:"type,omitempty"`
}

// location is where a session can go; there is one.
type location struct {
	ID           string `xml:"LocationId" json:"locationId"`
	SiteName     string `xml:"SiteName" json:"siteName"`
	OrgName      string `xml:"OrgName" json:"orgName"`
	RESTEndpoint string `xml:"RestApiEndpoint" json:"restApiEndpoint"`
	UIEndpoint   string `xml:"UIEndpoint" json:"uiEndpoint"`
	AuthContext  string `xml:"AuthContext" json:"authContext"`
}

// legacySessionInfo is a session as /api shows it.
type legacySessionInfo struct {
	XMLName    xml.Name   `xml:"http://www.vmware.com/vcloud/v1.5 Session" json:"-"`
	LocationID string     `xml:"locationId,attr" json:"locationId"`
	Org        string     `xml:"org,attr" json:"org"`
	Roles      string     `xml:"roles,attr" json:"roles"`
	User       string     `xml:"user,attr" json:"user"`
	UserID     string     `xml:"userId,attr" json:"userId"`
	Href       string     `xml:"href,attr" json:"href"`
	Type       string     `xml:"type,attr" json:"type"`
	Links      []link     `xml:"Link" json:"link"`
	Locations  []location `xml:"AuthorizedLocations>Location" json:"authorizedLocations"`
}

// cloudSessionInfo is a session as /cloudapi shows it.
type cloudSessionInfo struct {
	ID       string   `json:"id"`
	Site     named    `json:"site"`
	User     named    `json:"user"`
	Org      named    `json:"org"`
	Location string   `json:"location"`
	Roles    []string `json:"roles"`
	RoleRefs []named  `json:"roleRefs"`
	Idle     *int     `json:"sessionIdleTimeoutMinutes,omitempty"` // since 35.0
}

// answerSession answers with the session, as the login does.
func (d *Director) answerSession(w http.ResponseWriter, r *http.Request, s *directorSession, a accept) {
	base, role := baseURL(r), "Organization Administrator"
	if s.org == provider {
		role = "System Administrator"
	}
	user := "urn:vcloud:user:" + uuidOf("user", s.org, s.user)
	if !isCloudAPI(r) {
		a.write(w, sessionType, legacySessionInfo{
			LocationID: locationID(s.org), Org: s.org, Roles: role, User: s.user, UserID: user,
			Href: base + legacySessionPath, Type: sessionType + a.suffix(),
			Links:     s.links(base, a.suffix()),
			Locations: []location{{locationID(s.org), r.Host, s.org, base, base, s.org}},
		})
		return
	}
	for _, l := range s.links(base, "+xml") { // the form that vcd-ext-sdk reads
		field := fmt.Sprintf(`<%s>;rel="%s"`, l.Href, l.Rel)
		if l.Type != "" {
			field += fmt.Sprintf(`;type="%s"`, l.Type)
		}
		if l.Name != "" {
			field += fmt.Sprintf(`;title="%s"`, l.Name)
		}
		w.Header().Add("Link", field)
	}
	info := cloudSessionInfo{
		ID: sessionURN(s), Site: named{"Test site", "urn:vcloud:site:" + uuidOf("site")}, User: named{s.user, user},
		Org: named{s.org, "urn:vcloud:org:" + uuidOf("org", s.org)}, Location: locationID(s.org),
		Roles: []string{role}, RoleRefs: []named{{role, "urn:vcloud:role:" + uuidOf("role", role)}},
	}
	if !a.version.before(35) {
		info.Idle = new(int(math.Ceil(d.cfg.Idle.Minutes())))
	}
	writeJSON(w, http.StatusOK, info)
}

// links are what a session can do, in the order in which a cell has them.
func (s *directorSession) links(base, suffix string) []link {
	return []link{
		{"down", base + "/api/org/", "", orgListType + suffix},
		{"remove", base + legacySessionPath, "", ""},
		{"down", base + "/api/admin/", "", "application/vnd.vmware.admin.vcloud" + suffix},
		{"down", base + "/api/org/" + uuidOf("org", s.org), s.org, orgType + suffix},
		{"down", base + "/api/query", "", "application/vnd.vmware.vcloud.query.queryList" + suffix},
		{"entityResolver", base + "/api/entity/", "", "application/vnd.vmware.vcloud.entity" + suffix},
		{"down:extensibility", base + "/api/extensibility", "", "application/vnd.vmware.vcloud.apiextensibility" + suffix},
	}
}

func sessionURN(s *directorSession) string { return "urn:vcloud:session:" + s.cookie }

// locationID names an organization at a site.
func locationID(org string) string { return uuidOf("org", org) + "@" + uuidOf("site") }

// uuidOf returns the same UUID for the same names, in any process.
func uuidOf(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// suffix is what media types end with.
func (a accept) suffix() string {
	if a.json {
		return "+json"
	}
	return "+xml"
}

// write answers with a document of /api.
func (a accept) write(w http.ResponseWriter, kind string, doc any) {
	kind += a.suffix() + ";version=" + a.version.name
	if a.json {
		data, err := json.Marshal(doc)
		writeDocument(w, http.StatusOK, kind, data, err)
		return
	}
	writeXML(w, http.StatusOK, kind, doc)
}

func writeXML(w http.ResponseWriter, status int, kind string, doc any) {
	data, err := xml.MarshalIndent(doc, "", "  ")
	writeDocument(w, status, kind, append([]byte(xml.Header), data...), err)
}

func writeDocument(w http.ResponseWriter, status int, kind string, data []byte, err error) {
	if err != nil {
		panic("vmssotest: " + err.Error()) // only values of this package come here
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// empty answers without a body, which is all that a cell says about credentials.
func empty(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// fail answers with an error, in the form of /api or of /cloudapi.
func (d *Director) fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	doc := struct {
		XMLName xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 Error" json:"-"`
		Minor   string   `xml:"minorErrorCode,attr" json:"minorErrorCode"`
		Message string   `xml:"message,attr" json:"message"`
		Major   int      `xml:"majorErrorCode,attr" json:"majorErrorCode,omitempty"`
	}{Minor: strings.ToUpper(strings.ReplaceAll(http.StatusText(status), " ", "_")), Message: message, Major: status}
	switch status {
	case http.StatusForbidden:
		doc.Minor = "ACCESS_TO_RESOURCE_IS_FORBIDDEN"
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
		if r.URL.Path == versionsPath {
			w.Header().Set("Allow", http.MethodGet)
		}
	}
	a, _ := d.accepted(r)
	switch {
	case isCloudAPI(r):
		doc.Major = 0 // is not there
		writeJSON(w, status, doc)
	case a.json:
		data, err := json.Marshal(doc)
		writeDocument(w, status, errorType+"+json;version="+a.version.name, data, err)
	default:
		writeXML(w, status, errorType+"+xml", doc)
	}
}
