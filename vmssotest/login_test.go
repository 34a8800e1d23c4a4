package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLoginByTokenAccepted(t *testing.T) {
	ec := func(curve elliptic.Curve, method string, hash crypto.Hash) func() *message {
		return func() *message {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			m := holderOfKeyLogin()
			m.token = authority().Issue(Claims{ID: "_token-1", Subject: "alice@vsphere.local", Holder: NewKeyPair("ec", key).Leaf, NotBefore: testTime()})
			m.key, m.method, m.hash = key, moreAlg+method, hash
			return m
		}
	}
	edit := func(f func(*message)) func() *message {
		return func() *message {
			m := holderOfKeyLogin()
			f(m)
			return m
		}
	}
	claims := func(c Claims) func() *message {
		return edit(func(m *message) {
			c.ID, c.Subject, c.Holder, c.NotBefore = "_token-1", "alice@vsphere.local", clientCertificate(), testTime()
			m.token = authority().Issue(c)
		})
	}
	tests := map[string]func() *message{
		"holder of key":             holderOfKeyLogin,
		"bearer":                    bearerLogin,
		"body first":                edit(func(m *message) { m.bodyFirst = true }),
		"empty Id on the signature": edit(func(m *message) { m.sigAttrs = ` Id=""` }),
		"token before timestamp":    edit(func(m *message) { m.layout = func(ts, tok, sig string) string { return tok + ts + sig } }),
		"timestamp last":            edit(func(m *message) { m.layout = func(ts, tok, sig string) string { return tok + sig + ts } }),
		"rsa-sha384":                edit(func(m *message) { m.method, m.hash = moreAlg+"rsa-sha384", crypto.SHA384 }),
		"rsa-sha512":                edit(func(m *message) { m.method, m.hash = moreAlg+"rsa-sha512", crypto.SHA512 }),
		"digest sha384":             edit(func(m *message) { m.digest, m.digestHash = dsSHA384, crypto.SHA384 }),
		"digest sha512":             edit(func(m *message) { m.digest, m.digestHash = dsSHA512, crypto.SHA512 }),
		"ecdsa-sha256, P-256":       ec(elliptic.P256(), "ecdsa-sha256", crypto.SHA256),
		"ecdsa-sha384, P-384":       ec(elliptic.P384(), "ecdsa-sha384", crypto.SHA384),
		"ecdsa-sha512, P-521":       ec(elliptic.P521(), "ecdsa-sha512", crypto.SHA512),
		"body without namespace":    edit(func(m *message) { m.body = bodyXML(m.bodyID, strings.Replace(loginBody, ` xmlns="urn:vim25"`, "", 1)) }),
		"no locale": edit(func(m *message) {
			m.body = bodyXML(m.bodyID, strings.Replace(loginBody, `<locale>en_US</locale>`, "", 1))
		}),
		"line breaks of Java in base64": edit(func(m *message) { m.editSig = breakBase64 }),
		"XML declaration": edit(func(m *message) {
			m.envelope = func(sec, body string) string {
				return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + envelopeXML(sec, body)
			}
		}),
		"timestamp without fraction": edit(func(m *message) {
			m.timestamp = timestampXML(m.timestampID, "2026-05-04T11:59:00Z", "2026-05-04T12:01:00Z")
		}),
		"client clock 9 minutes slow":  edit(clock(-9 * time.Minute)),
		"client clock 9 minutes fast":  edit(clock(9 * time.Minute)),
		"another header":               edit(func(m *message) { m.envelope = withHeader(`<operationID>4711</operationID>`) }),
		"audience":                     claims(Claims{Audiences: []string{"https://vc.example.test/"}}),
		"groups, delegation, renewal":  claims(Claims{Groups: []string{`a\b`, `"q" & <r>`}, Delegations: 10, Renewals: 10}),
		"default namespace in token":   claims(Claims{Prefix: "xmlns"}),
		"prefix saml in token":         claims(Claims{Prefix: "saml"}),
		"token of two thousand groups": claims(Claims{Groups: strings.Fields(strings.Repeat(`vsphere.local\group `, 2000))}),
		"token with a nested token": claims(Claims{Prefix: "saml2", Statements: `<saml2:Advice>` +
			authority().Issue(Claims{Subject: "other@vsphere.local", NotBefore: testTime()}) + `</saml2:Advice>`}),
	}
	for name, build := range tests {
		t.Run(name, func(t *testing.T) {
			var logins []Login
			v := NewVSphere(VSphereConfig{Trust: []*x509.Certificate{authority().Certificate()}, Now: testTime, OnLogin: func(l Login) { logins = append(logins, l) }})
			m := build()
			msg := m.build(t)
			w := logIn(v, msg)
			if w.Code != http.StatusOK || v.Logins() != 1 || v.Refused() != 0 || len(logins) != 1 {
				t.Fatalf("status %d, logins %d, reasons %q", w.Code, v.Logins(), v.Reasons())
			}
			l := logins[0]
			if l.Subject != "alice@vsphere.local" || l.Assertion != m.token || l.AssertionID != "_token-1" || string(l.Message) != msg {
				t.Errorf("login = %+v", l)
			}
			if l.HolderOfKey != (m.key != nil) || (l.Holder != nil) != l.HolderOfKey || l.Cookie != newCookie(w) {
				t.Errorf("holder of key %t, cookie %q, want %t, %q", l.HolderOfKey, l.Cookie, m.key != nil, newCookie(w))
			}
		})
	}
}

// breakBase64 writes base64 as Java's XML signatures do.
func breakBase64(sig string) string {
	i := strings.Index(sig, "<ds:SignatureValue>") + len("<ds:SignatureValue>")
	return sig[:i] + "\n" + sig[i:i+76] + "&#13;\n" + sig[i+76:i+152] + "&#13;\n " + sig[i+152:]
}

func clock(d time.Duration) func(*message) {
	return func(m *message) {
		m.timestamp = timestampXML(m.timestampID, stamp(testTime().Add(d)), stamp(testTime().Add(d+time.Minute)))
	}
}

func withHeader(header string) func(security, body string) string {
	return func(security, body string) string {
		return strings.Replace(envelopeXML(security, body), "<soap:Header>", "<soap:Header>"+header, 1)
	}
}

// The messages of other implementations, as they were recorded.
func TestLoginByTokenVectorsAccepted(t *testing.T) {
	trust := []*x509.Certificate{readCertificate(t, "sts-cert.pem")}
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml"} {
		at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
		l, err := verifyLogin([]byte(read(t, name)), trust, at, 10*time.Minute)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Assertion != read(t, "hok.xml") || l.Subject != "test-solution@vsphere.local" || !l.Holder.Equal(readCertificate(t, "client-cert.pem")) {
			t.Errorf("%s: login = %+v", name, l)
		}
	}
	m := bearerLogin()
	m.token = read(t, "bearer.xml")
	m.timestamp = timestampXML("_t", "2026-11-22T01:00:00.000Z", "2026-11-22T01:01:00.000Z")
	if _, err := verifyLogin([]byte(m.build(t)), trust, time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), 0); err != nil {
		t.Errorf("bearer.xml: %v", err)
	}
}
