package vmssotest

import (
	"crypto/x509"
	"regexp"
	"strings"
	"testing"
	"time"
)

// stride is the distance of the bytes that TestEveryByteCounts changes; a prime, so that all columns of base64 are met.
const stride = 13

// A message of which one byte differs is refused, or nothing that counts has changed: the same token, the same holder, the same body.
func TestEveryByteCounts(t *testing.T) {
	trust := []*x509.Certificate{readCertificate(t, "sts-cert.pem")}
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml"} {
		msg := []byte(read(t, name))
		want, err := verifyLogin(msg, trust, at, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(msg); i += stride {
			for _, flip := range []byte{1, 0x20} { // another character; a letter's other case
				changed := append([]byte(nil), msg...)
				changed[i] ^= flip
				l, err := verifyLogin(changed, trust, at, 10*time.Minute)
				if err != nil {
					continue
				}
				if l.Assertion != want.Assertion || l.Subject != want.Subject || !l.Holder.Equal(want.Holder) || l.Locale != want.Locale {
					t.Errorf("%s: byte %d, %q to %q, gives another login", name, i, msg[i], changed[i])
				}
				if !harmless(string(msg), i) {
					t.Errorf("%s: byte %d, %q to %q, is accepted: …%s…", name, i, msg[i], changed[i], changed[max(0, i-40):min(len(changed), i+40)])
				}
			}
		}
	}
}

// harmless knows the bytes that may change: those of a namespace declaration that nothing needs, because the same prefix is declared again where it is
// used, or further out. Exclusive C14N leaves such declarations out; a changed one that is needed breaks the digest or the structure.
func harmless(msg string, i int) bool {
	for _, at := range regexp.MustCompile(`xmlns:\w+="[^"]*"`).FindAllStringIndex(msg, -1) {
		if at[0] < i && i < at[1] {
			return true
		}
	}
	return false
}

// Each part of a recorded message, changed in one byte, is refused for the reason that belongs to the part.
func TestTamperedVectorsRefused(t *testing.T) {
	trust := []*x509.Certificate{readCertificate(t, "sts-cert.pem")}
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	tests := []struct{ part, before, reason string }{
		{"body text", ">SessionManager", "digest of Body is wrong"},
		{"timestamp", "Expires>2026-11-22T0", "digest of Timestamp is wrong"},
		{"token text", "test-solution@vsphere", "Signature could not be verified"},
		{"token signature", "<ds:SignatureValue>EgWF", "verification error"},
		{"token digest", "<ds:DigestValue>Hfo6", "verification error"},
		{"holder's certificate", "<ds:X509Certificate>MIIDQ", "Signature could not be verified"},
		{"issuer's certificate", "<ds:X509Certificate>MIIDO", ""},
		{"KeyInfo", "#SAMLID\">_1111", "KeyInfo names"},
	}
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml"} {
		msg := read(t, name)
		last := strings.LastIndex(msg, "SignatureValue>")
		all := append(tests[:len(tests):len(tests)],
			struct{ part, before, reason string }{"message signature", msg[strings.LastIndex(msg[:last], "SignatureValue>"):][:30], "signature value is wrong"},
			struct{ part, before, reason string }{"message digest", msg[strings.LastIndex(msg[:strings.LastIndex(msg, "DigestValue>")], "DigestValue>"):][:20], "digest of"})
		for _, tt := range all {
			i := strings.LastIndex(msg, tt.before) + len(tt.before)
			if i < len(tt.before) {
				t.Fatalf("%s: %q is not there", name, tt.before)
			}
			i-- // the last byte of what was found
			for strings.ContainsRune(`<>"/`, rune(msg[i])) {
				i--
			}
			changed := []byte(msg)
			if changed[i] == 'A' {
				changed[i] = 'B'
			} else {
				changed[i] = 'A'
			}
			if strings.HasPrefix(tt.part, "timestamp") { // a time, but another one
				changed[i] = '1'
			}
			_, err := verifyLogin(changed, trust, at, 20*time.Hour)
			if err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%s: %s changed: got %v, want %q", name, tt.part, err, tt.reason)
			}
		}
	}
}
