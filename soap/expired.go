package soap

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/peek"
)

// peekBytes of an answer tell whether the session is gone.
const peekBytes = 2 << 10

// Expired implements [vmsso.Authenticator]. A session that is gone shows as
//
//   - a SOAP fault NotAuthenticated: Yes;
//   - status 401 of the file services: Yes;
//   - status 200 with NotAuthenticated in the missingSet of a
//     RetrievePropertiesEx: Perhaps, a privilege may be missing;
//   - ManagedObjectNotFound for an object that lives in a session: Perhaps.
func (a *Authenticator) Expired(resp *http.Response) vmsso.Verdict {
	if resp.StatusCode == http.StatusUnauthorized {
		return vmsso.Yes
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusInternalServerError ||
		!strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "text/xml") {
		return vmsso.No
	}
	head := peek.Head(resp, peekBytes, nil)
	if resp.StatusCode == http.StatusOK {
		missing := bytes.Index(head, []byte("<missingSet>"))
		if missing < 0 || bytes.Contains(head[:missing], []byte("<propSet>")) || !says(head[missing:], "NotAuthenticated") {
			return vmsso.No
		}
		return vmsso.Perhaps
	}
	switch {
	case says(head, "NotAuthenticated"):
		return vmsso.Yes
	case says(head, "ManagedObjectNotFound") && bytes.Contains(head, []byte("session[")):
		return vmsso.Perhaps
	}
	return vmsso.No
}

// says tells whether there is a fault of this type: an element <TypeFault …>, or
// the type in an xsi:type attribute. A mention in a text is none.
func says(b []byte, fault string) bool {
	for {
		i := bytes.Index(b, []byte(fault))
		if i < 0 {
			return false
		}
		before, after := b[:i], b[i+len(fault):]
		typed := bytes.HasPrefix(after, []byte(`"`)) && (bytes.HasSuffix(before, []byte(`type="`)) || bytes.HasSuffix(before, []byte(`:`)))
		element := bytes.HasPrefix(after, []byte("Fault")) && (bytes.HasSuffix(before, []byte("<")) || bytes.HasSuffix(before, []byte(":")))
		if typed || element {
			return true
		}
		b = after
	}
}
