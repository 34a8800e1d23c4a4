package vmssotest

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rst is the request that the STS is asked with, as text that is canonical inside a Body that declares soap and wsu.
func rst(keyType, lifetime, more string) string {
	return `<RequestSecurityToken xmlns="` + nsWST + `"><TokenType>` + saml2TokenType + `</TokenType><RequestType>` + issueRequest + `</RequestType>` +
		lifetime + `<Renewing Allow="false" OK="false"></Renewing><Delegatable>true</Delegatable><KeyType>` + nsWST + `/` + keyType + `</KeyType>` +
		`<SignatureAlgorithm>` + moreAlg + `rsa-sha256</SignatureAlgorithm>` + more + `</RequestSecurityToken>`
}

func lifetimeXML(from, to time.Time) string {
	return `<Lifetime><wsu:Created>` + stamp(from) + `</wsu:Created><wsu:Expires>` + stamp(to) + `</wsu:Expires></Lifetime>`
}

func usernameXML(name, password string) string {
	return `<wsse:UsernameToken><wsse:Username>` + name + `</wsse:Username><wsse:Password>` + password + `</wsse:Password></wsse:UsernameToken>`
}

func binaryTokenXML(cert *x509.Certificate) string {
	return `<wsse:BinarySecurityToken xmlns:wsu="` + nsWSU + `" EncodingType="` + base64Encoding + `" ValueType="` + x509v3Type + `" wsu:Id="_bst-1">` + encode(cert.Raw) + `</wsse:BinarySecurityToken>`
}

const certificateReference = `<wsse:SecurityTokenReference><wsse:Reference URI="#_bst-1" ValueType="` + x509v3Type + `"></wsse:Reference></wsse:SecurityTokenReference>`

// passwordIssue asks for a bearer token.
func passwordIssue(name, password string) *message {
	m := newMessage(nil, "", "", rst("Bearer", lifetimeXML(testTime(), testTime().Add(time.Minute)), ""))
	m.user = usernameXML(name, password)
	return m
}

// certificateIssue asks for a holder-of-key token.
func certificateIssue(pair tls.Certificate) *message {
	body := rst("PublicKey", lifetimeXML(testTime(), testTime().Add(24*time.Hour)), `<UseKey Sig="_sig-1"></UseKey>`)
	m := newMessage(pair.PrivateKey.(crypto.Signer), binaryTokenXML(pair.Leaf), certificateReference, body)
	m.sigAttrs = ` Id="_sig-1"`
	return m
}

func clientPair() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{clientCertificate().Raw}, PrivateKey: clientKey(), Leaf: clientCertificate()}
}

// tokenIssue asks for another token with a holder-of-key token.
func tokenIssue() *message {
	m := certificateIssue(clientPair())
	m.token = authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime()})
	m.keyInfo = samlReference("_token-1")
	return m
}

func newTestSTS(edit func(*STSConfig)) *STS {
	cfg := STSConfig{
		Authority:     authority(),
		Users:         map[string]string{"alice@vsphere.local": "pass<word>", "bob@vsphere.local": "secret"},
		SolutionUsers: map[string]*x509.Certificate{"robot@vsphere.local": clientCertificate()},
		Now:           testTime,
	}
	if edit != nil {
		edit(&cfg)
	}
	return NewSTS(cfg)
}

func issue(s *STS, msg string) *httptest.ResponseRecorder {
	return post(s, "", `"`+issueAction+`"`, msg)
}

