package vcloud

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
)

// A Session is what a login told of the user and of the URLs from which it can
// begin browsing.
type Session struct {
	User    string   // its name
	UserURN string   // urn:vcloud:user:…, "" if not told
	Org     string   // the name of its organization
	OrgURN  string   // urn:vcloud:org:…, "" if not told
	Roles   []string // names; none if not told
	Links   []Link   // all of them, in the order of the answer

	// The URLs of four of the Links, "" if the user has no right to it: its
	// organization, the typed queries (to which "?type=vm" and the like is added),
	// the entity resolver, and the extension services.
	OrgURL, QueryListURL, EntityResolverURL, ExtensibilityURL string

	// Idle is after which time without a request the session ends; 0 if not
	// told, which is the case before API version 35.0.
	Idle time.Duration
}

// A Link is a URL with its relation to the session and the media type, or model,
// of what is there.
type Link struct{ Rel, Type, Name, Href string }

// ReadSession reads what the login of a [vmsso.Transport] with an
// [Authenticator] of this package told:
//
//	s, err := transport.Session(ctx)
//	…
//	session, err := vcloud.ReadSession(s)
//
// It sends nothing. The URLs are those that the system gave; some may be on
// other sites, where this session is not sent.
func ReadSession(s *vmsso.Session) (*Session, error) {
	r := &Session{}
	var err error
	if text := bytes.TrimSpace(s.Raw); bytes.HasPrefix(text, []byte("{")) {
		err = r.readJSON(text)
	} else {
		err = r.readXML(text)
	}
	if err != nil {
		return nil, errors.New("the answer of the login describes no session: is this a Cloud Director?")
	}
	r.Links = append(r.Links, parseLinks(s.Values[valueLinks])...)
	r.OrgURL = r.find("", "application/vnd.vmware.vcloud.org+", "org")
	r.QueryListURL = r.find("", "application/vnd.vmware.vcloud.query.queryList+", "querylist")
	r.EntityResolverURL = r.find("entityResolver", "", "")
	r.ExtensibilityURL = r.find("down:extensibility", "", "")
	return r, nil
}

// find returns the URL of the link with this relation or, without one, of this
// type or model; of several, the one that has the name of the organization.
func (s *Session) find(rel, mediaType, model string) (href string) {
	for _, l := range s.Links {
		if rel != "" && l.Rel != rel || rel == "" && (l.Rel != "down" || !strings.HasPrefix(l.Type, mediaType) && !strings.EqualFold(l.Type, model)) {
			continue
		}
		if l.Name == s.Org {
			return l.Href
		}
		href = cmp.Or(href, l.Href)
	}
	return href
}

func (s *Session) readXML(text []byte) error {
	var doc struct {
		XMLName xml.Name `xml:"Session"`
		User    string   `xml:"user,attr"`
		UserID  string   `xml:"userId,attr"`
		UserURN string   `xml:"userUrn,attr"` // before 5.6
		Org     string   `xml:"org,attr"`
		Roles   string   `xml:"roles,attr"`
		Link    []struct {
			Rel  string `xml:"rel,attr"`
			Type string `xml:"type,attr"`
			Name string `xml:"name,attr"`
			Href string `xml:"href,attr"`
		} `xml:"Link"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return err
	}
	s.User, s.UserURN, s.Org, s.Roles = doc.User, cmp.Or(doc.UserID, doc.UserURN), doc.Org, splitRoles(doc.Roles)
	for _, l := range doc.Link {
		s.Links = append(s.Links, Link(l))
	}
	return nil
}

// readJSON reads the session of the cloudapi, whose user and organization are
// references, or that of /api, which is the XML in other clothes.
func (s *Session) readJSON(text []byte) error {
	var doc struct {
		User   reference `json:"user"`
		Org    reference `json:"org"`
		UserID string    `json:"userId"`
		Roles  roles     `json:"roles"`
		Idle   int       `json:"sessionIdleTimeoutMinutes"`
		Link   []struct {
			Rel  string `json:"rel"`
			Type string `json:"type"`
			Name string `json:"name"`
			Href string `json:"href"`
		} `json:"link"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	if doc.User.Name == "" && doc.Org.Name == "" {
		return errors.New("neither user nor organization")
	}
	s.User, s.UserURN = doc.User.Name, cmp.Or(doc.User.ID, doc.UserID)
	s.Org, s.OrgURN = doc.Org.Name, doc.Org.ID
	s.Roles = doc.Roles
	s.Idle = time.Duration(min(max(doc.Idle, 0), 1<<20)) * time.Minute
	for _, l := range doc.Link {
		s.Links = append(s.Links, Link(l))
	}
	return nil
}

// A reference is an object with a name and ID, or the name alone.
type reference struct{ Name, ID string }

func (r *reference) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, &r.Name)
	}
	type plain reference
	return json.Unmarshal(text, (*plain)(r))
}

// roles are a list, or a text with commas.
type roles []string

func (r *roles) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, (*[]string)(r))
	}
	var s string
	err := json.Unmarshal(text, &s)
	*r = splitRoles(s)
	return err
}

func splitRoles(s string) (list []string) {
	for role := range strings.SplitSeq(s, ",") {
		if role = strings.TrimSpace(role); role != "" {
			list = append(list, role)
		}
	}
	return list
}

// parseLinks reads the Link header of the cloudapi (RFC 8288). A link that is
// not well-formed ends it.
func parseLinks(header string) (links []Link) {
	for {
		_, rest, ok := strings.Cut(header, "<")
		if !ok {
			return links
		}
		l := Link{}
		if l.Href, rest, ok = strings.Cut(rest, ">"); !ok {
			return links
		}
		for rest = strings.TrimLeft(rest, " \t"); strings.HasPrefix(rest, ";"); rest = strings.TrimLeft(rest, " \t") {
			var name, value string
			if name, value, rest, ok = cutParameter(strings.TrimLeft(rest[1:], " \t")); !ok {
				return links
			}
			l.set(strings.ToLower(name), value)
		}
		links = append(links, l)
		header = rest
	}
}

func (l *Link) set(parameter, value string) {
	switch parameter {
	case "rel":
		l.Rel = value
	case "type", "model":
		l.Type = cmp.Or(l.Type, value)
	case "title", "name":
		l.Name = cmp.Or(l.Name, value)
	}
}

// cutParameter takes name=value or name="value" off s.
func cutParameter(s string) (name, value, rest string, ok bool) {
	end := strings.IndexAny(s, "=;,")
	if end < 0 || s[end] != '=' {
		return "", "", "", false
	}
	name, rest = strings.TrimSpace(s[:end]), s[end+1:]
	if quoted, is := strings.CutPrefix(rest, `"`); is {
		value, rest, ok = strings.Cut(quoted, `"`)
		return name, value, rest, ok
	}
	end = strings.IndexAny(rest+",", ";, ")
	return name, rest[:end], rest[end:], true
}

// expiry reads when a JSON Web Token expires (RFC 7519, exp). It is a hint: the
// token is not verified, and the server decides.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(text, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Exp, 0)
}

// readError reads an Error of the API, in XML or JSON.
func readError(body []byte) (code, text string) {
	var e struct {
		XMLName xml.Name `xml:"Error" json:"-"`
		Code    string   `xml:"minorErrorCode,attr" json:"minorErrorCode"`
		Text    string   `xml:"message,attr" json:"message"`
	}
	if json.Unmarshal(body, &e) != nil && xml.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Code, e.Text
}
