package signer_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestClaimsOfAnIssuedAssertionAreRead(t *testing.T) {
	a, err := signer.ParseAssertion(issued(vmssotest.Claims{
		Delegations: 3, Renewals: 10, Delegates: []string{"bob@vsphere.local", "carol@vsphere.local"}, Audiences: []string{"urn:a", "urn:b"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if a.Delegations == nil || *a.Delegations != 3 || a.Renewals == nil || *a.Renewals != 10 {
		t.Errorf("got %v delegations and %v renewals, want 3 and 10", a.Delegations, a.Renewals)
	}
	if !slices.Equal(a.Delegates, []string{"bob@vsphere.local", "carol@vsphere.local"}) || a.Subject != "alice@vsphere.local" {
		t.Errorf("got %q for %q, want bob and carol for alice", a.Delegates, a.Subject)
	}
	if !slices.Equal(a.Confirmations, []string{bearerMethod}) || !a.ConfirmBy.Equal(noon.Add(time.Hour)) || !slices.Equal(a.Audiences, []string{"urn:a", "urn:b"}) {
		t.Errorf("got %q by %v for %q", a.Confirmations, a.ConfirmBy, a.Audiences)
	}
	if a, err = signer.ParseAssertion(issued(vmssotest.Claims{})); err != nil || a.Delegations != nil || a.Renewals != nil || a.Delegates != nil {
		t.Errorf("got %+v, %v, want neither delegations nor renewals", *a, err)
	}
}

// A token may be passed on no more, which is not the same as not saying so.
func TestRestrictionsToNothingAreRead(t *testing.T) {
	conditions := func(s string) string {
		return strings.Replace(assertion, "<saml2:AudienceRestriction>", s+"<saml2:AudienceRestriction>", 1)
	}
	const types = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:rsa="http://www.rsa.com/names/2009/12/std-ext/SAML2.0" xsi:type="rsa:RenewRestrictionType"`
	tests := []struct {
		name, text            string
		delegations, renewals any
	}{
		{"nothing", assertion, nil, nil},
		{"passed on no more", conditions(`<saml2:ProxyRestriction Count="0"/>`), 0, nil},
		{"passed on at will", conditions(`<saml2:ProxyRestriction/>`), nil, nil},
		{"renewed no more", conditions(`<saml2:Condition` + types + ` Count="0"/>`), nil, 0},
		{"another condition", conditions(`<saml2:Condition` + strings.Replace(types, "RenewRestrictionType", "Other", 1) + ` Count="7"/>`), nil, nil},
		{"a condition without a type", conditions(`<saml2:Condition Count="7"/>`), nil, nil},
		{"elsewhere", strings.Replace(assertion, "<saml2:Subject>", `<saml2:Advice><saml2:ProxyRestriction Count="7"/></saml2:Advice><saml2:Subject>`, 1), nil, nil},
	}
	show := func(p *int) string {
		if p == nil {
			return "<nil>"
		}
		return fmt.Sprint(*p)
	}
	for _, tt := range tests {
		a, err := signer.ParseAssertion(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if show(a.Delegations) != fmt.Sprint(tt.delegations) || show(a.Renewals) != fmt.Sprint(tt.renewals) {
			t.Errorf("%s: got %s delegations and %s renewals, want %v and %v", tt.name, show(a.Delegations), show(a.Renewals), tt.delegations, tt.renewals)
		}
	}
}

func TestSubjectConfirmationsMayEndBeforeTheAssertion(t *testing.T) {
	const one = `<saml2:SubjectConfirmation Method="` + bearerMethod + `"/>`
	confirmation := func(until string) string {
		return `<saml2:SubjectConfirmation Method="` + bearerMethod + `"><saml2:SubjectConfirmationData` + until + `/></saml2:SubjectConfirmation>`
	}
	five, ten := confirmation(` NotOnOrAfter="2026-03-01T12:05:00Z"`), confirmation(` NotOnOrAfter="2026-03-01T12:10:00Z"`)
	for _, tt := range []struct {
		name, text string
		want       time.Time
	}{
		{"unlimited", one, time.Time{}},
		{"five minutes", five, noon.Add(5 * time.Minute)},
		{"five and ten minutes", five + ten, noon.Add(10 * time.Minute)},
		{"ten and five minutes", ten + five, noon.Add(10 * time.Minute)},
		{"five minutes or unlimited", five + confirmation(""), time.Time{}},
	} {
		a, err := signer.ParseAssertion(strings.Replace(assertion, one, tt.text, 1))
		if err != nil || !a.ConfirmBy.Equal(tt.want) || a.ConfirmBy.IsZero() != tt.want.IsZero() {
			t.Errorf("%s: got %+v, %v, want %v", tt.name, a, err, tt.want)
		}
	}
}

// keyValue is a public key as XML Signature has it.
func keyValue(key crypto.PublicKey) string {
	b64 := base64.StdEncoding.EncodeToString
	switch k := key.(type) {
	case *rsa.PublicKey:
		return `<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>` + b64(k.N.Bytes()) + `</ds:Modulus><ds:Exponent>` + b64(big.NewInt(int64(k.E)).Bytes()) + `</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>`
	case *ecdsa.PublicKey:
		oid := map[string]string{"P-256": "1.2.840.10045.3.1.7", "P-384": "1.3.132.0.34", "P-521": "1.3.132.0.35"}[k.Params().Name]
		return `<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11="http://www.w3.org/2009/xmldsig11#"><dsig11:NamedCurve URI="urn:oid:` + oid + `"/><dsig11:PublicKey>` +
			b64(must(k.Bytes())) + `</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>`
	}
	panic(key)
}

func withKeyInfo(t *testing.T, s string) string {
	t.Helper()
	hok := read(t, "hok.xml")
	from := strings.LastIndex(hok, "<ds:X509Data>")
	to := strings.LastIndex(hok, "</ds:X509Data>") + len("</ds:X509Data>")
	return hok[:from] + s + hok[to:]
}

// An issuer may name the holder by the key alone.
func TestHolderIsKnownByAKeyValueToo(t *testing.T) {
	for _, kind := range []string{"RSA-2048", "RSA-4096", "P-256", "P-384", "P-521"} {
		key := testKeys[kind]()
		text := withKeyInfo(t, keyValue(key.Public()))
		a, err := signer.ParseAssertion(text)
		if err != nil || a.Holder != nil || a.HolderKey == nil || !a.HolderOfKey || !a.Fits(key.Public()) || a.Fits(testKeys["RSA-3072"]().Public()) {
			t.Errorf("%s: got %+v, %v, want the key", kind, a, err)
			continue
		}
		if s, err := signer.New(signer.Credentials{Token: &vmsso.Token{Assertion: text, Key: key}}); err != nil || !s.HolderOfKey() {
			t.Errorf("%s: got %v, %v, want a signer", kind, s, err)
		}
		_, err = signer.New(signer.Credentials{Token: &vmsso.Token{Assertion: text, Key: testKeys["RSA-3072"]()}})
		if !errors.Is(err, vmsso.ErrUnsupportedKey) || !strings.Contains(err.Error(), "not the key that the token was issued for") {
			t.Errorf("%s: another key: got %v, want ErrUnsupportedKey", kind, err)
		}
	}
}

// A certificate with a kind of key that is not known is that of somebody else.
func TestHolderWithAnUnknownKindOfKeyIsNobodyHere(t *testing.T) {
	key := testKeys["RSA-2048"]()
	c := validPair(t, key)
	rsaEncryption := []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
	odd := bytes.Replace(c.Certificate[0], rsaEncryption, append(rsaEncryption[:8:8], 0x7f), 1)
	tok := bound(t, &tls.Certificate{Certificate: [][]byte{odd}, PrivateKey: key})
	a, err := signer.ParseAssertion(tok.Assertion)
	if err != nil || a.Holder == nil || a.HolderKey != nil || a.Fits(key.Public()) {
		t.Fatalf("got %+v, %v, want a holder that fits no key", a, err)
	}
	if _, err := signer.New(signer.Credentials{Token: tok}); !errors.Is(err, vmsso.ErrUnsupportedKey) {
		t.Errorf("got %v, want ErrUnsupportedKey", err)
	}
}

func TestHolderThatCannotBeReadIsRefused(t *testing.T) {
	good := keyValue(testKeys["P-256"]().Public())
	rsaKey := keyValue(testKeys["RSA-2048"]().Public())
	point := func(s string) string {
		from, to := strings.Index(good, "<dsig11:PublicKey>")+len("<dsig11:PublicKey>"), strings.Index(good, "</dsig11:PublicKey>")
		return good[:from] + s + good[to:]
	}
	tests := []struct{ name, keyInfo, say string }{
		{"a point that is not base64", point("!s3cr3t"), "not base64"},
		{"a point that is not on the curve", point(base64.StdEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...))), "cannot be read"},
		{"a compressed point", point(base64.StdEncoding.EncodeToString(append([]byte{2}, make([]byte, 32)...))), "cannot be read"},
		{"a point of another curve", strings.Replace(good, "1.2.840.10045.3.1.7", "1.3.132.0.34", 1), "cannot be read"},
		{"a huge exponent", strings.Replace(rsaKey, "AQAB", "AQABAQABAQAB", 1), "cannot be read"},
		{"a huge modulus", strings.Replace(rsaKey, "<ds:Modulus>", "<ds:Modulus>"+strings.Repeat("AAAA", 1000), 1), "cannot be read"},
		{"a modulus that is not base64", strings.Replace(rsaKey, "<ds:Modulus>", "<ds:Modulus>!", 1), "not base64"},
	}
	for _, tt := range tests {
		_, err := signer.ParseAssertion(withKeyInfo(t, tt.keyInfo))
		if !errors.Is(err, vmsso.ErrUnsupportedToken) || !strings.Contains(err.Error(), tt.say) || !strings.Contains(err.Error(), "at byte") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.say)
		}
	}
	for name, keyInfo := range map[string]string{
		"a name": "<ds:KeyName>holder</ds:KeyName>", "an unknown curve": strings.Replace(good, "1.2.840.10045.3.1.7", "1.3.132.0.10", 1), "an empty KeyValue": "<ds:KeyValue/>",
	} {
		if a, err := signer.ParseAssertion(withKeyInfo(t, keyInfo)); err != nil || a.HolderKey != nil || !a.Fits(testKeys["P-256"]().Public()) {
			t.Errorf("%s: got %+v, %v, want a holder that is not known", name, a, err)
		}
	}
}
