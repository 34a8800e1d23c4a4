package signer_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso/signer"
)

// Servers look for the assertion or certificate in front of the Signature.
func TestHeaderHasItsPartsInTheOrderThatServersNeed(t *testing.T) {
	c := vectorPair(t)
	tests := []struct {
		name        string
		credentials signer.Credentials
		want        string // local names of the children of Security
	}{
		{"bearer", signer.Credentials{Token: bearerToken(t)}, "Timestamp Assertion"},
		{"holder-of-key", signer.Credentials{Token: vectorToken(t)}, "Timestamp Assertion Signature"},
		{"certificate", signer.Credentials{Certificate: c}, "Timestamp BinarySecurityToken Signature"},
		{"password", signer.Credentials{Username: "jo", Password: "secret"}, "Timestamp UsernameToken"},
		{"password and certificate", signer.Credentials{Certificate: c, Username: "jo", Password: "secret"},
			"Timestamp BinarySecurityToken UsernameToken Signature"},
	}
	for _, tt := range tests {
		s := newSigner(t, tt.credentials)
		fromTree, err := s.Envelope(parse(t, []byte(loginByToken)), noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range [][]byte{message(t, s, loginByToken), fromTree} {
			root := parse(t, msg)
			var got []string
			for _, e := range root.FindElement("./Header/Security").ChildElements() {
				got = append(got, e.Tag)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
			if signs := strings.Contains(tt.want, "Signature"); s.HolderOfKey() != signs {
				t.Errorf("%s: HolderOfKey is %t, want %t", tt.name, s.HolderOfKey(), signs)
			}
			if op := root.FindElement("./Body/LoginByToken/locale"); op == nil || op.Text() != `a"b&c` {
				t.Errorf("%s: the content is not in the Body: %s", tt.name, msg)
			}
		}
	}
}

func TestUserNameAndPasswordArriveAsTheyAre(t *testing.T) {
	tests := []string{
		"jo@vsphere.local", `VSPHERE\jo`, `<jo>&"'`, "]]>", "&amp;", "&#13;", "\r\n\t", " jo ", "𝄞漢字e\u0301", "\u202Eoj", strings.Repeat("x&", 512),
	}
	for _, text := range tests {
		root := parse(t, message(t, newSigner(t, signer.Credentials{Username: text, Password: text + "!"}), loginByToken))
		user, password := root.FindElement("//UsernameToken/Username"), root.FindElement("//UsernameToken/Password")
		if user.Text() != text || password.Text() != text+"!" {
			t.Errorf("%q: got user name %q, password %q, want them unchanged", text, user.Text(), password.Text())
		}
	}
}

func TestAssertionIsInTheMessageVerbatim(t *testing.T) {
	hok := read(t, "hok.xml")
	tests := []struct{ name, assertion string }{
		{"as issued", hok},
		{"line ends of Windows", strings.ReplaceAll(hok, "><", ">\r\n<")},
		{"white space", strings.ReplaceAll(hok, "><", ">\n\t <")},
		{"comments", strings.ReplaceAll(hok, "<saml2:Subject>", "<!-- a --><saml2:Subject><!--\r\n<b>-->")},
		{"character references", strings.ReplaceAll(hok, ">test-solution@", ">&#13;&#x9;&quot;test&#45;solution@")},
		{"CDATA", strings.ReplaceAll(hok, ">test-solution@vsphere.local<", "><![CDATA[<test&>]]><")},
		{"quotes", strings.ReplaceAll(hok, `Version="2.0"`, `Version = '2.0' `)},
		{"another prefix", strings.ReplaceAll(strings.ReplaceAll(hok, "saml2:", "Ab-1:"), "xmlns:saml2", "xmlns:Ab-1")},
		{"a default namespace", strings.ReplaceAll(strings.ReplaceAll(hok, "xmlns:saml2=", "xmlns="), "saml2:", "")},
	}
	for _, tt := range tests {
		tok := vectorToken(t)
		tok.Assertion = tt.assertion
		if tt.name != "as issued" && tt.assertion == hok {
			t.Fatalf("%s: the test did not change the assertion", tt.name)
		}
		s := newSigner(t, signer.Credentials{Token: tok})
		fromTree, err := s.Envelope(parse(t, []byte(loginByToken)), noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range [][]byte{message(t, s, loginByToken), fromTree} {
			if !bytes.Contains(msg, []byte("</wsu:Timestamp>"+tt.assertion+"<ds:Signature ")) {
				t.Errorf("%s: the assertion is not in the message verbatim: %s", tt.name, msg)
			}
			parse(t, msg)
		}
	}
}

func TestMessageIsValidForTenMinutesAndBeginsFiveSecondsAgo(t *testing.T) {
	east := time.FixedZone("east", 14*3600)
	tests := []struct {
		now              time.Time
		created, expires string
	}{
		{noon, "2026-03-01T11:59:55.000Z", "2026-03-01T12:09:55.000Z"},
		{noon.Add(123456789 * time.Nanosecond), "2026-03-01T11:59:55.123Z", "2026-03-01T12:09:55.123Z"},
		{noon.In(east), "2026-03-01T11:59:55.000Z", "2026-03-01T12:09:55.000Z"},
		{time.Date(2026, 1, 1, 0, 0, 0, 999999999, east), "2025-12-31T09:59:55.999Z", "2025-12-31T10:09:55.999Z"},
		{time.Date(2028, 2, 29, 0, 0, 4, 0, time.UTC), "2028-02-28T23:59:59.000Z", "2028-02-29T00:09:59.000Z"},
	}
	s := newSigner(t, signer.Credentials{Token: vectorToken(t)})
	for _, tt := range tests {
		msg, err := s.Message([]byte(loginByToken), tt.now)
		if err != nil {
			t.Fatal(err)
		}
		root := parse(t, msg)
		created, expires := root.FindElement("//Timestamp/Created").Text(), root.FindElement("//Timestamp/Expires").Text()
		if created != tt.created || expires != tt.expires {
			t.Errorf("%v: got %s to %s, want %s to %s", tt.now, created, expires, tt.created, tt.expires)
		}
	}
}

var wsuID = regexp.MustCompile(`wsu:Id="([^"]*)"`)

// Many goroutines share a signer: with -race this is the proof that they may.
func TestNoTwoMessagesHaveAnIdInCommon(t *testing.T) {
	c := validPair(t, testKeys["P-256"]())
	s := newSigner(t, signer.Credentials{Token: bound(t, c)})
	var mu sync.Mutex // guards seen
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				msg, err := s.Message([]byte(loginByToken), noon)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, id := range wsuID.FindAllSubmatch(msg, -1) {
					seen[string(id[1])]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 2000 { // of Timestamp and Body
		t.Errorf("1000 messages have %d different ids, want 2000", len(seen))
	}
	for id, n := range seen {
		if n != 1 || !regexp.MustCompile(`^_[0-9a-f]{32}$`).MatchString(id) {
			t.Fatalf("id %q: %d times, want one random xml:id", id, n)
		}
	}
}

// Ids are unique among those of all messages, not only of those that are signed.
func TestNoTwoOfManyMessagesHaveAnIdInCommon(t *testing.T) {
	s := newSigner(t, signer.Credentials{Username: "jo", Password: "secret"})
	ids := make([][]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			for range 1250 {
				msg, err := s.Message([]byte(loginByToken), noon)
				if err != nil {
					t.Error(err)
				}
				for _, id := range wsuID.FindAllSubmatch(msg, -1) {
					ids[i] = append(ids[i], string(id[1]))
				}
			}
		})
	}
	wg.Wait()
	all := slices.Concat(ids...)
	slices.Sort(all)
	if len(all) != 20_000 || len(slices.Compact(all)) != 20_000 { // of Timestamp and Body
		t.Errorf("10000 messages have %d ids, some of them twice", len(all))
	}
}

func TestSignatureIdIsThatOfTheSignatureElement(t *testing.T) {
	var ids []string
	for range 3 {
		s := newSigner(t, signer.Credentials{Certificate: vectorPair(t)})
		got := parse(t, message(t, s, issue)).FindElement("//Security/Signature").SelectAttrValue("Id", "")
		if got != s.SignatureID() || got == "" {
			t.Errorf("the Id in the message is %q, SignatureID %q, want the same", got, s.SignatureID())
		}
		ids = append(ids, got)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 3 {
		t.Errorf("three signers have the ids %q, want three different ones", ids)
	}
}

// The KeyInfo names the assertion or the certificate by its id.
func TestKeyInfoNamesWhatStandsBeforeIt(t *testing.T) {
	root := parse(t, message(t, newSigner(t, signer.Credentials{Token: vectorToken(t)}), loginByToken))
	if got, want := root.FindElement("//KeyIdentifier").Text(), "_11111111-2222-3333-4444-555555555555"; got != want {
		t.Errorf("KeyIdentifier is %q, want the assertion's ID %q", got, want)
	}
	root = parse(t, message(t, newSigner(t, signer.Credentials{Certificate: vectorPair(t)}), issue))
	got := root.FindElement("//SecurityTokenReference/Reference").SelectAttrValue("URI", "")
	want := "#" + root.FindElement("//BinarySecurityToken").SelectAttrValue("wsu:Id", "?")
	if got != want {
		t.Errorf("Reference is %q, want the BinarySecurityToken's %q", got, want)
	}
}
