package signer_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"
	"pgregory.net/rapid"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
)

type messageFunc = func(*signer.Signer, []byte, time.Time) ([]byte, error)

// oddText draws a text with all that XML has to escape.
func oddText(label string) *rapid.Generator[string] {
	part := rapid.OneOf(values, rapid.StringN(0, 8, 16).Filter(validXML))
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, label), "")
	})
}

// validXML leaves out what no XML can carry.
func validXML(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFD || r == 0xFFFE || r == 0xFFFF
	})
}

// drawSigner draws credentials, with odd strings where they have strings, and
// options.
func drawSigner(t *rapid.T, tokens []*vmsso.Token, certificates []signer.Credentials) (*signer.Signer, signer.Options) {
	o := signer.Options{
		Hash:     rapid.SampledFrom([]crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512}).Draw(t, "hash"),
		Digest:   rapid.SampledFrom([]crypto.Hash{0, crypto.SHA256, crypto.SHA512}).Draw(t, "digest"),
		Validity: time.Duration(rapid.Int64Range(int64(time.Hour), int64(1000*time.Hour)).Draw(t, "validity")),
		Backdate: time.Duration(rapid.Int64Range(-1, int64(time.Minute)).Draw(t, "backdate")),
	}
	var c signer.Credentials
	if rapid.Bool().Draw(t, "token") {
		c.Token = rapid.SampledFrom(tokens).Draw(t, "which")
	} else {
		c = rapid.SampledFrom(certificates).Draw(t, "certificate")
		if rapid.Bool().Draw(t, "a person as well") {
			c.Username = "u" + oddText("user").Draw(t, "user name")
			c.Password = "p" + oddText("password").Draw(t, "password")
		}
	}
	s, err := o.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

// canonicalContent draws the content of a Body in canonical form, as soap and
// tokensource write it.
func canonicalContent(t *rapid.T) string {
	e := etree.NewElement("LoginByToken")
	e.CreateAttr("xmlns", "urn:vim25")
	this := e.CreateElement("_this")
	this.CreateAttr("type", oddText("attribute").Draw(t, "type"))
	this.SetText(oddText("text").Draw(t, "manager"))
	if rapid.Bool().Draw(t, "locale") {
		e.CreateElement("locale").SetText(oddText("text").Draw(t, "locale"))
	}
	b, err := canonicalizer().Canonicalize(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func canonicalizer() xmldsig.Canonicalizer {
	return xmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
}

// drawMessage makes a message of one of the three kinds.
func drawMessage(t *rapid.T, s *signer.Signer) (kind string, m []byte) {
	now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "zone")*3600))
	kind = rapid.SampledFrom([]string{"Message", "RawMessage", "Envelope"}).Draw(t, "kind")
	var err error
	switch kind {
	case "Message":
		m, err = s.Message([]byte(canonicalContent(t)), now)
	case "RawMessage":
		m, err = s.RawMessage([]byte(written(t, top(randomBody(t, true)))), now)
	case "Envelope":
		m, err = s.Envelope(randomBody(t, true), now)
	}
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return kind, m
}

// parts are the pieces of a message that are written directly in canonical form,
// and the two digests that are signed.
type parts struct {
	timestamp, info, body string
	digests               []string
}

func partsOf(t rapid.TB, m []byte) parts {
	t.Helper()
	header := string(m[:bytes.LastIndex(m, []byte("</soap:Header>"))])
	cut := func(s, from, to string) string {
		i := strings.LastIndex(s, from)
		j := strings.Index(s[max(i, 0):], to)
		if i < 0 || j < 0 {
			t.Fatalf("no %s in %s", from, s)
		}
		return s[i : i+j+len(to)]
	}
	p := parts{timestamp: cut(header, "<wsu:Timestamp", "</wsu:Timestamp>"), info: cut(header, "<ds:SignedInfo", "</ds:SignedInfo>"), body: string(bodyOf(t, m))}
	for _, d := range regexp.MustCompile(`<ds:DigestValue>([^<]*)<`).FindAllStringSubmatch(p.info, -1) {
		p.digests = append(p.digests, d[1])
	}
	if len(p.digests) != 2 {
		t.Fatalf("no two digests in %s", p.info)
	}
	return p
}

