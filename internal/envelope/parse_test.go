package envelope_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/internal/envelope"
)

func TestParseFindsTheFirstElementOfTheBody(t *testing.T) {
	tests := []struct{ name, message, want string }{ // want "": an error
		{"SOAP 1.1", success, "CurrentTimeResponse"},
		{"SOAP 1.2", `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header><Body/></e:Header><e:Body><a/></e:Body></e:Envelope>`, "a"},
		{"an XML declaration", `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + success, "CurrentTimeResponse"},
		{"a byte order mark", "\ufeff" + success, "CurrentTimeResponse"},
		{"comments and white space", "<!-- a --> \n<Envelope><!-- <Body/> --><Body> <!-- b --> text <a/><b/></Body></Envelope>\n<!-- c -->", "a"},
		{"a fault", "<Envelope><Body><Fault/></Body></Envelope>", "Fault"},
		{"a Body that is not the Envelope's", "<Envelope><Header><Body><a/></Body></Header></Envelope>", ""},
		{"an Envelope in another element", "<a>" + success + "</a>", ""},
		{"a document type inside", "<Envelope><!DOCTYPE a><Body><a/></Body></Envelope>", "a"}, // declares nothing there
		{"text", "Body", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		e, err := envelope.Parse([]byte(tt.message))
		got := ""
		if e != nil {
			got = e.Tag
		}
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %s: got %q, %v, want %q", tt.name, tt.message, got, err, tt.want)
		}
	}
}

func TestFindFollowsLocalNames(t *testing.T) {
	e, err := envelope.Parse([]byte(`<Envelope><Body><r xmlns:v="urn:v"><v:about><v:apiVersion> 8.0.3.0
 </v:apiVersion></v:about><about><apiVersion>second</apiVersion></about></r></Body></Envelope>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path []string
		want string
	}{
		{[]string{"about", "apiVersion"}, "8.0.3.0"},
		{[]string{"about", "name"}, ""},
		{[]string{"apiVersion"}, ""},
		{[]string{"x", "y", "z"}, ""},
		{[]string{"about", "apiVersion", "x"}, ""},
	} {
		if got := envelope.Find(e, tt.path...); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.path, got, tt.want)
		}
	}
}

// A hostile server can fill the limit; that must cost neither the stack nor much
// time.
func TestParseOfAMessageMadeToHurtEnds(t *testing.T) {
	fill := func(s string) string { return "<Envelope><Body>" + strings.Repeat(s, call.MaxReply/len(s)) }
	for name, message := range map[string]string{
		"deep":       fill("<a>"),
		"attributes": fill("<a ") + strings.Repeat(` b=""`, 100_000) + ">",
		"comments":   fill("<!---->"),
		"wide":       fill("<a/>") + "</Body></Envelope>",
		"entities":   fill("&amp;") + "</Body></Envelope>",
	} {
		started := time.Now()
		_, _ = envelope.Parse([]byte(message))
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// firstInBody is what encoding/xml finds: the local name of the first child of the
// first Body in an Envelope. plain is false if the message is not well-formed.
func firstInBody(message string) (name string, plain bool) {
	d := xml.NewDecoder(strings.NewReader(message))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var path []string
	bodies, roots := 0, 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return name, roots == 1
		}
		if err != nil {
			return "", false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if strings.Contains(tok.Name.Local, ":") {
				return "", false // encoding/xml lets pass what no namespace allows
			}
			path = append(path, tok.Name.Local)
			switch strings.Join(path, "/") {
			case "Envelope/Body":
				bodies++
			default:
				if bodies == 1 && len(path) == 3 && path[1] == "Body" && name == "" && path[0] == "Envelope" {
					name = tok.Name.Local
				}
			}
			if len(path) == 1 {
				roots++
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.Directive:
			return "", false
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range operations {
		f.Add(tt.message)
	}
	f.Add(success)
	f.Add(strings.Replace(soap11Fault, "%", `<faultcode>a:b</faultcode><detail><c xsi:type="d:e"/></detail>`, 1))
	f.Add(strings.Replace(soap12Fault, "%", `<e:Code><e:Value>a:b</e:Value><e:Subcode/></e:Code><e:Reason><e:Text>c</e:Text></e:Reason>`, 1))
	f.Fuzz(func(t *testing.T, message string) {
		e, err := envelope.Parse([]byte(message))
		if (e == nil) == (err == nil) {
			t.Fatalf("%q: got %v, %v, want one of them", message, e, err)
		}
		want, plain := firstInBody(message)
		switch {
		case plain && (want != "") != (err == nil):
			t.Errorf("%q: got %v, %v, encoding/xml finds %q", message, e, err, want)
		case plain && err == nil && e.Tag != want:
			t.Errorf("%q: got %q, encoding/xml finds %q", message, e.Tag, want)
		}
		reply, err := send(200, "text/xml", message)
		if err == nil && reply.Fault != nil {
			if s := reply.Fault.String(message); len(s) > 500 {
				t.Errorf("%q: the fault is quoted with %d bytes", message, len(s))
			}
		}
	})
}
