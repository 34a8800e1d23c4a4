package vmssotest

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzLoginMessage: whatever comes, the verifier answers, and what it accepts holds the recorded token of the recorded holder.
func FuzzLoginMessage(f *testing.F) {
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml"} {
		f.Add([]byte(read(f, name)))
	}
	f.Add([]byte(bearerLogin().build(f)))
	f.Add([]byte(holderOfKeyLogin().build(f)))
	f.Add([]byte(soapXML(strings.Repeat("<a>", 70) + strings.Repeat("</a>", 70))))
	f.Add([]byte(`<a xmlns:b="urn:b" b:c='&#13;'><![CDATA[x]]><!-- y --></a>`))
	trust := []*x509.Certificate{readCertificate(f, "sts-cert.pem")}
	recorded := read(f, "hok.xml")
	f.Fuzz(func(t *testing.T, msg []byte) {
		operation(msg)
		if doc, err := parseDocument(msg); err == nil {
			if _, err := canonicalize(doc.root, []string{"xs", "#default"}); err != nil {
				t.Errorf("parsed but not canonicalised: %v", err)
			}
		}
		l, err := verifyLogin(msg, trust, time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), 10*time.Minute)
		if err == nil && l.Assertion != recorded {
			t.Errorf("accepted with another token: %s", l.Assertion)
		}
	})
}

// FuzzIssueMessage: the STS answers whatever comes, with a token only for the right password, key or token.
func FuzzIssueMessage(f *testing.F) {
	f.Add([]byte(passwordIssue("bob@vsphere.local", "secret").build(f)))
	f.Add([]byte(passwordIssue("bob@vsphere.local", "wrong").build(f)))
	f.Add([]byte(certificateIssue(clientPair()).build(f)))
	f.Add([]byte(tokenIssue().build(f)))
	f.Add([]byte(read(f, "govmomi-loginbytoken-hok.xml")))
	for _, token := range tokenShapes(f) {
		f.Add([]byte(renewal(token).build(f)))
		f.Add([]byte(actingFor(token).build(f)))
	}
	f.Add([]byte(renewal(oldToken(func(c *Claims) { c.Holder = nil })).build(f)))
	f.Add([]byte(renewal(otherAuthority().Issue(Claims{Subject: "mallory", Holder: clientCertificate(), NotBefore: testTime(), Renewals: 1})).build(f)))
	subjects := []string{"alice@vsphere.local", "bob@vsphere.local", "robot@vsphere.local"}
	f.Fuzz(func(t *testing.T, msg []byte) {
		s, issued := collectingSTS(nil)
		op := "Issue"
		if strings.Contains(string(msg), renewRequest) {
			op = "Renew"
		}
		switch w := ask(s, op, string(msg)); {
		case w.Code == http.StatusInternalServerError:
			if s.Issued() != 0 || len(s.Reasons()) != 1 {
				t.Errorf("refused, but issued %d, reasons %q", s.Issued(), s.Reasons())
			}
		case w.Code != http.StatusOK || s.Issued() != 1:
			t.Errorf("status %d, issued %d", w.Code, s.Issued())
		case !slices.Contains(subjects, (*issued)[0].Subject):
			t.Errorf("issued for %q", (*issued)[0].Subject)
		}
	})
}
