package vmssotest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func pemBytes(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// loggedInCookie logs in and returns the cookie of the session.
func loggedInCookie(t *testing.T, v *VSphere) string {
	t.Helper()
	w := logIn(v, bearerLogin().build(t))
	if w.Code != http.StatusOK {
		t.Fatalf("login: status %d, reasons %q", w.Code, v.Reasons())
	}
	return newCookie(w)
}

func TestSessionFromLoginToLogout(t *testing.T) {
	v := newTestVSphere()
	w := call(v, "", "RetrieveServiceContent")
	first := newCookie(w)
	if set := w.Header().Get("Set-Cookie"); set != cookieName+"="+first+"; Path=/; HttpOnly; Secure" {
		t.Errorf("Set-Cookie = %q", set)
	}
	for _, want := range []string{"<apiVersion>8.0.3.0</apiVersion>", `<rootFolder type="Folder">group-d1</rootFolder>`, "VirtualCenter", ">SessionManager<", ">propertyCollector<", ">ViewManager<"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("ServiceContent has no %s", want)
		}
	}
	if again := newCookie(call(v, first, "RetrieveServiceContent")); again != "" {
		t.Errorf("a known session got another cookie %q", again)
	}
	if w := call(v, first, "CurrentTime"); w.Code != http.StatusInternalServerError {
		t.Errorf("CurrentTime before the login: status %d", w.Code)
	}
	w = post(v, first, "urn:vim25/8.0.3.0", bearerLogin().build(t))
	second := newCookie(w)
	if w.Code != http.StatusOK || second == "" || second == first || !strings.Contains(w.Body.String(), "<userName>alice@vsphere.local</userName>") {
		t.Fatalf("login: status %d, cookie %q, %s, reasons %q", w.Code, second, w.Body, v.Reasons())
	}
	if w := call(v, first, "CurrentTime"); w.Code != http.StatusInternalServerError {
		t.Errorf("the old cookie is still good")
	}
	if w := call(v, second, "CurrentTime"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "2026-05-04T12:00:00.000Z") {
		t.Errorf("CurrentTime: status %d, %s", w.Code, w.Body)
	}
	if w := call(v, second, "RetrievePropertiesEx"); strings.Count(w.Body.String(), `type="VirtualMachine"`) != 3 {
		t.Errorf("RetrievePropertiesEx: %s", w.Body)
	}
	if w := call(v, second, "DestroyView"); !strings.Contains(w.Body.String(), `<DestroyViewResponse xmlns="urn:vim25"/>`) {
		t.Errorf("DestroyView: %s", w.Body)
	}
	if v.Sessions() != 1 || v.Logins() != 1 || v.Calls("CurrentTime") != 3 || v.Calls("RetrieveServiceContent") != 2 || v.Calls("Nothing") != 0 {
		t.Errorf("sessions %d, logins %d, calls %d, %d", v.Sessions(), v.Logins(), v.Calls("CurrentTime"), v.Calls("RetrieveServiceContent"))
	}
	if w := call(v, second, "Logout"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "LogoutResponse") {
		t.Errorf("Logout: status %d, %s", w.Code, w.Body)
	}
	if w := call(v, second, "Logout"); w.Code != http.StatusInternalServerError || v.Sessions() != 0 {
		t.Errorf("second Logout: status %d, sessions %d", w.Code, v.Sessions())
	}
}

// A login needs the cookie of a session that nobody has logged in on, and on which no login failed.
func TestLoginNeedsFreshSession(t *testing.T) {
	v := newTestVSphere()
	good := bearerLogin().build(t)
	refused := func(what, cookie, reason string) {
		t.Helper()
		w := post(v, cookie, "urn:vim25/8.0.3.0", good)
		reasons := v.Reasons()
		if w.Code != http.StatusInternalServerError || len(reasons) == 0 || !strings.Contains(reasons[len(reasons)-1], reason) {
			t.Errorf("%s: status %d, reasons %q, want %q", what, w.Code, reasons, reason)
		}
	}
	refused("no cookie", "", "without a session cookie")
	refused("unknown cookie", "xyz", "not known")
	cookie := loggedInCookie(t, v)
	refused("logged in already", cookie, "logged in already")
	if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusOK {
		t.Errorf("the refused login has ended the session")
	}
	fresh := newCookie(call(v, "", "RetrieveServiceContent"))
	post(v, fresh, "urn:vim25/8.0.3.0", strings.Replace(good, "alice", "carol", 1))
	refused("failed before", fresh, "has been tried")
	if v.Refused() != 5 || v.Logins() != 1 {
		t.Errorf("refused %d, logins %d, want 5, 1", v.Refused(), v.Logins())
	}
}

