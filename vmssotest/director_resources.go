package vmssotest

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	legacySessionPath = "/api/session"
	currentSession    = tenantLogin + "/current"
)

// answer answers a request of a session.
func (d *Director) answer(w http.ResponseWriter, r *http.Request, s *directorSession, a accept) {
	op := directorOperation(r)
	if own := r.URL.Path == tenantLogin+"/"+sessionURN(s); own {
		op = r.Method + " " + currentSession
	}
	switch {
	case s.org != provider && isForProvider(r.URL.Path):
		d.fail(w, r, http.StatusForbidden, "the session has no right to "+r.URL.Path)
	case op == "GET "+legacySessionPath, op == "GET "+currentSession:
		d.answerSession(w, r, s, a)
	case op == "DELETE "+legacySessionPath && a.version.hasLegacyLogin(), op == "DELETE "+currentSession:
		d.sessions.end(s.cookie)
		w.WriteHeader(http.StatusNoContent)
	case op == "GET /api/org", op == "GET /api/org/": // the link has the slash
		d.answerOrgs(w, r, s, a)
	case op == "GET /api/query":
		d.answerQuery(w, r, a)
	case op == "GET /api/admin", op == "GET /api/admin/":
		d.answerAdmin(w, r, a)
	case op == "GET /cloudapi/1.0.0/site":
		writeJSON(w, http.StatusOK, named{"Test site", "urn:vcloud:site:" + uuidOf("site")})
	case op == "GET /cloudapi/1.0.0/vms":
		answerPage(w)
	case op == "POST /api/echo":
		echo(w, r)
	case isTransfer(op):
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, http.StatusOK, n)
	default:
		d.fail(w, r, http.StatusNotFound, "there is no "+op)
	}
}

// isForProvider reports whether tenants have no right to a path.
func isForProvider(path string) bool {
	return strings.HasPrefix(path+"/", "/api/admin/") || strings.HasPrefix(path+"/", "/cloudapi/1.0.0/site/")
}

// answerOrgs answers with the organizations that a session sees: all of them or its own.
func (d *Director) answerOrgs(w http.ResponseWriter, r *http.Request, s *directorSession, a accept) {
	type org struct {
		Href string `xml:"href,attr" json:"href"`
		Name string `xml:"name,attr" json:"name"`
		Type string `xml:"type,attr" json:"type"`
	}
	doc := struct {
		XMLName xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 OrgList" json:"-"`
		Href    string   `xml:"href,attr" json:"href"`
		Type    string   `xml:"type,attr" json:"type"`
		Orgs    []org    `xml:"Org" json:"org"`
	}{Href: baseURL(r) + "/api/org/", Type: orgListType + a.suffix()}
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Orgs)) {
		if name == s.org || s.org == provider {
			doc.Orgs = append(doc.Orgs, org{baseURL(r) + "/api/org/" + uuidOf("org", name), name, orgType + a.suffix()})
		}
	}
	a.write(w, orgListType, doc)
}

// answerQuery answers a query for machines.
func (d *Director) answerQuery(w http.ResponseWriter, r *http.Request, a accept) {
	if kind := r.URL.Query().Get("type"); kind != "vm" {
		d.fail(w, r, http.StatusBadRequest, "a query must be one for vm")
		return
	}
	type record struct {
		XMLName xml.Name `xml:"VMRecord" json:"-"`
		Href    string   `xml:"href,attr" json:"href"`
		Name    string   `xml:"name,attr" json:"name"`
		Status  string   `xml:"status,attr" json:"status"`
		CPUs    int      `xml:"numberOfCpus,attr" json:"numberOfCpus"`
		Memory  int      `xml:"memoryMB,attr" json:"memoryMB"`
	}
	const records = "application/vnd.vmware.vcloud.query.records"
	doc := struct {
		XMLName  xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 QueryResultRecords" json:"-"`
		Href     string   `xml:"href,attr" json:"href"`
		Type     string   `xml:"type,attr" json:"type"`
		Name     string   `xml:"name,attr" json:"name"`
		Page     int      `xml:"page,attr" json:"page"`
		PageSize int      `xml:"pageSize,attr" json:"pageSize"`
		Total    int      `xml:"total,attr" json:"total"`
		Records  []record `json:"record"`
	}{Href: baseURL(r) + r.URL.RequestURI(), Type: records + a.suffix(), Name: "vm", Page: 1, PageSize: 25, Total: len(machines)}
	for _, m := range machines {
		href := baseURL(r) + "/api/vApp/" + m.VM
		doc.Records = append(doc.Records, record{Href: href, Name: m.Name, Status: m.PowerState, CPUs: m.CPUs, Memory: m.Memory})
	}
	a.write(w, records, doc)
}

// answerAdmin answers with what the provider administers.
func (d *Director) answerAdmin(w http.ResponseWriter, r *http.Request, a accept) {
	const kind = "application/vnd.vmware.admin.vcloud"
	a.write(w, kind, struct {
		XMLName xml.Name `xml:"http://www.vmware.com/vcloud/v1.5 VCloud" json:"-"`
		Href    string   `xml:"href,attr" json:"href"`
		Type    string   `xml:"type,attr" json:"type"`
		Name    string   `xml:"name,attr" json:"name"`
	}{Href: baseURL(r) + "/api/admin/", Type: kind + a.suffix(), Name: "VMware Cloud Director"})
}

// answerPage answers with the machines as /cloudapi does.
func answerPage(w http.ResponseWriter) {
	type value struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Status string `json:"status"`
		CPUs   int    `json:"numberOfCpus"`
		Memory int    `json:"memoryMB"`
	}
	page := struct {
		Total    int     `json:"resultTotal"`
		Pages    int     `json:"pageCount"`
		Page     int     `json:"page"`
		PageSize int     `json:"pageSize"`
		Values   []value `json:"values"`
	}{Total: len(machines), Pages: 1, Page: 1, PageSize: 25}
	for _, m := range machines {
		page.Values = append(page.Values, value{m.VM, m.Name, m.PowerState, m.CPUs, m.Memory})
	}
	writeJSON(w, http.StatusOK, page)
}
