package vmssotest

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRenewRefused(t *testing.T) {
	old := func(edit func(*Claims)) *message { return renewal(oldToken(edit)) }
	edit := func(f func(*message)) *message {
		m := old(nil)
		f(m)
		return m
	}
	around := func(f func(token string) string) *message { return carrying(renewal(""), oldToken(nil), f) }
	with := func(more string) *message {
		return around(func(token string) string {
			return renewWith(lifetimeXML(testTime(), testTime().Add(time.Hour))+more, token)
		})
	}
	swapped := func(old, new string) *message {
		return around(func(token string) string { return strings.ReplaceAll(renewXML(token), old, new) })
	}
	changed := func(old, new string) *message { return renewal(strings.Replace(oldToken(nil), old, new, 1)) }
	condition := func(xml string) *message {
		return renewal(resigned(t, strings.Replace(oldToken(nil), "</saml2:Conditions>", xml+"</saml2:Conditions>", 1), "xs", "xsi"))
	}
	delegates := func(xml string) string {
		return `<saml2:Condition xsi:type="xs:DelegationRestrictionType">` + xml + `</saml2:Condition>`
	}
	const audience = `<saml2:AudienceRestriction><saml2:Audience>urn:a</saml2:Audience></saml2:AudienceRestriction>`
	other := NewKeyPair("carol", otherKey())
	expired := NewKeyPairBetween("old", clientKey(), testTime().Add(-time.Hour), testTime().Add(-time.Minute))
	by := func(pair crypto.Signer, cert *x509.Certificate) *message {
		return edit(func(m *message) { m.key, m.token = pair, binaryTokenXML(cert) })
	}
	headerToken := func(c Claims) *message {
		return edit(func(m *message) {
			c.ID, c.Subject, c.NotBefore = "_token-1", "alice@vsphere.local", testTime()
			m.token, m.keyInfo = authority().Issue(c), samlReference("_token-1")
		})
	}
	tests := []struct {
		name, code, reason string
		failures           int
		m                  *message
	}{
		{"expired", "ExpiredData", "has expired", 0, old(func(c *Claims) { c.NotOnOrAfter = testTime().Add(-10 * time.Minute) })},
		{"not yet valid", "InvalidRequest", "not valid before", 0, old(func(c *Claims) {
			c.NotBefore, c.NotOnOrAfter = testTime().Add(11*time.Minute), testTime().Add(time.Hour)
		})},
		{"not renewable", "RequestFailed", "not renewable", 0, old(func(c *Claims) { c.Renewals = 0 })},
		{"bearer token", "InvalidRequest", "bearer token is not renewed", 0, old(func(c *Claims) { c.Holder = nil })},
		{"bearer token, without a signature", "InvalidSecurity", "not signed", 0, edit(func(m *message) {
			*m = *carrying(newMessage(nil, "", "", ""), oldToken(func(c *Claims) { c.Holder = nil }), renewXML)
		})},
		{"bearer token, by password", "InvalidSecurity", "not signed", 0, edit(func(m *message) {
			*m = *carrying(newMessage(nil, "", "", ""), oldToken(func(c *Claims) { c.Holder = nil }), renewXML)
			m.user = usernameXML("bob@vsphere.local", "secret")
		})},
		{"another authority", "InvalidSecurity", "Could not verify certificate", 0, renewal(otherAuthority().Issue(Claims{
			ID: "_old-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime(), Renewals: 3,
		}))},
		{"another issuer", "InvalidSecurity", "was issued by", 0, old(func(c *Claims) { c.Issuer = "https://vc2.example.test/" })},
		{"tampered count", "InvalidSecurity", "RenewTarget", 0, changed(`Count="3"`, `Count="9"`)},
		{"tampered subject", "InvalidSecurity", "RenewTarget", 0, changed("alice@", "admin@")},
		{"tampered end", "InvalidSecurity", "RenewTarget", 0, changed("2026-05-04T13:", "2026-05-05T13:")},
		{"signature removed", "InvalidSecurity", "not signed right after Issuer", 0, around(func(token string) string {
			head, rest, _ := strings.Cut(renewXML(token), "<ds:Signature ")
			_, tail, _ := strings.Cut(rest, "</ds:Signature>")
			return head + tail
		})},
		{"of another holder", "FailedAuthentication", "not signed by the holder", 1, old(func(c *Claims) { c.Holder = other.Leaf })},
		{"another certificate with the holder's key", "FailedAuthentication", "not signed by the holder", 1, by(clientKey(), NewKeyPair("alice", clientKey()).Leaf)},
		{"another key and certificate", "FailedAuthentication", "not signed by the holder", 1, by(otherKey(), other.Leaf)},
		{"another key", "InvalidSecurity", "signature value", 0, edit(func(m *message) { m.key = otherKey() })},
		{"token of another holder in the header", "FailedAuthentication", "not signed by the holder", 1, func() *message {
			m := headerToken(Claims{Holder: other.Leaf})
			m.key = otherKey()
			return m
		}()},
		{"token in the header, another key", "InvalidSecurity", "signature value", 0, func() *message {
			m := headerToken(Claims{Holder: clientCertificate()})
			m.key = otherKey()
			return m
		}()},
		{"bearer token in the header", "InvalidSecurity", "does not prove", 0, headerToken(Claims{})},
		{"the same token in the header", "InvalidRequest", "twice", 0, edit(func(m *message) { m.token, m.keyInfo = oldToken(nil), samlReference("_old-1") })},
		{"key of the token in the body", "InvalidSecurity", "belong together", 0, edit(func(m *message) { m.token, m.keyInfo = "", samlReference("_old-1") })},
		{"expired certificate", "FailedAuthentication", "certificate is not valid", 1, func() *message {
			return carrying(certificateIssue(expired), oldToken(func(c *Claims) { c.Holder = expired.Leaf }), renewXML)
		}()},
		{"password as well", "InvalidSecurity", "password in a Renew", 0, edit(func(m *message) { m.user = usernameXML("bob@vsphere.local", "secret") })},
		{"target changed after signing", "InvalidSecurity", "digest of Body", 0, edit(func(m *message) { m.body = strings.Replace(m.body, `Count="3"`, `Count="9"`, 1) })},
		{"body not signed", "InvalidSecurity", "references", 0, edit(func(m *message) { m.onlyTimestamp = true })},
		{"timestamp expired", "InvalidTimeRange", "Timestamp", 0, edit(clock(-12 * time.Minute))},
		{"no target", "InvalidRequest", "no RenewTarget", 0, edit(func(m *message) {
			m.signedBody = ""
			m.body = bodyXML(m.bodyID, strings.Replace(renewXML("-"), "<RenewTarget>-</RenewTarget>", "", 1))
		})},
		{"empty target", "InvalidRequest", "has no Assertion", 0, carrying(renewal(""), "", renewXML)},
		{"two targets", "InvalidRequest", "RenewTarget twice", 0, around(func(token string) string {
			return strings.Replace(renewXML(token), "<RenewTarget>", "<RenewTarget>"+inBody(oldToken(func(c *Claims) { c.ID = "_old-2" }))+"</RenewTarget><RenewTarget>", 1)
		})},
		{"two tokens in the target", "InvalidRequest", "unexpected Assertion", 0, around(func(token string) string {
			return renewXML(token + inBody(oldToken(func(c *Claims) { c.ID = "_old-2" })))
		})},
		{"text beside the token", "InvalidRequest", "text inside RenewTarget", 0, around(func(token string) string { return renewXML("x" + token) })},
		{"reference to a token", "InvalidRequest", "has no Assertion", 0, carrying(renewal(""), "", func(string) string {
			return renewXML(`<wsse:SecurityTokenReference xmlns:wsse="` + nsWSSE + `"></wsse:SecurityTokenReference>`)
		})},
		{"encrypted token", "InvalidRequest", "has no Assertion", 0, carrying(renewal(""), "", func(string) string {
			return renewXML(`<saml2:EncryptedAssertion xmlns:saml2="` + nsSAML + `"></saml2:EncryptedAssertion>`)
		})},
		{"SAML 1.1 token", "InvalidRequest", "has no Assertion", 0, carrying(renewal(""), "", func(string) string {
			return renewXML(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion"></saml:Assertion>`)
		})},
		{"attribute of the target", "InvalidRequest", "unexpected attribute", 0, swapped("<RenewTarget>", `<RenewTarget a="b">`)},
		{"target of WS-Trust 1.4", "InvalidRequest", "RenewTarget is not supported", 0, swapped("<RenewTarget>", `<RenewTarget xmlns="`+nsWST14+`">`)},
		{"target without a namespace", "InvalidRequest", "RenewTarget is not supported", 0, swapped("<RenewTarget>", `<RenewTarget xmlns="">`)},
		{"target beside the request", "InvalidRequest", "not one RequestSecurityToken", 0, around(func(token string) string {
			return renewWith(useKeyXML, "") + `<RenewTarget xmlns="` + nsWST + `">` + token + `</RenewTarget>`
		})},
		{"target in the header", "InvalidSecurity", "second assertion", 0, edit(func(m *message) {
			m.envelope = withHeader(`<RenewTarget xmlns="` + nsWST + `">` + oldToken(func(c *Claims) { c.ID = "_old-2" }) + `</RenewTarget>`)
		})},
		{"RequestType of Issue", "InvalidRequest", "RequestType", 0, swapped(renewRequest, issueRequest)},
		{"no TokenType", "InvalidRequest", "TokenType", 0, swapped("<TokenType>"+saml2TokenType+"</TokenType>", "")},
		{"ActAs", "InvalidRequest", "ActAs in a Renew", 0, with(useKeyXML + actAsElement(inBody(oldToken(func(c *Claims) { c.ID = "_old-2" }))))},
		{"Renewing", "InvalidRequest", "Renewing in a Renew", 0, with(useKeyXML + `<Renewing Allow="true" OK="false"></Renewing>`)},
		{"Delegatable", "InvalidRequest", "Delegatable in a Renew", 0, with(useKeyXML + `<Delegatable>true</Delegatable>`)},
		{"Participants", "InvalidRequest", "Participants in a Renew", 0, with(useKeyXML + `<Participants></Participants>`)},
		{"bearer key", "InvalidRequest", "KeyType Bearer", 0, with(useKeyXML + `<KeyType>` + bearerKey + `</KeyType>`)},
		{"no UseKey", "InvalidRequest", "UseKey names", 0, with("")},
		{"UseKey of another signature", "InvalidRequest", "UseKey names", 0, with(`<UseKey Sig="_sig-2"></UseKey>`)},
		{"two UseKeys", "InvalidRequest", "UseKey twice", 0, with(useKeyXML + useKeyXML)},
		{"two lifetimes", "InvalidRequest", "Lifetime twice", 0, with(useKeyXML + lifetimeXML(testTime(), testTime().Add(time.Hour)))},
		{"life has passed", "InvalidTimeRange", "Lifetime", 0, around(func(token string) string {
			return renewWith(lifetimeXML(testTime().Add(-time.Hour), testTime())+useKeyXML, token)
		})},
		{"two renewal counts", "InvalidSecurity", "two conditions", 0, condition(`<saml2:Condition Count="9" xsi:type="xs:RenewRestrictionType"/>`)},
		{"two delegation counts", "InvalidSecurity", "two conditions", 0, condition(`<saml2:ProxyRestriction Count="9"/>`)},
		{"delegate without a name", "InvalidSecurity", "NameID", 0, condition(delegates(`<d:Delegate xmlns:d="` + nsDel + `"/>`))},
		{"delegate with an empty name", "InvalidSecurity", "without a name", 0, condition(delegates(`<d:Delegate xmlns:d="` + nsDel + `"><saml2:NameID/></d:Delegate>`))},
		{"delegate of another namespace", "InvalidSecurity", "among the delegates", 0, condition(delegates(`<saml2:Delegate/>`))},
		{"negative count", "InvalidSecurity", "has Count", 0, renewal(resigned(t, strings.Replace(oldToken(nil), `Count="3"`, `Count="-3"`, 1), "xs", "xsi"))},
		{"no count", "InvalidSecurity", "has Count", 0, renewal(resigned(t, strings.Replace(oldToken(nil), ` Count="3"`, ``, 1), "xs", "xsi"))},
		{"two audience restrictions", "InvalidRequest", "AudienceRestrictions", 0, condition(audience + audience)},
		{"empty audience restriction", "InvalidRequest", "AudienceRestrictions", 0, condition(`<saml2:AudienceRestriction/>`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, "Renew", tt.m, tt.code, tt.reason, tt.failures) })
	}
}

// refused demands this fault, with this reason for the test to read.
func refused(t *testing.T, op string, m *message, code, reason string, failures int) {
	t.Helper()
	s := newTestSTS(nil)
	w := ask(s, op, m.build(t))
	reasons := strings.Join(s.Reasons(), "; ")
	fault := `<faultcode xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/">ns0:` + code + `</faultcode><faultstring>`
	_, text, ok := strings.Cut(w.Body.String(), fault)
	if w.Code != http.StatusInternalServerError || !ok || strings.HasPrefix(text, "<") || s.Issued() != 0 || s.Renewed() != 0 {
		t.Errorf("status %d, %s, reasons %q", w.Code, w.Body, reasons)
	}
	if !strings.Contains(reasons, reason) || s.Failures() != failures {
		t.Errorf("failures %d, want %d, reasons %q, want %q", s.Failures(), failures, reasons, reason)
	}
}