func TestNotAuthenticatedAnswers(t *testing.T) {
	v := newTestVSphere()
	for _, op := range []string{"CurrentTime", "WaitForUpdatesEx", "PowerOnVM_Task", "CreateContainerView", "Logout"} {
		w := call(v, "unknown", op)
		for _, want := range []string{
			"<faultcode>ServerFaultCode</faultcode><faultstring>The session is not authenticated.</faultstring>",
			`<NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"><object type="Folder">group-d1</object><privilegeId>System.View</privilegeId></NotAuthenticatedFault>`,
		} {
			if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: status %d, %s", op, w.Code, w.Body)
			}
		}
	}
	w := call(v, "", "RetrievePropertiesEx")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `<missingSet><path>name</path><fault><fault xmlns:_XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance" _XMLSchema-instance:type="NotAuthenticated">`) {
		t.Errorf("RetrievePropertiesEx: status %d, %s", w.Code, w.Body)
	}
}

func TestObjectsBelongToTheirSession(t *testing.T) {
	v := newTestVSphere()
	mine, other := loggedInCookie(t, v), loggedInCookie(t, v)
	_, rest, _ := strings.Cut(call(v, mine, "CreateContainerView").Body.String(), `type="ContainerView">`)
	view, _, _ := strings.Cut(rest, "<")
	if !strings.HasPrefix(view, "session[") {
		t.Fatalf("view = %q", view)
	}
	use := soapXML(`<RetrievePropertiesEx xmlns="urn:vim25"><obj type="ContainerView">` + view + `</obj></RetrievePropertiesEx>`)
	if w := post(v, mine, "urn:vim25/8.0.3.0", use); w.Code != http.StatusOK {
		t.Errorf("own view: status %d", w.Code)
	}
	if w := post(v, other, "urn:vim25/8.0.3.0", use); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "ManagedObjectNotFound") {
		t.Errorf("view of another session: status %d, %s", w.Code, w.Body)
	}
}

func TestWaitForUpdates(t *testing.T) {
	v := newTestVSphere()
	cookie := loggedInCookie(t, v)
	for version, want := range map[string]bool{"<version></version>": true, "": true, "<version/>": true, "<version>1</version>": false} {
		w := post(v, cookie, "urn:vim25/8.0.3.0", soapXML(`<WaitForUpdatesEx xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this>`+version+`</WaitForUpdatesEx>`))
		if got := strings.Contains(w.Body.String(), "<version>1</version>"); got != want {
			t.Errorf("WaitForUpdatesEx with %q: update %t, want %t", version, got, want)
		}
	}
}

func TestSessionEndsWhenIdle(t *testing.T) {
	now := testTime()
	v := NewVSphere(VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}, Idle: time.Minute, Now: func() time.Time { return now }})
	cookie := loggedInCookie(t, v)
	for range 3 { // each call counts as activity
		now = now.Add(time.Minute)
		if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusOK {
			t.Fatalf("after a minute: status %d", w.Code)
		}
	}
	now = now.Add(time.Minute + time.Nanosecond)
	if v.Sessions() != 0 {
		t.Errorf("sessions = %d", v.Sessions())
	}
	if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusInternalServerError {
		t.Errorf("after more than a minute: status %d", w.Code)
	}
	if newCookie(call(v, cookie, "RetrieveServiceContent")) == "" {
		t.Error("the cookie of a dead session was taken for a known one")
	}
}

func TestKillEndsAllSessions(t *testing.T) {
	v := newTestVSphere()
	a, b := loggedInCookie(t, v), loggedInCookie(t, v)
	if n := v.Kill(); n != 2 || v.Sessions() != 0 {
		t.Errorf("killed %d, sessions %d", n, v.Sessions())
	}
	for _, cookie := range []string{a, b} {
		if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusInternalServerError {
			t.Errorf("status %d", w.Code)
		}
	}
	if newCookie(call(v, a, "RetrieveServiceContent")) == "" {
		t.Error("the cookie of a killed session was taken for a known one")
	}
	loggedInCookie(t, v)
}

func TestFolder(t *testing.T) {
	v := newTestVSphere()
	do := func(method, cookie string, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://vc.example.test/folder/a.iso?dcPath=d", body)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		return w
	}
	unread := strings.NewReader("content")
	if w := do("PUT", "none", unread); w.Code != http.StatusUnauthorized || unread.Len() != 7 {
		t.Errorf("PUT without a session: status %d, %d bytes left", w.Code, unread.Len())
	}
	cookie := loggedInCookie(t, v)
	if w := do("PUT", cookie, bytes.NewReader(make([]byte, 5<<20))); w.Code != http.StatusCreated || w.Body.String() != "5242880" {
		t.Errorf("PUT: status %d, %s", w.Code, w.Body)
	}
	if w := do("GET", cookie, nil); w.Code != http.StatusOK || w.Body.Len() == 0 {
		t.Errorf("GET: status %d, %s", w.Code, w.Body)
	}
	if v.Calls("PUT /folder") != 2 || v.Calls("GET /folder") != 1 {
		t.Errorf("calls: %d, %d", v.Calls("PUT /folder"), v.Calls("GET /folder"))
	}
}

