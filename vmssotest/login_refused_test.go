package vmssotest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusedLogin is a message that must not log in, and a word of why.
type refusedLogin struct {
	name, reason string
	edit         func(*message)
}

func testRefused(t *testing.T, base func() *message, tests []refusedLogin) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := base()
			tt.edit(m)
			v := newTestVSphere()
			w := logIn(v, m.build(t))
			reasons := strings.Join(v.Reasons(), "; ")
			if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "InvalidLoginFault") || v.Refused() != 1 || v.Logins() != 0 || newCookie(w) != "" {
				t.Fatalf("status %d, logins %d, refused %d, reasons %q", w.Code, v.Logins(), v.Refused(), reasons)
			}
			if !strings.Contains(reasons, tt.reason) {
				t.Errorf("refused because of %q, want %q", reasons, tt.reason)
			}
			if strings.Contains(w.Body.String(), tt.reason) {
				t.Errorf("the client is told why: %s", w.Body)
			}
		})
	}
}

// replaced changes the message after it was signed.
func replaced(old, new string) func(*message) {
	return func(m *message) {
		envelope := m.envelope
		m.envelope = func(security, body string) string {
			msg := envelope(security, body)
			changed := strings.Replace(msg, old, new, 1)
			if changed == msg {
				panic("nothing replaced: " + old)
			}
			return changed
		}
	}
}

func prefixed(s string) func(*message) {
	return func(m *message) {
		m.envelope = func(security, body string) string { return s + envelopeXML(security, body) }
	}
}

func TestLoginFrameRefused(t *testing.T) {
	security := `<wsse:Security xmlns:wsse="` + nsWSSE + `"></wsse:Security>`
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"DOCTYPE", "DOCTYPE", prefixed(`<!DOCTYPE soap:Envelope>`)},
		{"entity declaration", "DOCTYPE", prefixed(`<!DOCTYPE a [<!ENTITY e "alice">]>`)},
		{"entity", "not well-formed", replaced("en_US", "&lang;")},
		{"processing instruction before", "processing instruction", prefixed(`<?xml-stylesheet href="x"?>`)},
		{"processing instruction inside", "processing instruction", replaced("<soap:Header>", "<soap:Header><?pi x?>")},
		{"second XML declaration", "processing instruction", replaced("<soap:Header>", `<soap:Header><?xml version="1.0"?>`)},
		{"text after the envelope", "not well-formed", func(m *message) {
			m.envelope = func(s, b string) string { return envelopeXML(s, b) + "x" }
		}},
		{"second root", "more than one root", func(m *message) {
			m.envelope = func(s, b string) string { return envelopeXML(s, b) + "<a/>" }
		}},
		{"cut off", "not well-formed", func(m *message) {
			m.envelope = func(s, b string) string { return strings.TrimSuffix(envelopeXML(s, b), "</soap:Envelope>") }
		}},
		{"attribute twice", "twice", replaced(`type="SessionManager"`, `type="SessionManager" type="SessionManager"`)},
		{"attribute twice by namespace", "twice", replaced(`wsu:Id="_body-1"`, `wsu:Id="_body-1" xmlns:w2="`+nsWSU+`" w2:Id="_body-1"`)},
		{"prefix not declared", "not declared", replaced("<soap:Header>", "<soap:Header><x:a/>")},
		{"too deep", "too deep", replaced("<soap:Header>", "<soap:Header>"+strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100))},
		{"UTF-16 declared", "not well-formed", prefixed(`<?xml version="1.0" encoding="UTF-16"?>`)},
		{"SOAP 1.2", "SOAP 1.1", func(m *message) {
			m.envelope = func(s, b string) string {
				return strings.ReplaceAll(envelopeXML(s, b), nsSOAP, "http://www.w3.org/2003/05/soap-envelope")
			}
		}},
		{"no Security", "no Security", func(m *message) {
			m.envelope = func(s, b string) string { return strings.ReplaceAll(envelopeXML(s, b), "wsse:Security", "wsse:Other") }
		}},
		{"two Security", "more than one Security", withHeaderEdit(security)},
		{"Security in the wrong namespace", "no Security", func(m *message) {
			m.envelope = func(s, b string) string {
				return strings.ReplaceAll(envelopeXML(s, b), nsWSSE, nsWSSE+"#")
			}
		}},
		{"Security for another actor", "unexpected attribute", replaced("<wsse:Security ", `<wsse:Security soap:actor="urn:other" `)},
		{"text in Security", "text inside", replaced("<wsu:Timestamp", "x<wsu:Timestamp")},
		{"unknown child of Security", "unexpected", replaced("<wsu:Timestamp", "<a/><wsu:Timestamp")},
		{"header that must be understood", "not understood", withHeaderEdit(`<a soap:mustUnderstand="1"/>`)},
		{"two headers", "Body where it belongs", replaced("<soap:Header>", "<soap:Header/><soap:Header>")},
		{"line break in attribute", "line break", replaced(`type="SessionManager"`, "type=\"Session\nManager\"")},
	})
}