func TestIssue(t *testing.T) {
	both := func() *message {
		m := certificateIssue(clientPair())
		m.user = usernameXML("alice@vsphere.local", "pass&lt;word&gt;")
		return m
	}
	withBody := func(m *message, body string) *message {
		m.body = bodyXML(m.bodyID, body)
		return m
	}
	now := testTime()
	participants := `<Participants><Participant><wsa:EndpointReference xmlns:wsa="` + nsWSA + `"><wsa:Address>urn:audience</wsa:Address></wsa:EndpointReference></Participant></Participants>`
	tests := []struct {
		name    string
		m       *message
		subject string
		holder  *x509.Certificate
		to      time.Time
		aud     []string
	}{
		{"password", passwordIssue("alice@vsphere.local", "pass&lt;word&gt;"), "alice@vsphere.local", nil, now.Add(time.Minute), nil},
		{"certificate", certificateIssue(clientPair()), "robot@vsphere.local", clientCertificate(), now.Add(24 * time.Hour), nil},
		{"both", both(), "alice@vsphere.local", clientCertificate(), now.Add(24 * time.Hour), nil},
		{"holder-of-key token", tokenIssue(), "alice@vsphere.local", clientCertificate(), now.Add(24 * time.Hour), nil},
		{"bearer life is cut", withBody(passwordIssue("bob@vsphere.local", "secret"), rst("Bearer", lifetimeXML(now, now.Add(time.Hour)), "")), "bob@vsphere.local", nil, now.Add(5 * time.Minute), nil},
		{"holder-of-key life is cut", withBody(certificateIssue(clientPair()), rst("PublicKey", lifetimeXML(now, now.Add(1000*time.Hour)), `<UseKey Sig="_sig-1"></UseKey>`)),
			"robot@vsphere.local", clientCertificate(), now.Add(30 * 24 * time.Hour), nil},
		{"no lifetime", withBody(passwordIssue("bob@vsphere.local", "secret"), rst("Bearer", "", "")), "bob@vsphere.local", nil, now.Add(5 * time.Minute), nil},
		{"audience", withBody(passwordIssue("bob@vsphere.local", "secret"), rst("Bearer", "", participants)), "bob@vsphere.local", nil, now.Add(5 * time.Minute), []string{"urn:audience"}},
		{"UseKey beside the request, as Java's sample", withBody(certificateIssue(clientPair()),
			rst("PublicKey", lifetimeXML(now, now.Add(24*time.Hour)), "")+`<UseKey xmlns="`+nsWST+`" Sig="_sig-1"></UseKey>`), "robot@vsphere.local", clientCertificate(), now.Add(24 * time.Hour), nil},
	}
	for _, tt := range tests {
		var issued []Issued
		s := newTestSTS(func(c *STSConfig) { c.OnIssue = func(i Issued) { issued = append(issued, i) } })
		w := issue(s, tt.m.build(t))
		if w.Code != http.StatusOK || len(issued) != 1 || s.Issued() != 1 || s.Requests() != 1 || s.Failures() != 0 {
			t.Errorf("%s: status %d, issued %d, reasons %q", tt.name, w.Code, s.Issued(), s.Reasons())
			continue
		}
		_, rest, _ := strings.Cut(w.Body.String(), "<wst:RequestedSecurityToken>")
		assertion, _, _ := strings.Cut(rest, "</wst:RequestedSecurityToken>")
		if assertion != issued[0].Assertion || !issued[0].Delegatable || issued[0].Renewable {
			t.Errorf("%s: issued %+v", tt.name, issued[0])
		}
		for _, want := range []string{"<wst:TokenType>" + saml2TokenType, "<wsu:Expires>" + stamp(tt.to) + "</wsu:Expires></wst:Lifetime>", `<wst:RequestSecurityTokenResponseCollection xmlns:wst="` + nsWST + `"`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: response has no %s: %s", tt.name, want, w.Body)
			}
		}
		doc, err := parseDocument([]byte(assertion))
		if err != nil {
			t.Fatal(err)
		}
		token, err := verifyAssertion(doc.root, []*x509.Certificate{authority().Certificate()}, now, 0)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if token.subject != tt.subject || !token.notOnOrAfter.Equal(tt.to) || (token.holder == nil) != (tt.holder == nil) || tt.holder != nil && !tt.holder.Equal(token.holder) {
			t.Errorf("%s: token = %+v", tt.name, token)
		}
		if diff := cmp.Diff(tt.aud, issued[0].Audiences); diff != "" || len(tt.aud) > 0 && !strings.Contains(assertion, "<saml2:Audience>urn:audience<") {
			t.Errorf("%s: audiences %s", tt.name, diff)
		}
	}
}

// An issued token logs in: the two servers are of one mind.
func TestIssuedTokenLogsIn(t *testing.T) {
	s, v := newTestSTS(nil), newTestVSphere()
	_, rest, _ := strings.Cut(issue(s, certificateIssue(clientPair()).build(t)).Body.String(), "<wst:RequestedSecurityToken>")
	token, _, _ := strings.Cut(rest, "</wst:RequestedSecurityToken>")
	_, rest, _ = strings.Cut(token, ` ID="`)
	id, _, _ := strings.Cut(rest, `"`)
	if w := logIn(v, newMessage(clientKey(), token, samlReference(id), loginBody).build(t)); w.Code != http.StatusOK {
		t.Errorf("status %d, reasons %q", w.Code, v.Reasons())
	}
}

