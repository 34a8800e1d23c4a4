package vmssotest

import (
	"crypto"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// renewWith is a request to renew the token, with these elements before RenewTarget.
func renewWith(more, token string) string {
	return `<RequestSecurityToken xmlns="` + nsWST + `"><TokenType>` + saml2TokenType + `</TokenType><RequestType>` + renewRequest + `</RequestType>` +
		more + `<RenewTarget>` + token + `</RenewTarget></RequestSecurityToken>`
}

const useKeyXML = `<UseKey Sig="_sig-1"></UseKey>`

func renewXML(token string) string {
	return renewWith(lifetimeXML(testTime(), testTime().Add(24*time.Hour))+useKeyXML, token)
}

// renewal asks to renew the token with its certificate and key.
func renewal(token string) *message {
	return carrying(certificateIssue(clientPair()), token, renewXML)
}

func ask(s *STS, op, msg string) *httptest.ResponseRecorder {
	if op == "Renew" {
		return post(s, "", nsWST+"/RST/Renew", msg)
	}
	return issue(s, msg)
}

// collectingSTS remembers what it issues.
func collectingSTS(edit func(*STSConfig)) (*STS, *[]Issued) {
	issued := new([]Issued)
	return newTestSTS(func(c *STSConfig) {
		c.OnIssue = func(i Issued) { *issued = append(*issued, i) }
		if edit != nil {
			edit(c)
		}
	}), issued
}

// requested cuts the token out of a response.
func requested(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	_, rest, _ := strings.Cut(w.Body.String(), "<wst:RequestedSecurityToken>")
	token, _, ok := strings.Cut(rest, "</wst:RequestedSecurityToken>")
	if !ok {
		t.Fatalf("no token in %s", w.Body)
	}
	return token
}

func TestRenew(t *testing.T) {
	now := testTime()
	byToken := func() *message {
		m := renewal(oldToken(nil))
		m.token, m.keyInfo = tokenIssue().token, samlReference("_token-1")
		return m
	}
	wish := func(more string) *message {
		return carrying(renewal(""), oldToken(nil), func(token string) string { return renewWith(more, token) })
	}
	edit := func(f func(*message)) *message {
		m := renewal(oldToken(nil))
		f(m)
		return m
	}
	life := lifetimeXML(now, now.Add(24*time.Hour))
	tests := []struct {
		name string
		m    *message
		to   time.Time
	}{
		{"certificate", renewal(oldToken(nil)), now.Add(24 * time.Hour)},
		{"another token of the holder in the header", byToken(), now.Add(24 * time.Hour)},
		{"no lifetime", wish(useKeyXML), now.Add(5 * time.Minute)},
		{"life is cut", wish(lifetimeXML(now, now.Add(1000*time.Hour)) + useKeyXML), now.Add(30 * 24 * time.Hour)},
		{"shorter than what is left", wish(lifetimeXML(now, now.Add(time.Minute)) + useKeyXML), now.Add(time.Minute)},
		{"key and algorithm are named", wish(life + `<KeyType>` + publicKey + `</KeyType><SignatureAlgorithm>` + moreAlg + `rsa-sha256</SignatureAlgorithm>` + useKeyXML), now.Add(24 * time.Hour)},
		{"UseKey beside the request", carrying(renewal(""), oldToken(nil), func(token string) string {
			return renewWith(life, token) + `<UseKey xmlns="` + nsWST + `" Sig="_sig-1"></UseKey>`
		}), now.Add(24 * time.Hour)},
		{"blanks around the token", carrying(renewal(""), oldToken(nil), func(token string) string { return renewXML("\n  " + token + "\n") }), now.Add(24 * time.Hour)},
		{"Body first, sha512", edit(func(m *message) {
			m.bodyFirst, m.method, m.hash, m.digest, m.digestHash = true, moreAlg+"rsa-sha512", crypto.SHA512, dsSHA512, crypto.SHA512
		}), now.Add(24 * time.Hour)},
		{"expired within the tolerance", renewal(oldToken(func(c *Claims) { c.NotOnOrAfter = now.Add(-9 * time.Minute) })), now.Add(24 * time.Hour)},
	}
	for _, tt := range tests {
		s, issued := collectingSTS(nil)
		w := ask(s, "Renew", tt.m.build(t))
		if w.Code != http.StatusOK || s.Issued() != 1 || s.Renewed() != 1 || s.Failures() != 0 {
			t.Errorf("%s: status %d, issued %d, renewed %d, reasons %q", tt.name, w.Code, s.Issued(), s.Renewed(), s.Reasons())
			continue
		}
		body := w.Body.String()
		for _, want := range []string{
			`<S:Body><wst:RequestSecurityTokenResponse xmlns:wst="` + nsWST + `"`, "<wst:TokenType>" + saml2TokenType + "<", `<wst:Renewing Allow="true" OK="false"/>`,
			"<wst:Lifetime><wsu:Created>" + stamp(now) + "</wsu:Created><wsu:Expires>" + stamp(tt.to) + "</wsu:Expires></wst:Lifetime>",
		} {
			if !strings.Contains(body, want) || strings.Contains(body, "Collection") {
				t.Errorf("%s: response has no %s: %s", tt.name, want, body)
			}
		}
		got := (*issued)[0]
		want := Issued{
			Claims: Claims{
				ID: got.ID, Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: now, NotOnOrAfter: tt.to,
				Groups: []string{`vsphere.local\Everyone`, `vsphere.local\R & D`}, Delegations: 2, Renewals: 2,
			},
			Renewed: "_old-1", Renewable: true, Delegatable: true, Assertion: requested(t, w), WishedExpiry: got.WishedExpiry, Message: got.Message,
		}
		if diff := cmp.Diff(want, got); diff != "" || got.ID == "_old-1" || !strings.Contains(got.Assertion, `ID="`+got.ID+`"`) || len(got.Message) == 0 {
			t.Errorf("%s: issued %s", tt.name, diff)
		}
	}
}

// What was said of audiences and delegates is said again, and no more than that.
func TestRenewKeepsRestrictions(t *testing.T) {
	s, issued := collectingSTS(nil)
	for range 2 {
		token := oldToken(func(c *Claims) {
			c.Audiences, c.Delegates, c.Delegations, c.Groups = []string{"urn:a", "urn:b"}, []string{"robot@vsphere.local"}, 0, nil
		})
		if n := len(*issued); n > 0 {
			token = (*issued)[n-1].Assertion
		}
		ask(s, "Renew", renewal(token).build(t))
	}
	if len(*issued) != 2 {
		t.Fatalf("reasons %q", s.Reasons())
	}
	got := (*issued)[1]
	if !slices.Equal(got.Audiences, []string{"urn:a", "urn:b"}) || !slices.Equal(got.Delegates, []string{"robot@vsphere.local"}) || got.Delegations != 0 ||
		got.Delegatable || got.Groups != nil || got.Renewals != 1 || got.Renewed != (*issued)[0].ID {
		t.Errorf("issued %+v", got)
	}
}

// A token that was issued as renewable is renewed as often as the service allows, and the client falls back to Issue then.
func TestRenewals(t *testing.T) {
	for limit, want := range map[int]int{0: 10, 1: 1, 3: 3, -1: 0} {
		s, issued := collectingSTS(func(c *STSConfig) { c.MaxRenewals = limit })
		m := certificateIssue(clientPair())
		m.body = strings.Replace(m.body, `Allow="false"`, `Allow="true"`, 1)
		w := issue(s, m.build(t))
		n := 0
		for ; w.Code == http.StatusOK && n < 20; n++ {
			last := (*issued)[len(*issued)-1]
			if got := strings.Contains(w.Body.String(), `<wst:Renewing Allow="true"`); got != (n < want) || last.Renewals != want-n {
				t.Errorf("limit %d: after %d renewals the token has %d, response: renewable %t", limit, n, last.Renewals, got)
			}
			w = ask(s, "Renew", renewal(requested(t, w)).build(t))
		}
		if n != want+1 || s.Renewed() != want || s.Issued() != want+1 || !strings.Contains(w.Body.String(), ">ns0:RequestFailed<") {
			t.Errorf("limit %d: renewed %d times, issued %d, then %s", limit, s.Renewed(), s.Issued(), w.Body)
		}
	}
}

// A person's token is bound to a certificate that nobody registered; it is renewed without the password.
func TestRenewOfAPersonsToken(t *testing.T) {
	s, issued := collectingSTS(func(c *STSConfig) { c.SolutionUsers = nil })
	m := certificateIssue(clientPair())
	m.user = usernameXML("bob@vsphere.local", "secret")
	m.body = strings.Replace(m.body, `Allow="false"`, `Allow="true"`, 1)
	token := requested(t, issue(s, m.build(t)))
	if w := ask(s, "Renew", renewal(token).build(t)); w.Code != http.StatusOK || (*issued)[1].Subject != "bob@vsphere.local" || (*issued)[1].Renewed != (*issued)[0].ID {
		t.Errorf("status %d, reasons %q", w.Code, s.Reasons())
	}
}

func TestRenewActions(t *testing.T) {
	renewMessage, issueMessage := renewal(oldToken(nil)).build(t), certificateIssue(clientPair()).build(t)
	for _, tt := range []struct {
		action, msg string
		want        int
	}{
		{renewAction, renewMessage, http.StatusOK},
		{`"` + renewAction + `"`, renewMessage, http.StatusOK},
		{issueAction, renewMessage, http.StatusInternalServerError},
		{renewAction, issueMessage, http.StatusInternalServerError},
		{nsWST + "/RST/Validate", renewMessage, http.StatusInternalServerError},
		{nsWST + "/Renew", renewMessage, http.StatusInternalServerError},
	} {
		s := newTestSTS(nil)
		if w := post(s, "", tt.action, tt.msg); w.Code != tt.want {
			t.Errorf("SOAPAction %q: status %d, want %d, reasons %q", tt.action, w.Code, tt.want, s.Reasons())
		}
	}
}

func TestInjectRenew(t *testing.T) {
	s := newTestSTS(nil)
	s.Inject("Renew", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) })
	if w := issue(s, passwordIssue("bob@vsphere.local", "secret").build(t)); w.Code != http.StatusOK {
		t.Errorf("Issue: status %d", w.Code)
	}
	for _, want := range []int{http.StatusBadGateway, http.StatusOK} {
		if w := ask(s, "Renew", renewal(oldToken(nil)).build(t)); w.Code != want {
			t.Errorf("Renew: status %d, want %d", w.Code, want)
		}
	}
}