func withHeaderEdit(header string) func(*message) {
	return func(m *message) { m.envelope = withHeader(header) }
}

func TestLoginSignatureWrappingRefused(t *testing.T) {
	evil := strings.Replace(loginBody, "en_US", "de_DE", 1)
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"signed body moved into a header", "twice", func(m *message) {
			m.envelope = func(s, b string) string { return withHeader("<wrapper>"+b+"</wrapper>")(s, bodyXML(m.bodyID, evil)) }
		}},
		{"signed body moved, other id", "stray Body", func(m *message) {
			m.envelope = func(s, b string) string { return withHeader("<wrapper>"+b+"</wrapper>")(s, bodyXML("_evil", evil)) }
		}},
		{"signed body renamed and moved", "Body is not signed", func(m *message) {
			m.signedBody = strings.Replace(strings.Replace(m.body, "<soap:Body", "<soap:X", 1), "</soap:Body", "</soap:X", 1)
			m.envelope = func(s, b string) string {
				return withHeader("<wrapper>"+m.signedBody+"</wrapper>")(s, bodyXML("_evil", evil))
			}
		}},
		{"body without id", "Body is not signed", func(m *message) {
			m.envelope = func(s, b string) string {
				return withHeader("<wrapper>"+strings.NewReplacer("<soap:Body", "<soap:X", "</soap:Body", "</soap:X").Replace(b)+"</wrapper>")(s, "<soap:Body>"+evil+"</soap:Body>")
			}
		}},
		{"body inside the security header", "unexpected Body", func(m *message) {
			m.layout = func(ts, tok, sig string) string { return ts + tok + sig + m.body }
			m.envelope = func(s, b string) string { return envelopeXML(s, bodyXML("_evil", evil)) }
		}},
		{"two bodies", "unexpected Body", func(m *message) {
			m.envelope = func(s, b string) string { return envelopeXML(s, b+bodyXML("_evil", evil)) }
		}},
		{"body of no namespace", "no Body", func(m *message) {
			m.envelope = func(s, b string) string { return envelopeXML(s, "<Body>"+loginBody+"</Body>") }
		}},
		{"envelope in envelope", "stray Envelope", func(m *message) {
			m.envelope = func(s, b string) string {
				return withHeader("<wrapper>"+envelopeXML("", "<soap:Body/>")+"</wrapper>")(s, b)
			}
		}},
		{"signed timestamp moved", "stray Timestamp", func(m *message) {
			signed := m.timestamp
			m.timestamp, m.signedTimestamp = timestampXML("_fresh", stamp(testTime()), stamp(testTime().Add(time.Minute))), signed
			m.envelope = withHeader("<wrapper>" + signed + "</wrapper>")
		}},
		{"signed timestamp moved into the body", "stray Timestamp", func(m *message) {
			signed := m.timestamp
			m.timestamp, m.signedTimestamp = timestampXML("_fresh", stamp(testTime()), stamp(testTime().Add(time.Minute))), signed
			m.body = bodyXML(m.bodyID, strings.Replace(loginBody, "</LoginByToken>", signed+"</LoginByToken>", 1))
		}},
		{"two timestamps", "two Timestamp", func(m *message) {
			m.layout = func(ts, tok, sig string) string {
				return ts + timestampXML("_2", stamp(testTime()), stamp(testTime().Add(time.Minute))) + tok + sig
			}
		}},
		{"id of the body again as ID", "twice", withHeaderEdit(`<a ID="_body-1"/>`)},
		{"id of the body again as xml:id", "twice", withHeaderEdit(`<a xml:id="_body-1"/>`)},
		{"id of the timestamp again", "twice", withHeaderEdit(`<a xmlns:wsu="` + nsWSU + `" wsu:Id="_timestamp-1"/>`)},
		{"id of the body without namespace", "unexpected attribute", func(m *message) { m.body = strings.Replace(m.body, "wsu:Id", "Id", 1) }},
		{"timestamp not signed", "has 1 references", func(m *message) { m.onlyBody = true }},
		{"body not signed", "has 1 references", func(m *message) { m.onlyTimestamp = true }},
		{"body signed twice instead of the timestamp", "Timestamp is not signed", func(m *message) {
			m.signedInfo = func(ts, body string) string { return body + body }
		}},
		{"third reference", "3 references", func(m *message) {
			m.signedInfo = func(ts, body string) string { return ts + body + m.reference("_token-1", m.token) }
		}},
		{"reference to the whole document", "not accepted", func(m *message) {
			m.signedInfo = func(ts, body string) string { return ts + strings.Replace(body, "#_body-1", "", 1) }
		}},
		{"reference by XPointer", "not accepted", func(m *message) {
			m.signedInfo = func(ts, body string) string {
				return ts + strings.Replace(body, "#_body-1", "#xpointer(id('_body-1'))", 1)
			}
		}},
		{"reference to another document", "not accepted", func(m *message) {
			m.signedInfo = func(ts, body string) string { return ts + strings.Replace(body, "#_body-1", "http://evil.test/", 1) }
		}},
	})
}