func TestIssueRefused(t *testing.T) {
	alice := func() *message { return passwordIssue("alice@vsphere.local", "pass&lt;word&gt;") }
	robot := func() *message { return certificateIssue(clientPair()) }
	edit := func(base func() *message, f func(*message)) *message {
		m := base()
		f(m)
		return m
	}
	body := func(base func() *message, content string) *message {
		return edit(base, func(m *message) { m.body = bodyXML(m.bodyID, content) })
	}
	life := lifetimeXML(testTime(), testTime().Add(time.Minute))
	useKey := `<UseKey Sig="_sig-1"></UseKey>`
	expired := NewKeyPairBetween("old", clientKey(), testTime().Add(-time.Hour), testTime().Add(-time.Minute))
	tests := []struct {
		name, code, reason string
		failures           int
		m                  *message
	}{
		{"wrong password", "FailedAuthentication", "wrong password", 1, passwordIssue("alice@vsphere.local", "guess")},
		{"empty password", "FailedAuthentication", "wrong password", 1, passwordIssue("alice@vsphere.local", "")},
		{"unknown user", "FailedAuthentication", "unknown user", 1, passwordIssue("carol@vsphere.local", "x")},
		{"unknown user without password", "FailedAuthentication", "unknown user", 1, passwordIssue("carol@vsphere.local", "")},
		{"unknown certificate", "FailedAuthentication", "not registered", 1, certificateIssue(NewKeyPair("carol", otherKey()))},
		{"same name and key, another certificate", "FailedAuthentication", "not registered", 1, certificateIssue(NewKeyPair("alice", clientKey()))},
		{"expired certificate", "FailedAuthentication", "not valid", 1, certificateIssue(expired)},
		{"certificate and wrong password", "FailedAuthentication", "wrong password", 1, edit(robot, func(m *message) { m.user = usernameXML("bob@vsphere.local", "guess") })},
		{"no timestamp", "InvalidSecurity", "no Timestamp", 0, edit(alice, func(m *message) { m.timestamp = "" })},
		{"timestamp expired", "InvalidTimeRange", "Timestamp", 0, edit(alice, clock(-12*time.Minute))},
		{"timestamp expired, and the password wrong", "InvalidTimeRange", "Timestamp", 0, edit(func() *message { return passwordIssue("alice@vsphere.local", "guess") }, clock(-12*time.Minute))},
		{"timestamp from the future", "InvalidTimeRange", "Timestamp", 0, edit(robot, clock(11*time.Minute))},
		{"no credentials", "InvalidSecurity", "no credentials", 0, edit(alice, func(m *message) { m.user = "" })},
		{"signed with another key", "InvalidSecurity", "signature value", 0, edit(robot, func(m *message) { m.key = otherKey() })},
		{"body changed", "InvalidSecurity", "digest of Body", 0, edit(robot, replaced("<Delegatable>true", "<Delegatable>false"))},
		{"timestamp not signed", "InvalidSecurity", "references", 0, edit(robot, func(m *message) { m.onlyBody = true })},
		{"body not signed", "InvalidSecurity", "references", 0, edit(robot, func(m *message) { m.onlyTimestamp = true })},
		{"body moved", "InvalidSecurity", "stray Body", 0, edit(robot, func(m *message) {
			m.envelope = func(s, b string) string { return withHeader("<w>"+b+"</w>")(s, bodyXML("_evil", "<x/>")) }
		})},
		{"id twice", "InvalidRequest", "twice", 0, edit(robot, withHeaderEdit(`<a ID="_bst-1"/>`))},
		{"DOCTYPE", "InvalidRequest", "DOCTYPE", 0, edit(alice, prefixed("<!DOCTYPE a>"))},
		{"rsa-sha1", "InvalidSecurity", "not accepted", 0, edit(robot, func(m *message) { m.method = nsDS + "rsa-sha1" })},
		{"certificate without signature", "InvalidSecurity", "belong together", 0, edit(robot, func(m *message) { m.key = nil })},
		{"signature without certificate", "InvalidSecurity", "belong together", 0, edit(robot, func(m *message) { m.token = "" })},
		{"certificate after the signature", "InvalidSecurity", "after the signature", 0, edit(robot, func(m *message) {
			m.layout = func(ts, tok, sig string) string { return ts + sig + tok }
		})},
		{"KeyInfo names something else", "InvalidSecurity", "does not refer", 0, edit(robot, func(m *message) { m.keyInfo = strings.Replace(m.keyInfo, "#_bst-1", "#_body-1", 1) })},
		{"certificate is none", "InvalidSecurity", "BinarySecurityToken", 0, edit(robot, func(m *message) {
			m.token = strings.Replace(m.token, encode(clientCertificate().Raw), encode([]byte("none")), 1)
		})},
		{"password digest", "InvalidSecurity", "password of type", 0, edit(alice, func(m *message) {
			m.user = strings.Replace(m.user, "<wsse:Password>", `<wsse:Password Type="`+strings.Replace(passwordText, "Text", "Digest", 1)+`">`, 1)
		})},
		{"two users", "InvalidSecurity", "two UsernameToken", 0, edit(alice, func(m *message) { m.user += m.user })},
		{"token of another authority", "InvalidSecurity", "Could not verify certificate", 0, edit(tokenIssue, func(m *message) {
			m.token = otherAuthority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime()})
		})},
		{"bearer token", "InvalidSecurity", "bearer token does not prove", 0, edit(tokenIssue, func(m *message) {
			m.token, m.key = authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", NotBefore: testTime()}), nil
		})},
		{"token, signed with another key", "InvalidSecurity", "signature value", 0, edit(tokenIssue, func(m *message) { m.key = otherKey() })},
		{"token and password", "InvalidSecurity", "other credentials", 0, edit(tokenIssue, func(m *message) { m.user = usernameXML("bob@vsphere.local", "secret") })},
		{"neither true nor false", "InvalidRequest", "not a boolean", 0, body(alice, strings.Replace(rst("Bearer", life, ""), ">true<", ">yes<", 1))},
		{"UseKey names another signature", "InvalidRequest", "UseKey", 0, edit(robot, func(m *message) { m.sigAttrs = ` Id="_sig-2"` })},
		{"no UseKey", "InvalidRequest", "UseKey", 0, body(robot, rst("PublicKey", life, ""))},
		{"UseKey without a signature", "InvalidRequest", "UseKey", 0, body(alice, rst("Bearer", life, useKey))},
		{"PublicKey without a signature", "InvalidRequest", "PublicKey", 0, body(alice, rst("PublicKey", life, useKey))},
		{"Bearer with a signature", "InvalidRequest", "Bearer", 0, body(robot, rst("Bearer", life, ""))},
		{"symmetric key", "InvalidRequest", "KeyType", 0, body(alice, rst("SymmetricKey", life, ""))},
		{"SAML 1.1", "InvalidRequest", "TokenType", 0, body(alice, strings.Replace(rst("Bearer", life, ""), saml2TokenType, "urn:oasis:names:tc:SAML:1.0:assertion", 1))},
		{"Renew", "InvalidRequest", "RequestType", 0, body(alice, strings.Replace(rst("Bearer", life, ""), "/Issue", "/Renew", 1))},
		{"unknown wish", "InvalidRequest", "not supported", 0, body(alice, rst("Bearer", life, "<Entropy></Entropy>"))},
		{"OnBehalfOf", "InvalidRequest", "not supported", 0, body(alice, rst("Bearer", life, "<OnBehalfOf></OnBehalfOf>"))},
		{"two lifetimes", "InvalidRequest", "twice", 0, body(alice, rst("Bearer", life+life, ""))},
		{"two requests", "InvalidRequest", "not one", 0, body(alice, rst("Bearer", life, "")+rst("Bearer", life, ""))},
		{"life has passed", "InvalidTimeRange", "Lifetime", 0, body(alice, rst("Bearer", lifetimeXML(testTime().Add(-time.Hour), testTime()), ""))},
		{"life ends before it begins", "InvalidTimeRange", "Lifetime", 0, body(alice, rst("Bearer", lifetimeXML(testTime().Add(2*time.Minute), testTime().Add(time.Minute)), ""))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSTS(nil)
			w := issue(s, tt.m.build(t))
			reasons := strings.Join(s.Reasons(), "; ")
			fault := `<faultcode xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/">ns0:` + tt.code + `</faultcode>`
			if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), fault) || s.Issued() != 0 {
				t.Errorf("status %d, %s, reasons %q", w.Code, w.Body, reasons)
			}
			if !strings.Contains(reasons, tt.reason) || s.Failures() != tt.failures {
				t.Errorf("failures %d, want %d, reasons %q, want %q", s.Failures(), tt.failures, reasons, tt.reason)
			}
			if tt.code == "FailedAuthentication" && !strings.Contains(w.Body.String(), "<faultstring>Invalid credentials</faultstring>") {
				t.Errorf("faultstring: %s", w.Body)
			}
		})
	}
}

