package vmssotest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

func TestCanonicalize(t *testing.T) {
	tests := []struct{ name, doc, path, prefixes, want string }{
		{"attributes by namespace, then name", `<a xmlns:x="urn:2" xmlns:y="urn:1" x:a="1" y:b="2" c="3" b="4"/>`, "", "",
			`<a xmlns:x="urn:2" xmlns:y="urn:1" b="4" c="3" y:b="2" x:a="1"></a>`},
		{"unused declarations go", `<a xmlns="urn:a" xmlns:b="urn:b"><c/></a>`, "", "", `<a xmlns="urn:a"><c></c></a>`},
		{"declared where it is used", `<a xmlns:b="urn:b"><b:c/><b:d/></a>`, "", "", `<a><b:c xmlns:b="urn:b"></b:c><b:d xmlns:b="urn:b"></b:d></a>`},
		{"declared by an ancestor outside", `<r xmlns:b="urn:b" xmlns="urn:r"><b:c><d/></b:c></r>`, "c", "", `<b:c xmlns:b="urn:b"><d xmlns="urn:r"></d></b:c>`},
		{"superfluous xmlns empty", `<r><c xmlns=""/></r>`, "", "", `<r><c></c></r>`},
		{"needed xmlns empty", `<r xmlns="urn:r"><c xmlns=""/></r>`, "", "", `<r xmlns="urn:r"><c xmlns=""></c></r>`},
		{"xmlns empty, ancestor outside", `<r xmlns="urn:r"><c xmlns=""><d/></c></r>`, "c", "", `<c><d></d></c>`},
		{"prefix bound anew", `<a:a xmlns:a="urn:1"><a:b xmlns:a="urn:2"/></a:a>`, "", "", `<a:a xmlns:a="urn:1"><a:b xmlns:a="urn:2"></a:b></a:a>`},
		{"prefix list", `<r xmlns:xs="urn:xs" xmlns:y="urn:y"><c t="xs:string"/></r>`, "c", "xs none", `<c xmlns:xs="urn:xs" t="xs:string"></c>`},
		{"default namespace in the prefix list", `<r xmlns="urn:r" xmlns:b="urn:b"><b:c/></r>`, "c", "#default", `<b:c xmlns="urn:r" xmlns:b="urn:b"></b:c>`},
		{"text", `<a>&lt;&gt;&amp;"'&#13;&#9;` + "\r\n" + `<![CDATA[<&]]></a>`, "", "", `<a>&lt;&gt;&amp;"'&#xD;` + "\t\n" + `&lt;&amp;</a>`},
		{"attribute value", `<a b='&lt;>&amp;"&apos;&#13;&#9;&#10;'/>`, "", "", `<a b="&lt;>&amp;&quot;'&#xD;&#x9;&#xA;"></a>`},
		{"comments go", `<a>x<!-- y -->z</a>`, "", "", `<a>xz</a>`},
		{"xml prefix", `<a xml:lang="en"/>`, "", "", `<a xml:lang="en"></a>`},
	}
	for _, tt := range tests {
		doc, err := parseDocument([]byte(tt.doc))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		el := doc.root
		if tt.path != "" {
			el = childNamed(el, tt.path)
		}
		got, err := canonicalize(el, strings.Fields(tt.prefixes))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s\ngot  %s, %v\nwant %s", tt.name, tt.doc, got, err, tt.want)
		}
	}
}

// Two canonicalisers that do not know each other agree about real messages.
func TestCanonicalizeAsGoxmldsig(t *testing.T) {
	for _, name := range []string{"govmomi-loginbytoken-hok.xml", "python-sample-loginbytoken-hok.xml", "hok.xml", "bearer.xml"} {
		doc, err := parseDocument([]byte(read(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := canonicalize(doc.root, []string{"xs", "xsi"})
		if err != nil {
			t.Fatal(err)
		}
		want, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("xs xsi").Canonicalize(doc.root)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: got  %s\nwant %s, %v", name, got, want, err)
		}
	}
}

func childNamed(el *etree.Element, tag string) *etree.Element {
	for _, c := range el.ChildElements() {
		if c.Tag == tag {
			return c
		}
	}
	return nil
}

// xmlsec1 judges the judge: what the authority issues verifies with another implementation, and only as it was issued.
func TestXmlsecVerifiesIssuedAssertions(t *testing.T) {
	xmlsec, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not on the PATH: the assertions are not checked against another implementation")
	}
	verify := func(xml string) ([]byte, error) {
		file := filepath.Join(t.TempDir(), "a.xml")
		cert := filepath.Join(t.TempDir(), "cert.pem")
		if err := os.WriteFile(file, []byte(xml), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cert, pemBytes(authority().Certificate()), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(xmlsec, "--verify", "--enabled-reference-uris", "same-doc", "--enabled-key-data", "key-name", "--pubkey-cert-pem", cert,
			"--id-attr:ID", nsSAML+":Assertion", file).CombinedOutput()
	}
	for name, c := range map[string]Claims{
		"bearer":            {Subject: "alice@vsphere.local"},
		"holder of key":     {Subject: "alice@vsphere.local", Holder: clientCertificate(), Groups: []string{`a\b`, `"<&>' ` + "\t\r\n"}},
		"default namespace": {Subject: "alice@vsphere.local", Prefix: "xmlns", Audiences: []string{"urn:a", "urn:b"}, Delegations: 3, Renewals: 4},
		"passed on":         {Subject: "alice@vsphere.local", Holder: clientCertificate(), Delegations: 3, Renewals: 4, Delegates: []string{"a&b", "c"}},
		"more statements":   {Subject: "alice@vsphere.local", Statements: `<saml2:AttributeStatement xmlns:z="urn:z"><saml2:Attribute z:x="1" Name="n" xsi:type="xs:string" b=""/></saml2:AttributeStatement>`},
	} {
		assertion := authority().Issue(c)
		if out, err := verify(assertion); err != nil {
			t.Errorf("%s: xmlsec1 refuses it: %v\n%s\n%s", name, err, out, assertion)
		}
		if out, err := verify(strings.Replace(assertion, "alice@", "carol@", 1)); err == nil {
			t.Errorf("%s: xmlsec1 accepts a tampered one: %s", name, out)
		}
	}
}