func TestLoginTimestampRefused(t *testing.T) {
	at := func(created, expires string) func(*message) {
		return func(m *message) { m.timestamp = timestampXML(m.timestampID, created, expires) }
	}
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"missing", "no Timestamp", func(m *message) { m.layout = func(ts, tok, sig string) string { return tok + sig } }},
		{"expired", "InvalidTimeRange", clock(-12 * time.Minute)},
		{"expired just now", "InvalidTimeRange", clock(-11 * time.Minute)},
		{"from the future", "InvalidTimeRange", clock(10*time.Minute + time.Millisecond)},
		{"created after expires", "InvalidTimeRange", at("2026-05-04T12:01:00.000Z", "2026-05-04T12:00:00.000Z")},
		{"created when it expires", "InvalidTimeRange", at("2026-05-04T12:00:00.000Z", "2026-05-04T12:00:00.000Z")},
		{"local time", "not a UTC time", at("2026-05-04T14:00:00.000+02:00", "2026-05-04T14:05:00.000+02:00")},
		{"offset zero instead of Z", "not a UTC time", at("2026-05-04T12:00:00.000+00:00", "2026-05-04T12:05:00.000Z")},
		{"no zone", "not a UTC time", at("2026-05-04T12:00:00.000", "2026-05-04T12:05:00.000")},
		{"no seconds", "not a UTC time", at("2026-05-04T12:00Z", "2026-05-04T12:05Z")},
		{"one digit of hour", "not a UTC time", at("2026-05-04T9:00:00.0Z", "2026-05-04T12:05:00Z")},
		{"comma", "not a UTC time", at("2026-05-04T12:00:00,000Z", "2026-05-04T12:05:00,000Z")},
		{"blank around", "not a UTC time", at(" 2026-05-04T12:00:00Z", "2026-05-04T12:05:00Z")},
		{"impossible day", "not a UTC time", at("2026-02-30T12:00:00.000Z", "2026-05-04T12:05:00.000Z")},
		{"no expires", "no Expires", func(m *message) {
			m.timestamp = strings.Replace(m.timestamp, "<wsu:Expires>"+stamp(testTime().Add(10*time.Minute))+"</wsu:Expires>", "", 1)
		}},
		{"comment inside", "more than text", replaced("<wsu:Created>", "<wsu:Created><!-- -->")},
	})
	testRefused(t, bearerLogin, []refusedLogin{
		{"bearer, missing", "no Timestamp", func(m *message) { m.timestamp = "" }},
		{"bearer, expired", "InvalidTimeRange", clock(-12 * time.Minute)},
	})
}