func TestSTSActions(t *testing.T) {
	for action, want := range map[string]int{
		issueAction:               http.StatusOK,
		`"` + issueAction + `"`:   http.StatusOK,
		"":                        http.StatusInternalServerError,
		nsWST + "/RST/Renew":      http.StatusInternalServerError,
		`"` + issueAction:         http.StatusInternalServerError,
		"urn:vim25/8.0.3.0":       http.StatusInternalServerError,
		nsWST + "/RST/Issue/":     http.StatusInternalServerError,
		`""` + issueAction + `""`: http.StatusInternalServerError,
	} {
		s := newTestSTS(nil)
		if w := post(s, "", action, passwordIssue("bob@vsphere.local", "secret").build(t)); w.Code != want {
			t.Errorf("SOAPAction %q: status %d, want %d", action, w.Code, want)
		}
	}
}

// Five failures within 180 seconds lock a user for 300 seconds, for the right password too; others are not concerned.
func TestLockout(t *testing.T) {
	now := testTime()
	s := newTestSTS(func(c *STSConfig) { c.Now = func() time.Time { return now } })
	try := func(user, password string) string {
		t.Helper()
		m := passwordIssue(user, password)
		m.timestamp = timestampXML("_t", stamp(now), stamp(now.Add(time.Minute)))
		m.body = bodyXML("_b", rst("Bearer", "", ""))
		return issue(s, m.build(t)).Body.String()
	}
	const alice = "alice@vsphere.local"
	for range 4 {
		try(alice, "guess")
	}
	now = now.Add(181 * time.Second) // those four are forgotten
	for range 4 {
		try(alice, "guess")
	}
	if s.Locked(alice) {
		t.Fatal("locked after four failures within the window")
	}
	try(alice, "guess")
	if !s.Locked(alice) || s.Failures() != 9 {
		t.Fatalf("locked %t after %d failures", s.Locked(alice), s.Failures())
	}
	if got := try(alice, "pass&lt;word&gt;"); !strings.Contains(got, "ns0:FailedAuthentication") || !strings.Contains(got, "User account locked") {
		t.Errorf("right password of a locked user: %s", got)
	}
	if got := try("bob@vsphere.local", "secret"); !strings.Contains(got, "RequestedSecurityToken") || s.Locked("bob@vsphere.local") {
		t.Errorf("another user: %s", got)
	}
	if s.Failures() != 9 {
		t.Errorf("failures = %d: an attempt on a locked user was counted", s.Failures())
	}
	now = now.Add(300 * time.Second)
	if got := try(alice, "pass&lt;word&gt;"); s.Locked(alice) || !strings.Contains(got, "RequestedSecurityToken") {
		t.Errorf("after 300 seconds: %s", got)
	}
	for range 4 {
		try(alice, "guess")
	}
	try(alice, "pass&lt;word&gt;") // a success forgets the failures
	for range 4 {
		try(alice, "guess")
	}
	if s.Locked(alice) {
		t.Error("locked although a success lay between the failures")
	}
}

func TestSTSInject(t *testing.T) {
	s := newTestSTS(nil)
	s.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) })
	s.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_ = r.Body.Close()
		next.ServeHTTP(w, r)
	})
	msg := passwordIssue("bob@vsphere.local", "secret").build(t)
	for _, want := range []int{http.StatusBadGateway, http.StatusOK, http.StatusOK} {
		if w := issue(s, msg); w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	}
	if s.Requests() != 3 || s.Issued() != 2 {
		t.Errorf("requests %d, issued %d", s.Requests(), s.Issued())
	}
}

func TestSTSHTTPRules(t *testing.T) {
	s := newTestSTS(nil)
	for _, tt := range []struct {
		method, contentType, body string
		want                      int
	}{
		{"GET", "", "", http.StatusMethodNotAllowed},
		{"POST", "application/soap+xml", "<a/>", http.StatusUnsupportedMediaType},
		{"POST", "text/xml", strings.Repeat(" ", maxMessage+1), http.StatusRequestEntityTooLarge},
		{"POST", "text/xml", "", http.StatusInternalServerError},
	} {
		r := httptest.NewRequest(tt.method, "https://vc.example.test/sts/STSService", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.contentType)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.contentType, w.Code, tt.want)
		}
	}
}