func TestHTTPRulesOfSDK(t *testing.T) {
	v := newTestVSphere()
	do := func(method, path, contentType, body string) int {
		r := httptest.NewRequest(method, "https://vc.example.test"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		return w.Code
	}
	good := soapXML(`<RetrieveServiceContent xmlns="urn:vim25"/>`)
	tests := []struct {
		method, path, contentType, body string
		want                            int
	}{
		{"POST", "/sdk", "text/xml", good, 200},
		{"POST", "/sdk/", "text/xml; charset=utf-8", good, 200},
		{"POST", "/sdk", "application/json", good, 415},
		{"POST", "/sdk", `text/xml; charset="utf-16"`, good, 415},
		{"POST", "/sdk", "", good, 415},
		{"POST", "/sdkx", "text/xml", good, 404},
		{"POST", "/", "text/xml", good, 404},
		{"GET", "/sdk", "", "", 405},
		{"PUT", "/sdk", "text/xml", good, 405},
		{"GET", "/sdk/vimServiceVersions.xml", "", "", 200},
		{"POST", "/sdk", "text/xml", "", 500},
		{"POST", "/sdk", "text/xml", "no XML", 500},
		{"POST", "/sdk", "text/xml", soapXML(""), 500},
		{"POST", "/sdk", "text/xml", soapXML(strings.Repeat(" ", maxMessage)), 413},
	}
	for _, tt := range tests {
		if got := do(tt.method, tt.path, tt.contentType, tt.body); got != tt.want {
			t.Errorf("%s %s, %q, %.60s…: status %d, want %d", tt.method, tt.path, tt.contentType, tt.body, got, tt.want)
		}
	}
}

func TestOperation(t *testing.T) {
	tests := []struct{ msg, want string }{
		{soapXML(`<CurrentTime xmlns="urn:vim25"/>`), "CurrentTime"},
		{soapXML(`<v:CurrentTime a="/>" xmlns:v="urn:vim25">`), "CurrentTime"},
		{`<s:Envelope xmlns:s="x"><s:Header><a><Body/><Body><X/></Body></a></s:Header><s:Body><!-- <Y/> --> <Logout></Logout></s:Body></s:Envelope>`, "Logout"},
		{`<e><h b='>'/><Body><CDATA/></Body></e>`, "CDATA"},
		{`<e><Body/><x/></e>`, ""},
		{`<e><Body></Body><x/></e>`, ""},
		{`<Body><x/></Body>`, ""},
		{`<!DOCTYPE e><e><Body><x/></Body></e>`, ""},
		{`<e><Body><x`, ""},
		{`<e><Body><`, ""},
		{`<e><Body>`, ""},
		{`<>`, ""},
		{`<e><Body>< x/></Body></e>`, ""},
		{`<!--`, ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := operation([]byte(tt.msg)); got != tt.want {
			t.Errorf("operation(%s) = %q, want %q", tt.msg, got, tt.want)
		}
	}
}

func TestInject(t *testing.T) {
	v := newTestVSphere()
	var order []string
	note := func(what string) Injector {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			order = append(order, what)
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
			next.ServeHTTP(w, r)
		}
	}
	v.Inject("CurrentTime", 2, note("time"))
	v.Inject("", 1, note("any"))
	v.Inject("LoginByToken", -1, note("login"))
	cookie := loggedInCookie(t, v) // RetrieveServiceContent meets "any"
	loggedInCookie(t, v)
	for range 3 {
		if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusOK {
			t.Errorf("status %d", w.Code)
		}
	}
	v.Inject("LoginByToken", 0, nil)
	loggedInCookie(t, v)
	if got, want := fmt.Sprint(order), "[any login login time time]"; got != want {
		t.Errorf("order = %s, want %s", got, want)
	}
	v.Inject("CurrentTime", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
	v.Inject("CurrentTime", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = io.NopCloser(strings.NewReader(soapXML(`<Replaced xmlns="urn:vim25"/>`)))
		next.ServeHTTP(w, r)
	})
	if w := call(v, cookie, "CurrentTime"); !strings.Contains(w.Body.String(), "ReplacedResponse") {
		t.Errorf("replaced body: %s", w.Body)
	}
}
