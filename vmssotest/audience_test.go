package vmssotest

import "testing"

// Who accepts an assertion must be named by each restriction, exactly.
func TestAudiences(t *testing.T) {
	const open, end = `<AudienceRestriction><Audience>`, `</Audience></AudienceRestriction>`
	tests := []struct {
		name, conditions string
		want             bool
	}{
		{"named", open + "a" + end, true},
		{"second of two", open + "b</Audience><Audience>a" + end, true},
		{"named by both", open + "a" + end + open + "b</Audience><Audience>a" + end, true},
		{"named by the first", open + "a" + end + open + "b" + end, false},
		{"named by the second", open + "b" + end + open + "a" + end, false},
		{"no restriction", "", false},
		{"empty restriction", "<AudienceRestriction/>", false},
		{"another", open + "b" + end, false},
		{"other case", open + "A" + end, false},
		{"blank", open + " a" + end, false},
		{"longer", open + "a/" + end, false},
		{"element of another namespace", `<AudienceRestriction><Audience xmlns="b">a` + end, false},
		{"restriction of another namespace", `<b:AudienceRestriction xmlns:b="b"><Audience>a</Audience></b:AudienceRestriction>`, false},
		{"restriction outside", "</Conditions>" + open + "a" + end + "<Conditions>", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc, err := parseDocument([]byte(`<Assertion xmlns="` + nsSAML + `" ID="_1"><Subject><NameID>alice</NameID>` +
				`<SubjectConfirmation Method="` + bearerMethod + `"/></Subject>` +
				`<Conditions NotBefore="2026-05-04T12:00:00Z" NotOnOrAfter="2026-05-04T13:00:00Z">` + test.conditions + `</Conditions></Assertion>`))
			if err != nil {
				t.Fatal(err)
			}
			if test.name == "restriction outside" {
				doc.root.RemoveChild(doc.root.ChildElements()[3]) // the second Conditions
			}
			token, err := readAssertion(doc.root)
			if err != nil {
				t.Fatal(err)
			}
			if got := token.isFor("a"); got != test.want {
				t.Errorf("%q: %t, want %t", token.audiences, got, test.want)
			}
		})
	}
	doc, err := parseDocument([]byte(`<Conditions xmlns="` + nsSAML + `">` + open + "a<!-- b -->" + end + `</Conditions>`))
	if err != nil {
		t.Fatal(err)
	}
	if err := new(token).readAudiences(doc.root); err == nil {
		t.Error("a comment in an audience is accepted")
	}
}
