package signer

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
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
		reference{[]byte(between(t, timestamp, `wsu:Id="`, `"`)), []byte(timestamp)},
		reference{[]byte(between(t, body, `wsu:Id="`, `"`)), []byte(body)})
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
		{"r is longer than it has to be", "300702020001020101", ""},
		{"s is longer than it has to be", "300702010102020001", ""},
		{"r is empty", "30050200020101", ""},
		{"bytes behind s", "30070201010201017f", ""},
		{"a length that is longer than it has to be", "308106020101020102", ""},
		{"no length", "3080020101020102" + "0000", ""},
		{"a length over all bytes", "3007020101020102", ""},
		{"one number only", "3003020101", ""},
		{"r||s as it is", "00010002", ""},
	}
	for _, tt := range tests {
		got, err := appendFixedWidth(nil, unhex(t, tt.der), 2)
		if string(got) != string(unhex(t, tt.want)) || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %s: got %x, %v, want %q", tt.name, tt.der, got, err, tt.want)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The reader of ASN.1 takes what encoding/asn1 writes, and makes the same of it.
func FuzzFixedWidth(f *testing.F) {
	for _, s := range []string{"3006020101020102", "3008020200ff020200fe", "300602010102010200", "3006020100020101", "30060201ff020101", "308106020101020102", "3080020101020102"} {
		f.Add(unhex(f, s), uint8(32))
	}
	f.Fuzz(func(t *testing.T, sig []byte, size uint8) {
		n := min(int(size), len(zeros))
		got, err := appendFixedWidth(nil, sig, n)
		var rs struct{ R, S *big.Int }
		_, bad := asn1.Unmarshal(sig, &rs)
		exact, _ := asn1.Marshal(rs) // Unmarshal takes bytes behind s
		if bad != nil || !bytes.Equal(exact, sig) || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 8*n || rs.S.BitLen() > 8*n {
			if err == nil {
				t.Errorf("%x, %d: got %x, want an error", sig, n, got)
			}
			return
		}
		if want := append(rs.R.FillBytes(make([]byte, n)), rs.S.FillBytes(make([]byte, n))...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x, %d: got %x, %v, want %x", sig, n, got, err, want)
		}
	})
}
