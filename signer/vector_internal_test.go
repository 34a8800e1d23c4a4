package signer

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
)

// The vector is a message of govmomi, signed with the same key as our own. RSA
// signatures of PKCS #1 v1.5 have no randomness, so ours must be the same.
func TestVectorOfGovmomiIsSignedAlikeByteForByte(t *testing.T) {
	text := readVector(t, "govmomi-loginbytoken-hok.xml")
	pair, err := tls.LoadX509KeyPair("testdata/client-cert.pem", "testdata/client-key-pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Credentials{Token: &vmsso.Token{Assertion: readVector(t, "hok.xml"), Key: pair.PrivateKey.(crypto.Signer)}})
	if err != nil {
		t.Fatal(err)
	}
	header, body, _ := strings.Cut(text, "</soap:Header>")
	signature := header[strings.LastIndex(header, "<ds:Signature "):]
	timestamp := "<wsu:Timestamp" + between(t, header, "<wsu:Timestamp", "</wsu:Timestamp>") + "</wsu:Timestamp>"
	body = strings.TrimSuffix(body, "</soap:Envelope>")
	info := "<ds:SignedInfo" + between(t, signature, "<ds:SignedInfo", "</ds:SignedInfo>") + "</ds:SignedInfo>"
	value := between(t, signature, "<ds:SignatureValue>", "</ds:SignatureValue>")

	for name, part := range map[string]string{"Timestamp": timestamp, "Body": body} {
		sum := sha256.Sum256([]byte(part))
		if got := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(info, ">"+got+"<") {
			t.Errorf("%s: our digest %s is not in %s", name, got, info)
		}
	}
	raw, err := s.key.sign([]byte(info))
	if got := base64.StdEncoding.EncodeToString(raw); got != value || err != nil {
		t.Errorf("SignatureValue of the vector's SignedInfo: got %s, %v\nwant %s", got, err, value)
	}
	made, err := s.appendSignature(nil,
		reference{between(t, timestamp, `wsu:Id="`, `"`), []byte(timestamp)},
		reference{between(t, body, `wsu:Id="`, `"`), []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(signature[:strings.Index(signature, "</ds:Signature>")]+"</ds:Signature>", `Id=""`, `Id="`+s.signatureID+`"`, 1)
	if string(made) != want {
		t.Errorf("Signature of the vector's parts:\ngot  %s\nwant %s", made, want)
	}
}

func readVector(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func between(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	s, _, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		t.Fatalf("nothing between %q and %q", from, to)
	}
	return s
}

func TestFixedWidth(t *testing.T) {
	tests := []struct {
		name, der, want string // in hexadecimal; no want: an error
	}{
		{"short numbers are padded", "3006020101020102", "00010002"},
		{"a leading zero byte is the sign, not the number", "3008020200ff020200fe", "00ff00fe"},
		{"full width", "300a0203008000020300ffff", "8000ffff"},
		{"empty", "", ""},
		{"garbage", "deadbeef", ""},
		{"cut", "30060201010201", ""},
		{"bytes behind", "300602010102010200", ""},
		{"r is zero", "3006020100020101", ""},
		{"s is zero", "3006020101020100", ""},
		{"r is negative", "30060201ff020101", ""},
		{"s is negative", "30060201010201ff", ""},
		{"r is too wide", "30080203010000020101", ""},
		{"s is too wide", "30080201010203010000", ""},
		{"one number only", "3003020101", ""},
		{"r||s as it is", "00010002", ""},
	}
	for _, tt := range tests {
		got, err := fixedWidth(unhex(t, tt.der), 2)
		if string(got) != string(unhex(t, tt.want)) || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %s: got %x, %v, want %q", tt.name, tt.der, got, err, tt.want)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