func sum(o signer.Options, text string) string {
	h := crypto.SHA256.New()
	if o.Digest == crypto.SHA512 {
		h = crypto.SHA512.New()
	}
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func signersToDraw(t testing.TB) ([]*vmsso.Token, []signer.Credentials) {
	p256, p521 := validPair(t, testKeys["P-256"]()), validPair(t, testKeys["P-521"]())
	return []*vmsso.Token{bound(t, p256), bound(t, p521)}, []signer.Credentials{{Certificate: p256}, {Certificate: p521}}
}

// Thousands of messages: what is written is what goxmldsig makes of it, and its
// digest is the one that is signed.
func TestMessagesAreWrittenAsGoxmldsigCanonicalizesThem(t *testing.T) {
	tokens, certificates := signersToDraw(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		s, o := drawSigner(t, tokens, certificates)
		for range 20 {
			n++
			kind, m := drawMessage(t, s)
			p := partsOf(t, m)
			root := parse(t, m)
			for name, e := range map[string]*etree.Element{
				p.timestamp: root.FindElement("./Header/Security/Timestamp"), p.info: root.FindElement("./Header/Security/Signature/SignedInfo"),
			} {
				if got := canonicalOf(t, e); got != name {
					t.Errorf("%s: sent %s\nits canonical form is %s", kind, name, got)
				}
			}
			body := canonicalOf(t, root.FindElement("./Body"))
			if kind == "Message" && body != p.body {
				t.Errorf("%s: sent %s\nits canonical form is %s", kind, p.body, body)
			}
			if want := []string{sum(o, p.timestamp), sum(o, body)}; p.digests[0] != want[0] || p.digests[1] != want[1] {
				t.Errorf("%s: digests %q, want %q of %s", kind, p.digests, want, m)
			}
		}
	})
	if n < 2000 && !testing.Short() { // rapid makes fewer then
		t.Errorf("%d messages, want thousands", n)
	}
}

// canonicalOf is the canonical form of an element where it stands.
func canonicalOf(t rapid.TB, e *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	c := e.Copy()
	for p := e.Parent(); p != nil; p = p.Parent() { // goxmldsig does not look above an element
		for _, a := range p.Attr {
			if a.Space == "xmlns" && c.SelectAttr("xmlns:"+a.Key) == nil {
				c.CreateAttr("xmlns:"+a.Key, a.Value)
			}
		}
	}
	doc.SetRoot(c)
	plain(c)
	b, err := canonicalizer().Canonicalize(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// plain makes text of CDATA, which goxmldsig leaves as it is.
func plain(e *etree.Element) {
	for i, c := range e.Child {
		switch c := c.(type) {
		case *etree.CharData:
			e.RemoveChildAt(i)
			e.InsertChildAt(i, etree.NewText(c.Data))
		case *etree.Element:
			plain(c)
		}
	}
}

// What is written directly is what xmllint makes of it: its output for all of the
// pieces together is the pieces as they were.
func TestInteropXmllintWritesMessagesAlike(t *testing.T) {
	program := tool(t, "xmllint")
	tokens, certificates := signersToDraw(t)
	dir, want, files := t.TempDir(), []string(nil), []string(nil)
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := drawSigner(rt, tokens, certificates)
		for range 3 {
			m, err := s.Message([]byte(canonicalContent(rt)), noon)
			if err != nil {
				rt.Fatal(err)
			}
			p := partsOf(rt, m)
			for _, text := range []string{p.timestamp, p.info, p.body} {
				name := filepath.Join(dir, fmt.Sprint(len(files)))
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					rt.Fatal(err)
				}
				want, files = append(want, text), append(files, name)
			}
		}
	})
	cmd := exec.Command(program, append([]string{"--nonet", "--exc-c14n"}, files...)...)
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(want, ""); string(got) != all {
		at := 0
		for at < min(len(got), len(all)) && got[at] == all[at] {
			at++
		}
		t.Errorf("%d pieces differ from byte %d on: xmllint writes %.300q, want %.300q", len(want), at, got[at:], all[at:])
	}
	if len(want) < 900 && !testing.Short() {
		t.Errorf("%d pieces, want 900", len(want))
	}
}
