package vmssotest

import (
	"encoding/xml"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const versionsPath = "/api/versions"

// apiVersion is a version of the API.
type apiVersion struct {
	name       string
	major      int
	automation bool // of VCF Automation: after 39.x, whatever its numbers are
}

// parseVersion reads two or three numbers. Three of them, and 9.1 and later, are VCF Automation's; 9.0 is the API of vCloud Director 8.0.
func parseVersion(name string) (v apiVersion, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return v, false
	}
	var numbers []int
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || !isDecimal(part) {
			return v, false
		}
		numbers = append(numbers, n)
	}
	return apiVersion{name, numbers[0], len(numbers) == 3 || numbers[0] == 9 && numbers[1] >= 1}, true
}

// before reports whether v is older than major.0.
func (v apiVersion) before(major int) bool { return !v.automation && v.major < major }

// hasLegacyLogin: POST /api/sessions, DELETE /api/session and X-Vcloud-Authorization went with 38.0.
func (v apiVersion) hasLegacyLogin() bool { return v.before(38) }

func (v apiVersion) hasCloudAPI() bool { return !v.before(33) }

// hasJWT reports whether a login yields a JWT.
func (v apiVersion) hasJWT() bool { return !v.before(30) }

// accept is what a request accepts.
type accept struct {
	version apiVersion
	json    bool // JSON on /api
}

// accepted reads the Accept header. The first media range that fits and names a version counts; another one must name the same.
func (d *Director) accepted(r *http.Request) (a accept, ok bool) {
	name := ""
	for item := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, err := mime.ParseMediaType(item)
		if err != nil {
			return a, false
		}
		switch version := params["version"]; {
		case version == "" || !fits(r, kind):
		case name == "":
			name, a.json = version, strings.HasSuffix(kind, "+json")
		case name != version:
			return a, false
		}
	}
	i := slices.IndexFunc(d.versions, func(v apiVersion) bool { return v.name == name })
	if i < 0 {
		return a, false
	}
	a.version = d.versions[i]
	return a, true
}

// fits reports whether the API under the path of a request has representations of this kind. /cloudapi knows nothing but application/json.
func fits(r *http.Request, kind string) bool {
	switch {
	case kind == "application/*", kind == "*/*":
		return true
	case isCloudAPI(r):
		return kind == "application/json"
	case strings.HasPrefix(r.URL.Path, "/transfer/"):
		return true
	}
	return strings.HasPrefix(kind, "application/") && (strings.HasSuffix(kind, "+xml") || strings.HasSuffix(kind, "+json"))
}

// versionInfo is how a version is published.
type versionInfo struct {
	Deprecated       bool   `xml:"deprecated,attr"`
	Version          string `xml:"Version"`
	LoginURL         string `xml:"LoginUrl"`
	ProviderLoginURL string `xml:"ProviderLoginUrl,omitempty"`
	Mappings         []mapping
}

// mapping is what versions before 5.7 publish at great length.
type mapping struct {
	XMLName         xml.Name `xml:"MediaTypeMapping"`
	MediaType       string   `xml:"MediaType"`
	ComplexTypeName string   `xml:"ComplexTypeName"`
	SchemaLocation  string   `xml:"SchemaLocation"`
}

// answerVersions answers GET /api/versions, which looks at nothing but the path: it is for clients that know nothing yet.
func (d *Director) answerVersions(w http.ResponseWriter, r *http.Request) {
	base := d.cfg.PublicURL
	if base == "" {
		base = baseURL(r)
	}
	var doc struct {
		XMLName  xml.Name      `xml:"http://www.vmware.com/vcloud/versions SupportedVersions"`
		Versions []versionInfo `xml:"VersionInfo"`
		Alpha    []versionInfo `xml:"AlphaVersion"`
	}
	for _, v := range d.versions {
		info := versionInfo{Deprecated: slices.Contains(d.cfg.Deprecated, v.name), Version: v.name, LoginURL: base + legacyLogin}
		if !v.before(36) {
			info.LoginURL, info.ProviderLoginURL = base+tenantLogin, base+providerLogin
		}
		if v.before(6) {
			info.Mappings = []mapping{
				{MediaType: sessionType + "+xml", ComplexTypeName: "SessionType", SchemaLocation: base + "/api/v1.5/schema/session.xsd"},
				{MediaType: orgType + "+xml", ComplexTypeName: "OrgType", SchemaLocation: base + "/api/v1.5/schema/organization.xsd"},
			}
		}
		doc.Versions = append(doc.Versions, info)
	}
	if d.cloudAPI {
		doc.Alpha = []versionInfo{{Version: "99.0.0-alpha", LoginURL: base + tenantLogin, ProviderLoginURL: base + providerLogin}}
	}
	writeXML(w, http.StatusOK, "text/xml", doc)
}

// baseURL is scheme and host as the client addressed them.
func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
