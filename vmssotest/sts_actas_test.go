package vmssotest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func actAsElement(token string) string {
	return `<wst:ActAs xmlns:wst="` + nsWST14 + `">` + token + `</wst:ActAs>`
}

func actAsXML(token string) string {
	return rst("PublicKey", lifetimeXML(testTime(), testTime().Add(30*time.Minute)), actAsElement(token)+useKeyXML)
}

// actingFor asks, as the solution user robot, for a token for the subject of this one.
func actingFor(token string) *message {
	return carrying(certificateIssue(clientPair()), token, actAsXML)
}

// delegatable is a bearer token that alice passes on.
func delegatable(edit func(*Claims)) string {
	return oldToken(func(c *Claims) {
		c.Holder, c.Renewals = nil, 0
		if edit != nil {
			edit(c)
		}
	})
}

func TestActAs(t *testing.T) {
	now := testTime()
	byToken := func() *message {
		m := actingFor(delegatable(nil))
		m.token = authority().Issue(Claims{ID: "_token-1", Subject: "robot@vsphere.local", Holder: clientCertificate(), NotBefore: now})
		m.keyInfo = samlReference("_token-1")
		return m
	}
	wish := func(token string, edit ...string) *message {
		return carrying(actingFor(""), token, func(token string) string { return strings.NewReplacer(edit...).Replace(actAsXML(token)) })
	}
	renewableToo := func(c *Claims) { c.Renewals = 3 }
	half := stamp(now.Add(30 * time.Minute))
	tests := []struct {
		name string
		m    *message
		edit func(*Issued)
	}{
		{"bearer token", actingFor(delegatable(nil)), nil},
		{"holder-of-key token", actingFor(oldToken(nil)), nil},
		{"of another holder", actingFor(oldToken(func(c *Claims) { c.Holder = NewKeyPair("alice", otherKey()).Leaf })), nil},
		{"by a token of the solution user", byToken(), nil},
		{"passed on again", actingFor(delegatable(func(c *Claims) { c.Delegates, c.Delegations = []string{"first@vsphere.local"}, 1 })), func(i *Issued) {
			i.Delegates, i.Delegations = []string{"first@vsphere.local", "robot@vsphere.local"}, 0
		}},
		{"not to be passed on", wish(delegatable(nil), "<Delegatable>true", "<Delegatable>false"), func(i *Issued) { i.Delegatable, i.Delegations = false, 0 }},
		{"more delegations than are given", actingFor(delegatable(func(c *Claims) { c.Delegations = 100 })), func(i *Issued) { i.Delegations = 10 }},
		{"not longer than the old token", wish(delegatable(nil), half, stamp(now.Add(30*time.Hour))), func(i *Issued) {
			i.NotOnOrAfter, i.WishedExpiry = now.Add(time.Hour), now.Add(30*time.Hour)
		}},
		{"renewals", wish(delegatable(renewableToo), `Allow="false"`, `Allow="true"`), func(i *Issued) { i.Renewable, i.Renewals = true, 3 }},
		{"no renewals that the old token had not", wish(delegatable(nil), `Allow="false"`, `Allow="true"`), func(i *Issued) { i.Renewable = true }},
		{"renewals that nobody wished", actingFor(delegatable(renewableToo)), nil},
		{"audiences of the request", wish(delegatable(func(c *Claims) { c.Audiences = []string{"urn:old"} }), "<KeyType>",
			`<Participants><Participant>`+referenceXML("urn:new")+`</Participant></Participants><KeyType>`),
			func(i *Issued) { i.Audiences = []string{"urn:new"} }},
	}
	for _, tt := range tests {
		s, issued := collectingSTS(nil)
		w := issue(s, tt.m.build(t))
		if w.Code != http.StatusOK || s.Issued() != 1 || s.Renewed() != 0 || s.Failures() != 0 {
			t.Errorf("%s: status %d, issued %d, reasons %q", tt.name, w.Code, s.Issued(), s.Reasons())
			continue
		}
		got := (*issued)[0]
		want := Issued{
			Claims: Claims{
				ID: got.ID, Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: now, NotOnOrAfter: now.Add(30 * time.Minute),
				Groups: []string{`vsphere.local\Everyone`, `vsphere.local\R & D`}, Delegations: 1, Delegates: []string{"robot@vsphere.local"},
			},
			ActAs: "_old-1", Delegatable: true, WishedExpiry: now.Add(30 * time.Minute), Assertion: requested(t, w), Message: got.Message,
		}
		if tt.edit != nil {
			tt.edit(&want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: issued %s", tt.name, diff)
		}
		if !strings.Contains(w.Body.String(), "<wst:RequestSecurityTokenResponseCollection ") {
			t.Errorf("%s: not a collection: %s", tt.name, w.Body)
		}
	}
}

// A token that was passed on ends up where it may not be passed on further; it logs in as its subject.
func TestActAsChain(t *testing.T) {
	s, issued := collectingSTS(func(c *STSConfig) { c.MaxBearer = time.Hour })
	token := requested(t, issue(s, passwordIssue("bob@vsphere.local", "secret").build(t)))
	for n := range 10 {
		token = requested(t, issue(s, actingFor(token).build(t)))
		if got := (*issued)[n+1]; got.Delegations != 9-n || len(got.Delegates) != n+1 || got.Subject != "bob@vsphere.local" || got.ActAs != (*issued)[n].ID {
			t.Fatalf("after %d: %+v", n, got.Claims)
		}
	}
	v := newTestVSphere()
	if w := logIn(v, newMessage(clientKey(), token, samlReference((*issued)[10].ID), loginBody).build(t)); w.Code != http.StatusOK {
		t.Errorf("login: status %d, reasons %q", w.Code, v.Reasons())
	}
	if w := issue(s, actingFor(token).build(t)); !strings.Contains(w.Body.String(), ">ns0:InvalidRequest<") || s.Issued() != 11 {
		t.Errorf("an eleventh time: %s", w.Body)
	}
}

// With a token that was passed on, its holder gets another one that says the same: the delegate stays, and nothing is won.
func TestIssueWithADelegatedToken(t *testing.T) {
	now := testTime()
	m := certificateIssue(clientPair())
	m.token, m.keyInfo = oldToken(func(c *Claims) { c.Delegates = []string{"robot@vsphere.local"} }), samlReference("_old-1")
	m.body = strings.Replace(m.body, `Allow="false"`, `Allow="true"`, 1)
	s, issued := collectingSTS(nil)
	if w := issue(s, m.build(t)); w.Code != http.StatusOK {
		t.Fatalf("status %d, reasons %q", w.Code, s.Reasons())
	}
	got := (*issued)[0].Claims
	want := Claims{
		ID: got.ID, Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: now, NotOnOrAfter: now.Add(time.Hour),
		Groups: []string{`vsphere.local\Everyone`, `vsphere.local\R & D`}, Delegations: 2, Renewals: 3, Delegates: []string{"robot@vsphere.local"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestActAsRefused(t *testing.T) {
	now := testTime()
	acting := func(edit func(*Claims)) *message { return actingFor(delegatable(edit)) }
	edit := func(f func(*message)) *message {
		m := acting(nil)
		f(m)
		return m
	}
	around := func(f func(token string) string) *message { return carrying(actingFor(""), delegatable(nil), f) }
	swapped := func(old, new string) *message {
		return around(func(token string) string { return strings.ReplaceAll(actAsXML(token), old, new) })
	}
	second := inBody(delegatable(func(c *Claims) { c.ID = "_old-2" }))
	byToken := func(edit func(*Claims)) *message {
		m := acting(nil)
		c := Claims{ID: "_token-1", Subject: "robot@vsphere.local", Holder: clientCertificate(), NotBefore: now}
		edit(&c)
		m.token, m.keyInfo = authority().Issue(c), samlReference("_token-1")
		return m
	}
	password := func(token string) *message {
		m := passwordIssue("bob@vsphere.local", "secret")
		m.body = bodyXML(m.bodyID, rst("Bearer", "", actAsElement(token)))
		return m
	}
	tests := []struct {
		name, code, reason string
		failures           int
		m                  *message
	}{
		{"not delegatable", "InvalidRequest", "not delegatable", 0, acting(func(c *Claims) { c.Delegations = 0 })},
		{"expired", "InvalidRequest", "has expired", 0, acting(func(c *Claims) { c.NotOnOrAfter = now.Add(-10 * time.Minute) })},
		{"ends before the new one begins", "InvalidTimeRange", "ends at", 0, acting(func(c *Claims) { c.NotOnOrAfter = now })},
		{"not yet valid", "InvalidRequest", "not valid before", 0, acting(func(c *Claims) { c.NotBefore = now.Add(11 * time.Minute) })},
		{"another authority", "InvalidRequest", "Could not verify certificate", 0, actingFor(otherAuthority().Issue(Claims{Subject: "alice@vsphere.local", NotBefore: now, Delegations: 2}))},
		{"another issuer", "InvalidRequest", "was issued by", 0, acting(func(c *Claims) { c.Issuer = "https://vc2.example.test/" })},
		{"tampered", "InvalidRequest", "ActAs: ", 0, actingFor(strings.Replace(delegatable(nil), "alice@", "admin@", 1))},
		{"changed after signing", "InvalidSecurity", "digest of Body", 0, edit(func(m *message) { m.body = strings.Replace(m.body, "alice@", "admin@", 1) })},
		{"another key", "InvalidSecurity", "signature value", 0, edit(func(m *message) { m.key = otherKey() })},
		{"not a solution user", "InvalidRequest", "no solution user", 0, byToken(func(c *Claims) { c.Subject = "bob@vsphere.local" })},
		{"a person with a certificate", "InvalidRequest", "no solution user", 0, edit(func(m *message) { m.user = usernameXML("bob@vsphere.local", "secret") })},
		{"a person, wrong password", "FailedAuthentication", "wrong password", 1, edit(func(m *message) { m.user = usernameXML("bob@vsphere.local", "guess") })},
		{"unknown certificate", "FailedAuthentication", "not registered", 1, carrying(certificateIssue(NewKeyPair("carol", otherKey())), delegatable(nil), actAsXML)},
		{"by a delegate", "InvalidRequest", "a delegate of robot", 0, byToken(func(c *Claims) { c.Delegates = []string{"first@vsphere.local"} })},
		{"by a token of another issuer", "InvalidSecurity", "was issued by", 0, byToken(func(c *Claims) { c.Issuer = "https://vc2.example.test/" })},
		{"by a password", "InvalidSecurity", "not signed", 0, password(delegatable(nil))},
		{"bearer key", "InvalidRequest", "KeyType Bearer", 0, swapped(publicKey, bearerKey)},
		{"UseKey of another signature", "InvalidRequest", "UseKey names", 0, swapped("_sig-1", "_sig-2")},
		{"empty", "InvalidRequest", "ActAs has no Assertion", 0, carrying(actingFor(""), "", actAsXML)},
		{"two tokens", "InvalidRequest", "unexpected Assertion", 0, around(func(token string) string { return actAsXML(token + second) })},
		{"two elements", "InvalidRequest", "ActAs twice", 0, around(func(token string) string {
			return strings.Replace(actAsXML(token), "<KeyType>", actAsElement(second)+"<KeyType>", 1)
		})},
		{"attribute", "InvalidRequest", "unexpected attribute", 0, swapped(nsWST14+`">`, nsWST14+`" a="b">`)},
		{"of WS-Trust 1.3", "InvalidRequest", "ActAs is not supported", 0, swapped(nsWST14, nsWST)},
		{"of no namespace", "InvalidRequest", "ActAs is not supported", 0, around(func(token string) string {
			return strings.NewReplacer(`<wst:ActAs xmlns:wst="`+nsWST14+`">`, `<ActAs xmlns="">`, "</wst:ActAs>", "</ActAs>").Replace(actAsXML(token))
		})},
		{"another part of WS-Trust 1.4", "InvalidRequest", "OnBehalfOf is not supported", 0, swapped("wst:ActAs", "wst:OnBehalfOf")},
		{"beside the request", "InvalidRequest", "not one RequestSecurityToken", 0, around(func(token string) string {
			return rst("PublicKey", "", useKeyXML) + actAsElement(token)
		})},
		{"in the header as well", "InvalidSecurity", "second assertion", 0, edit(func(m *message) {
			m.envelope = withHeader(actAsElement(delegatable(func(c *Claims) { c.ID = "_old-2" })))
		})},
		{"RenewTarget", "InvalidRequest", "RenewTarget in an Issue", 0, swapped("<KeyType>", "<RenewTarget>"+second+"</RenewTarget><KeyType>")},
		{"RenewTarget alone", "InvalidRequest", "RenewTarget in an Issue", 0, carrying(actingFor(""), oldToken(nil), func(token string) string {
			return rst("PublicKey", "", "<RenewTarget>"+token+"</RenewTarget>"+useKeyXML)
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, "Issue", tt.m, tt.code, tt.reason, tt.failures) })
	}
}
