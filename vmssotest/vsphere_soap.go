package vmssotest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// serveSOAP answers a SOAP request.
func (v *VSphere) serveSOAP(op string, w http.ResponseWriter, r *http.Request) {
	if !isTextXML(r) {
		http.Error(w, "Content-Type is not text/xml", http.StatusUnsupportedMediaType)
		return
	}
	body, err := bodyOf(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !isName(op) {
		writeFault(w, "ServerFaultCode", "The request is not a SOAP message with an operation.", `<InvalidRequestFault xmlns="urn:vim25" xsi:type="InvalidRequest"/>`)
		return
	}
	switch op {
	case "RetrieveServiceContent":
		if n, _ := v.sessions.lookup(cookieOf(r)); n == nil {
			setCookie(w, r, v.sessions.begin())
		}
		writeSOAP(w, serviceContent)
		return
	case "LoginByToken":
		v.login(w, r, body)
		return
	}
	s := v.sessions.authenticated(r)
	if s == nil {
		v.notAuthenticated(op, w, r)
		return
	}
	if ref := foreignReference(body, s.key); ref != "" {
		writeFault(w, "ServerFaultCode", "The object '"+escapeText(ref)+"' has already been deleted or has not been completely created",
			`<ManagedObjectNotFoundFault xmlns="urn:vim25" xsi:type="ManagedObjectNotFound"><obj type="ManagedObject">`+escapeText(ref)+`</obj></ManagedObjectNotFoundFault>`)
		return
	}
	v.answer(op, w, s, body)
}

// login answers LoginByToken.
func (v *VSphere) login(w http.ResponseWriter, r *http.Request, body []byte) {
	cookie := cookieOf(r)
	if !v.sessions.claim(cookie) {
		v.refuse(w, fmt.Errorf("no fresh session: %s", v.sessions.describe(cookie)))
		return
	}
	l, err := v.verify(r, body)
	if err != nil {
		v.refuse(w, err)
		return
	}
	s := v.sessions.login(cookie, l)
	l.Cookie = s.cookie
	v.tally.accepted.Add(1)
	if v.cfg.OnLogin != nil {
		v.cfg.OnLogin(*l)
	}
	setCookie(w, r, s)
	writeSOAP(w, loginResponse(s, r))
}

// describe says what is wrong with the cookie of a login.
func (s *sessions) describe(cookie string) string {
	n, state := s.lookup(cookie)
	switch {
	case cookie == "":
		return "LoginByToken without a session cookie"
	case n == nil:
		return "the session of the cookie is not known"
	case state == loggedIn:
		return "the session is logged in already"
	}
	return "a login has been tried on this session"
}

// refuse answers a LoginByToken that is not accepted.
func (v *VSphere) refuse(w http.ResponseWriter, why error) {
	v.tally.refused.Add(1)
	v.reasons.add(why.Error())
	writeFault(w, "ServerFaultCode", "Cannot complete login due to an incorrect user name or password.", `<InvalidLoginFault xmlns="urn:vim25" xsi:type="InvalidLogin"/>`)
}

// notAuthenticated answers a request without a logged-in session: with a fault, but RetrievePropertiesEx with a 200 as govmomi's simulator does.
func (v *VSphere) notAuthenticated(op string, w http.ResponseWriter, r *http.Request) {
	switch {
	case op == "RetrievePropertiesEx":
		writeSOAP(w, missingSet)
	case r.Method == http.MethodPost && isSDK(r.URL.Path):
		writeFault(w, "ServerFaultCode", "The session is not authenticated.", notAuthenticatedFault)
	default:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	}
}

// foreignReference finds a reference to an object of another session: "session[<key>]<uuid>" with another key.
func foreignReference(body []byte, key string) string {
	for {
		i := bytes.Index(body, []byte("session["))
		if i < 0 {
			return ""
		}
		body = body[i:]
		if !bytes.HasPrefix(body, []byte("session["+key+"]")) {
			end := bytes.IndexByte(body, '<')
			if end < 0 || end > 200 {
				end = min(len(body), 200)
			}
			return string(body[:end])
		}
		body = body[len("session["):]
	}
}

// answer answers a request of a logged-in session.
func (v *VSphere) answer(op string, w http.ResponseWriter, s *session, body []byte) {
	switch op {
	case "Logout":
		v.sessions.end(s.cookie)
		writeSOAP(w, `<LogoutResponse xmlns="urn:vim25"/>`)
	case "CurrentTime":
		writeSOAP(w, `<CurrentTimeResponse xmlns="urn:vim25"><returnval>`+stamp(v.cfg.Now())+`</returnval></CurrentTimeResponse>`)
	case "RetrievePropertiesEx":
		writeSOAP(w, properties)
	case "ContinueRetrievePropertiesEx":
		writeSOAP(w, `<ContinueRetrievePropertiesExResponse xmlns="urn:vim25"><returnval/></ContinueRetrievePropertiesExResponse>`)
	case "CreateContainerView":
		writeSOAP(w, `<CreateContainerViewResponse xmlns="urn:vim25"><returnval type="ContainerView">session[`+s.key+`]`+newUUID()+`</returnval></CreateContainerViewResponse>`)
	case "WaitForUpdatesEx":
		answer := "" // nothing new: what a real server says after MaxWaitSeconds
		if !mentions(body, "version>") || bytes.Contains(body, []byte("<version></")) {
			answer = `<returnval><version>1</version></returnval>`
		}
		writeSOAP(w, `<WaitForUpdatesExResponse xmlns="urn:vim25">`+answer+`</WaitForUpdatesExResponse>`)
	default:
		writeSOAP(w, `<`+op+`Response xmlns="urn:vim25"/>`)
	}
}

// serveFolder answers file transfers. Without a session the body is not read: a client that sends a large file must cope with the early answer.
func (v *VSphere) serveFolder(w http.ResponseWriter, r *http.Request) {
	if v.sessions.authenticated(r) == nil {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	switch r.Method {
	case http.MethodPut:
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		writeString(w, strconv.FormatInt(n, 10))
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Content-Type", "application/octet-stream")
		writeString(w, "contents of "+r.URL.Path)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

func loginResponse(s *session, r *http.Request) string {
	locale := s.locale
	if locale == "" {
		locale = "en"
	}
	return fmt.Sprintf(`<LoginByTokenResponse xmlns="urn:vim25"><returnval><key>%s</key><userName>%s</userName><fullName>%[2]s</fullName>`+
		`<loginTime>%s</loginTime><lastActiveTime>%[3]s</lastActiveTime><locale>%s</locale><messageLocale>%[4]s</messageLocale>`+
		`<extensionSession>false</extensionSession><ipAddress>%s</ipAddress><userAgent>%s</userAgent><callCount>0</callCount></returnval></LoginByTokenResponse>`,
		s.key, escapeText(s.user), stamp(s.created), escapeText(locale), escapeText(r.RemoteAddr), escapeText(r.UserAgent()))
}

// writeSOAP answers with this body.
func writeSOAP(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	writeString(w, envelopeStart+body+envelopeEnd)
}

// writeFault answers with a SOAP fault; message is XML.
func writeFault(w http.ResponseWriter, faultcode, message, detail string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	writeString(w, envelopeStart+`<soapenv:Fault><faultcode>`+faultcode+`</faultcode><faultstring>`+message+`</faultstring><detail>`+detail+`</detail></soapenv:Fault>`+envelopeEnd)
}

// writeString writes an answer; a client that has gone is no concern of the server.
func writeString(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s) }