func TestLoginAssertionRefused(t *testing.T) {
	issue := func(a *Authority, edit func(*Claims)) func(*message) {
		return func(m *message) {
			c := Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: clientCertificate(), NotBefore: testTime()}
			edit(&c)
			m.token = a.Issue(c)
		}
	}
	in := func(old, new string) func(*message) { // the token changed behind its signature, the message signed afterwards
		return func(m *message) {
			changed := strings.Replace(m.token, old, new, 1)
			if changed == m.token {
				panic("nothing replaced: " + old)
			}
			m.token = changed
		}
	}
	same := func(*Claims) {}
	testRefused(t, holderOfKeyLogin, []refusedLogin{
		{"missing", "no assertion", func(m *message) { m.token = "" }},
		{"after the signature", "after the signature", func(m *message) {
			m.layout = func(ts, tok, sig string) string { return ts + sig + tok }
		}},
		{"two", "two Assertion", func(m *message) { m.token += authority().Issue(Claims{Subject: "b"}) }},
		{"second in another header", "second assertion", withHeaderEdit("<w>" + authority().Issue(Claims{Subject: "b"}) + "</w>")},
		{"second in the body", "second assertion", func(m *message) {
			m.body = bodyXML(m.bodyID, loginBody+authority().Issue(Claims{Subject: "b"}))
		}},
		{"encrypted", "unexpected EncryptedAssertion", func(m *message) { m.token = `<EncryptedAssertion xmlns="` + nsSAML + `"/>` }},
		{"SAML 1.1", "unexpected Assertion", in(nsSAML, "urn:oasis:names:tc:SAML:1.0:assertion")},
		{"version 2.1", "assertion has version", issue(authority(), func(c *Claims) { c.Version = "2.1" })},
		{"version 1.1", "assertion has version", issue(authority(), func(c *Claims) { c.Version = "1.1" })},
		{"version changed", "assertion has version", in(`Version="2.0"`, `Version="2.1"`)},
		{"subject changed", "could not be verified", in("alice@", "carol@")},
		{"attribute added", "could not be verified", in(`<saml2:Conditions `, `<saml2:Conditions a="" `)},
		{"life changed", "could not be verified", in(`NotOnOrAfter="2026`, `NotOnOrAfter="2027`)},
		{"signature value changed", "verification error", in("<ds:SignatureValue>", "<ds:SignatureValue>AAAA")},
		{"not signed", "not signed", func(m *message) {
			head, rest, _ := strings.Cut(m.token, "<ds:Signature ")
			_, tail, _ := strings.Cut(rest, "</ds:Signature>")
			m.token = head + tail
		}},
		{"signature at the end", "not signed right after", func(m *message) {
			head, rest, _ := strings.Cut(m.token, "<ds:Signature ")
			sig, tail, _ := strings.Cut(rest, "</ds:Signature>")
			m.token = head + strings.TrimSuffix(tail, "</saml2:Assertion>") + "<ds:Signature " + sig + "</ds:Signature></saml2:Assertion>"
		}},
		{"signed twice", "two signatures", func(m *message) {
			_, rest, _ := strings.Cut(m.token, "<ds:Signature ")
			sig, _, _ := strings.Cut(rest, "</ds:Signature>")
			m.token = strings.Replace(m.token, "</saml2:Assertion>", "<ds:Signature "+sig+"</ds:Signature></saml2:Assertion>", 1)
		}},
		{"signature refers elsewhere", "refers to something else", in(`URI="#_token-1"`, `URI="#_body-1"`)},
		{"signature refers to the document", "not accepted", in(`URI="#_token-1"`, `URI=""`)},
		{"sha1", "not accepted", in(moreAlg+"rsa-sha256", nsDS+"rsa-sha1")},
		{"HMAC", "not accepted", in(moreAlg+"rsa-sha256", moreAlg+"hmac-sha256")},
		{"no enveloped transform", "not accepted", in(`<ds:Transform Algorithm="`+enveloped+`"/>`, "")},
		{"XPath transform", "not accepted", in(enveloped, "http://www.w3.org/TR/1999/REC-xpath-19991116")},
		{"expired", "expired", issue(authority(), func(c *Claims) {
			c.NotBefore, c.NotOnOrAfter = testTime().Add(-time.Hour), testTime().Add(-10*time.Minute)
		})},
		{"not yet valid", "not valid before", issue(authority(), func(c *Claims) { c.NotBefore = testTime().Add(11 * time.Minute) })},
		{"other issuer", "Could not verify certificate", issue(otherAuthority(), same)},
		{"other key, same name, trusted certificate in KeyInfo", "verification error", func(m *message) {
			issue(otherAuthority(), same)(m)
			in(encode(otherAuthority().Certificate().Raw), encode(authority().Certificate().Raw))(m)
		}},
		{"no KeyInfo and the wrong key", "verification error", func(m *message) {
			issue(otherAuthority(), same)(m)
			head, rest, _ := strings.Cut(m.token, "<ds:KeyInfo>")
			_, tail, _ := strings.Cut(rest, "</ds:KeyInfo>")
			m.token = head + tail
		}},
		{"no subject", "no subject", issue(authority(), func(c *Claims) { c.Subject = "" })},
		{"other token wraps the signed one", "refers to something else", func(m *message) { // XSW: the signed assertion hides inside
			signed := m.token
			_, rest, _ := strings.Cut(signed, "<ds:Signature ")
			sig, _, _ := strings.Cut(rest, "</ds:Signature>")
			m.token = strings.NewReplacer("_token-1", "_evil-1", "alice@", "admin@").Replace(signed)
			head, rest, _ := strings.Cut(m.token, "<ds:Signature ")
			_, tail, _ := strings.Cut(rest, "</ds:Signature>")
			m.token = head + "<ds:Signature " + sig + "<ds:Object>" + signed + "</ds:Object></ds:Signature>" + tail
			m.token = strings.Replace(m.token, "<ds:Object>"+signed+"</ds:Object>", "", 1)
			m.token = strings.Replace(m.token, "</saml2:Assertion>", "<saml2:Advice>"+signed+"</saml2:Advice></saml2:Assertion>", 1)
			m.keyInfo = samlReference("_evil-1")
		}},
		{"signed token inside ds:Object", "unexpected Object", func(m *message) {
			m.token = strings.Replace(strings.NewReplacer("_token-1", "_evil-1").Replace(m.token), "</ds:Signature>", "<ds:Object>"+m.token+"</ds:Object></ds:Signature>", 1)
		}},
	})
}
