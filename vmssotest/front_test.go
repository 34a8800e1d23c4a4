package vmssotest

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// lenient is a backend that lets everybody in, as govmomi's simulator does.
type lenient struct {
	t      *testing.T
	bodies []string
	status int
}

func (b *lenient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	if r.ContentLength >= 0 && r.ContentLength != int64(len(body)) {
		b.t.Errorf("ContentLength %d, body of %d bytes", r.ContentLength, len(body))
	}
	b.bodies = append(b.bodies, string(body))
	switch op := operation(body); {
	case op == "LoginByToken" && b.status == http.StatusOK:
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: newUUID()})
	case b.status != http.StatusOK:
		w.WriteHeader(b.status)
	}
}

func newFront(t *testing.T, logins *[]Login) (*VSphere, *lenient) {
	b := &lenient{t: t, status: http.StatusOK}
	return NewVSphere(VSphereConfig{
		Trust: []*x509.Certificate{authority().Certificate()}, Now: testTime, Backend: b,
		OnLogin: func(l Login) { *logins = append(*logins, l) },
	}), b
}

func TestFrontVerifiesLogins(t *testing.T) {
	var logins []Login
	v, b := newFront(t, &logins)
	good := holderOfKeyLogin().build(t)
	bad := strings.Replace(good, "en_US", "de_DE", 1)

	w := post(v, "", "urn:vim25/8.0.3.0", bad)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "InvalidLoginFault") || len(b.bodies) != 0 || v.Refused() != 1 {
		t.Fatalf("bad login: status %d, backend saw %d requests, refused %d", w.Code, len(b.bodies), v.Refused())
	}
	w = post(v, "", "urn:vim25/8.0.3.0", good)
	if w.Code != http.StatusOK || len(b.bodies) != 1 || b.bodies[0] != good || v.Logins() != 1 || v.Sessions() != 1 {
		t.Fatalf("good login: status %d, logins %d, sessions %d, reasons %q", w.Code, v.Logins(), v.Sessions(), v.Reasons())
	}
	cookie := newCookie(w)
	if len(logins) != 1 || logins[0].Cookie != cookie || logins[0].Subject != "alice@vsphere.local" {
		t.Errorf("logins = %+v", logins)
	}
	b.status = http.StatusServiceUnavailable
	if w := post(v, "", "urn:vim25/8.0.3.0", good); w.Code != http.StatusServiceUnavailable || v.Logins() != 1 || v.Refused() != 1 {
		t.Errorf("backend is down: status %d, logins %d", w.Code, v.Logins())
	}
	b.status = http.StatusOK
	call(v, cookie, "Logout")
	if v.Sessions() != 0 {
		t.Errorf("sessions after logout = %d", v.Sessions())
	}
}

// Nothing that a backend could take for a login gets past the verification.
func TestFrontLetsNoHiddenLoginThrough(t *testing.T) {
	login := `<LoginByToken xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></LoginByToken>`
	for name, msg := range map[string]string{
		"second body":      strings.Replace(soapXML(`<CurrentTime xmlns="urn:vim25"/>`), "</Envelope>", "<Body>"+login+"</Body></Envelope>", 1),
		"second operation": soapXML(`<CurrentTime xmlns="urn:vim25"/>` + login),
		"DOCTYPE":          `<!DOCTYPE x>` + soapXML(login),
		"prefix":           soapXML(strings.ReplaceAll(strings.Replace(login, "xmlns=", "xmlns:v=", 1), "LoginByToken", "v:LoginByToken")),
		"not signed":       soapXML(login),
	} {
		var logins []Login
		v, b := newFront(t, &logins)
		r := httptest.NewRequest("POST", "https://vc.example.test/sdk", strings.NewReader(msg)) // nor does a missing Content-Type help
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError || len(b.bodies) != 0 || v.Refused() != 1 {
			t.Errorf("%s: status %d, backend saw %q", name, w.Code, b.bodies)
		}
	}
}

func TestFrontHandsOnEverythingElse(t *testing.T) {
	var logins []Login
	v, b := newFront(t, &logins)
	body := "\r\n" + soapXML(`<CurrentTime xmlns="urn:vim25"/>`) + "\n"
	r := httptest.NewRequest("POST", "https://vc.example.test/sdk", io.MultiReader(strings.NewReader(body))) // of unknown length
	v.ServeHTTP(httptest.NewRecorder(), r)
	v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "https://vc.example.test/folder/x", strings.NewReader("file")))
	v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "https://vc.example.test/api/session", strings.NewReader("{}")))
	if len(b.bodies) != 3 || b.bodies[0] != body || b.bodies[1] != "file" || b.bodies[2] != "{}" {
		t.Errorf("backend saw %q", b.bodies)
	}
	if v.Calls("CurrentTime") != 1 || v.Calls("POST /api") != 1 {
		t.Errorf("calls: %d, %d", v.Calls("CurrentTime"), v.Calls("POST /api"))
	}
}

func TestFrontKill(t *testing.T) {
	var logins []Login
	v, b := newFront(t, &logins)
	cookie := newCookie(post(v, "", "urn:vim25/8.0.3.0", bearerLogin().build(t)))
	if n := v.Kill(); n != 1 || v.Sessions() != 0 {
		t.Fatalf("killed %d, sessions %d", n, v.Sessions())
	}
	seen := len(b.bodies)
	if w := call(v, cookie, "CurrentTime"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "NotAuthenticatedFault") {
		t.Errorf("CurrentTime: status %d", w.Code)
	}
	if w := call(v, cookie, "RetrievePropertiesEx"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "missingSet") {
		t.Errorf("RetrievePropertiesEx: status %d", w.Code)
	}
	if len(b.bodies) != seen {
		t.Errorf("the backend saw requests of a killed session")
	}
	if call(v, cookie, "RetrieveServiceContent"); len(b.bodies) != seen+1 {
		t.Errorf("RetrieveServiceContent did not reach the backend")
	}
}
