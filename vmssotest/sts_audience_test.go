package vmssotest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func referenceXML(address string) string {
	return `<wsa:EndpointReference xmlns:wsa="` + nsWSA + `"><wsa:Address>` + address + `</wsa:Address></wsa:EndpointReference>`
}

func participantsXML(content string) string { return "<Participants>" + content + "</Participants>" }

func appliesToXML(content string) string {
	return `<wsp:AppliesTo xmlns:wsp="` + nsWSP + `">` + content + `</wsp:AppliesTo>`
}

// Who is named in the request is named in the token's one AudienceRestriction, in this order.
func TestAudiencesOfTheRequest(t *testing.T) {
	participant := func(name string) string { return "<Participant>" + referenceXML(name) + "</Participant>" }
	primary := func(name string) string { return "<Primary>" + referenceXML(name) + "</Primary>" }
	for _, tt := range []struct {
		name, more string
		want       []string
	}{
		{"nobody", "", nil},
		{"no participant", participantsXML(""), nil},
		{"one, as VMware's client", participantsXML(participant("urn:a")), []string{"urn:a"}},
		{"three", participantsXML(participant("urn:a") + participant("urn:b?c&amp;d=%22") + participant("a name")), []string{"urn:a", "urn:b?c&d=%22", "a name"}},
		{"primary", participantsXML(primary("urn:a")), []string{"urn:a"}},
		{"primary and others", participantsXML(primary("urn:a") + participant("urn:b")), []string{"urn:a", "urn:b"}},
		{"AppliesTo", appliesToXML(referenceXML("https://vcd.example.test/a")), []string{"https://vcd.example.test/a"}},
		{"AppliesTo and Participants", appliesToXML(referenceXML("urn:a")) + participantsXML(participant("urn:b")), []string{"urn:a", "urn:b"}},
	} {
		s, issued := collectingSTS(nil)
		m := passwordIssue("bob@vsphere.local", "secret")
		m.body = bodyXML(m.bodyID, rst("Bearer", "", tt.more))
		if w := issue(s, m.build(t)); w.Code != http.StatusOK || len(*issued) != 1 {
			t.Errorf("%s: status %d, reasons %q", tt.name, w.Code, s.Reasons())
			continue
		}
		got := (*issued)[0]
		if diff := cmp.Diff(tt.want, got.Audiences); diff != "" || strings.Count(got.Assertion, "<saml2:AudienceRestriction>") != min(1, len(tt.want)) {
			t.Errorf("%s: audiences %s in %s", tt.name, diff, got.Assertion)
		}
	}
}

func TestAudiencesRefused(t *testing.T) {
	participant := "<Participant>" + referenceXML("urn:a") + "</Participant>"
	swapped := func(old, new string) string { return strings.ReplaceAll(participantsXML(participant), old, new) }
	address := `<a:Address xmlns:a="` + nsWSA + `">urn:a</a:Address>`
	for _, tt := range []struct{ name, more, reason string }{
		{"address alone", participantsXML("<Participant>" + address + "</Participant>"), "no EndpointReference"},
		{"text alone", participantsXML("<Participant>urn:a</Participant>"), "text inside Participant"},
		{"nothing in it", participantsXML("<Participant></Participant>"), "no EndpointReference"},
		{"empty address", swapped("urn:a", " "), "without an address"},
		{"two addresses", swapped("</wsa:Address>", "</wsa:Address><wsa:Address>urn:b</wsa:Address>"), "unexpected Address"},
		{"two references", swapped("</Participant>", referenceXML("urn:b")+"</Participant>"), "unexpected EndpointReference"},
		{"an older WS-Addressing", swapped(nsWSA, "http://schemas.xmlsoap.org/ws/2004/08/addressing"), "no EndpointReference"},
		{"metadata", swapped("</wsa:Address>", "</wsa:Address><wsa:Metadata></wsa:Metadata>"), "unexpected Metadata"},
		{"attribute", swapped("<Participant>", `<Participant a="b">`), "unexpected attribute"},
		{"attribute of the reference", swapped("<wsa:EndpointReference ", `<wsa:EndpointReference a="b" `), "unexpected attribute"},
		{"attribute of the address", swapped("<wsa:Address>", `<wsa:Address a="b">`), "unexpected attribute"},
		{"attribute of all", swapped("<Participants>", `<Participants a="b">`), "unexpected attribute"},
		{"something else among them", swapped("</Participants>", "<Other></Other></Participants>"), "unexpected Other"},
		{"of another namespace", swapped("<Participant>", `<Participant xmlns="urn:x">`), "unexpected Participant"},
		{"primary after others", participantsXML(participant + "<Primary>" + referenceXML("urn:b") + "</Primary>"), "unexpected Primary"},
		{"twice", participantsXML("") + participantsXML(""), "Participants twice"},
		{"AppliesTo of WS-Trust", "<AppliesTo>" + referenceXML("urn:a") + "</AppliesTo>", "AppliesTo is not supported"},
		{"AppliesTo with a text", appliesToXML("urn:a"), "text inside AppliesTo"},
		{"AppliesTo with nothing", appliesToXML(""), "no EndpointReference"},
		{"AppliesTo twice", appliesToXML(referenceXML("urn:a")) + appliesToXML(referenceXML("urn:a")), "AppliesTo twice"},
		{"Participants of WS-Policy", strings.ReplaceAll(appliesToXML(""), "AppliesTo", "Participants"), "Participants is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := passwordIssue("bob@vsphere.local", "secret")
			m.body = bodyXML(m.bodyID, rst("Bearer", "", tt.more))
			refused(t, "Issue", m, "InvalidRequest", tt.reason, 0)
		})
	}
	refused(t, "Renew", carrying(renewal(""), oldToken(nil), func(token string) string {
		return renewWith(useKeyXML+appliesToXML(referenceXML("urn:a")), token)
	}), "InvalidRequest", "AppliesTo in a Renew", 0)
}
