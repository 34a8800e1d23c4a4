package envelope_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/internal/envelope"
)

const soap11 = `xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"`

// operations are messages and what they ask for.
var operations = []struct{ name, message, want string }{
	{"govmomi", `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`, "CurrentTime"},
	{"govmomi with a header", `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><operationID xmlns="urn:vim25">1</operationID></Header><Body><LoginByToken xmlns="urn:vim25">`, "LoginByToken"},
	{"our own", `<soap:Envelope ` + soap11 + `><soap:Body ` + soap11 + `><Logout xmlns="urn:vim25"></Logout></soap:Body></soap:Envelope>`, "Logout"},
	{"pyvmomi", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">\n" +
		"<soapenv:Body>\n<RetrieveServiceContent xmlns=\"urn:vim25\"><_this versionId=\"8.0.3.0\" type=\"ServiceInstance\">ServiceInstance</_this></RetrieveServiceContent>\n</soapenv:Body>\n</soapenv:Envelope>", "RetrieveServiceContent"},
	{"a prefix of its own", `<S:Envelope xmlns:S="x"><S:Body><ns2:Login xmlns:ns2="urn:vim25"/></S:Body></S:Envelope>`, "Login"},
	{"without attributes", `<Envelope><Body><Login></Login></Body></Envelope>`, "Login"},
	{"an empty operation", `<Envelope><Body><Logout/></Body></Envelope>`, "Logout"},
	{"white space in tags", "<Envelope\r\n>\n<Body\tid='1'\n>\n<Login\n></Login></Body></Envelope>", "Login"},
	{"a > in an attribute", `<Envelope a="/>"><Body b='>'><Login c="&lt;a>"/></Body></Envelope>`, "Login"},
	{"comments", `<!-- <Body><a> --><Envelope><!--<Body>--><Body><!-- <Logout/> --><Login/></Body></Envelope>`, "Login"},
	{"comments that hold elements", `<!-- <a/><Body><b/> --><Envelope><!-- <a/><Body><b/> --><Body><!-- <a/><Logout/> --><Login/></Body></Envelope>`, "Login"},
	{"short comments", `<Envelope><!----><Body><!-- - --><Login/></Body></Envelope>`, "Login"},
	{"processing instructions", `<?a <Body>?><Envelope><?b <c>?><Body><?d <Logout/>?><Login/></Body></Envelope>`, "Login"},
	{"CDATA in the header", `<Envelope><Header><a><![CDATA[<Body><Logout/>]]></a></Header><Body><Login/></Body></Envelope>`, "Login"},
	{"text in front", "\ufeff \n<Envelope><Body>text<Login/></Body></Envelope>", "Login"},
	{"a header that has a name like Body", `<Envelope><Header><BodyPart/><xBody/></Header><Body><Login/></Body></Envelope>`, "Login"},
	{"names beyond ASCII", `<Envelope><Body><Wörter/></Body></Envelope>`, "Wörter"},
	{"cut behind the name", `<Envelope><Body><Login `, "Login"},
	{"cut in the name", `<Envelope><Body><Log`, ""},
	{"cut in a tag", `<Envelope><Body`, ""},
	{"cut in a comment", `<Envelope><Body><!-- <Login/>`, ""},
	{"cut in an instruction", `<Envelope><Body><?a <Login/>`, ""},
	{"cut in CDATA", `<Envelope><Body><![CDATA[<Login/>`, ""},
	{"cut in an end tag", `<Envelope><Header></Header`, ""},
	{"cut at the <", `<Envelope><Body><`, ""},
	{"an empty Body", `<Envelope><Body></Body></Envelope>`, ""},
	{"a shorter empty Body", `<Envelope><Body/></Envelope>`, ""},
	{"a Body of text", `<Envelope><Body>Login</Body></Envelope>`, ""},
	{"no Body", `<Envelope><Login/></Envelope>`, ""},
	{"nothing", "", ""},
	{"JSON", `{"jsonrpc":"2.0","method":"invoke","params":{"a":"<b"}}`, ""},
	{"text", "Body Login", ""},
	{"UTF-16", "<\x00B\x00o\x00d\x00y\x00>\x00<\x00L\x00/\x00>\x00", ""},
	{"HTML", `<!DOCTYPE html><html><body><Login/></body></html>`, ""},
}

func TestOperationIsTheFirstElementOfTheBody(t *testing.T) {
	for _, tt := range operations {
		if got := envelope.Operation([]byte(tt.message)); got != tt.want {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.message, got, tt.want)
		}
	}
}

// A request's head is cut anywhere; a name that is cut must not be taken for a
// whole one.
func TestOperationOfACutMessageIsTheSameOrNone(t *testing.T) {
	for _, tt := range operations {
		for n := range len(tt.message) {
			if got := envelope.Operation([]byte(tt.message[:n])); got != "" && got != tt.want {
				t.Errorf("%s: %s: got %q, want %q or nothing", tt.name, tt.message[:n], got, tt.want)
			}
		}
	}
}

// operation is what encoding/xml finds; plain is false if the message is not
// well-formed, or so odd that nobody sends it.
func operation(message string) (name string, plain bool) {
	d := xml.NewDecoder(strings.NewReader(message))
	depth, inBody, seen := 0, false, 0
	found := ""
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return found, true
		}
		if err != nil {
			return "", false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			if strings.Contains(tok.Name.Local, ":") {
				return "", false // encoding/xml lets pass what no namespace allows
			}
			if inBody && found == "" {
				found = tok.Name.Local
			}
			if tok.Name.Local == "Body" {
				if seen++; seen > 1 || depth != 2 {
					return "", false
				}
				inBody = true
			}
		case xml.EndElement:
			if depth--; tok.Name.Local == "Body" {
				inBody = false
			} else if depth == 1 && seen == 1 {
				return "", false // something follows the Body
			}
		case xml.Directive:
			return "", false
		}
		if depth > 1 && !inBody && seen == 1 {
			return "", false
		}
	}
}

func FuzzOperation(f *testing.F) {
	for _, tt := range operations {
		f.Add(tt.message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		got := envelope.Operation([]byte(message))
		if want, plain := operation(message); plain && got != want {
			t.Errorf("%q: got %q, encoding/xml finds %q", message, got, want)
		}
	})
}

// The oracle of the fuzz test must find something, or it proves nothing.
func TestOperationAgreesWithEncodingXML(t *testing.T) {
	judged := 0
	for _, tt := range operations {
		if want, plain := operation(tt.message); plain {
			judged++
			if want != tt.want {
				t.Errorf("%s: encoding/xml finds %q, the table says %q", tt.name, want, tt.want)
			}
		}
	}
	if judged < 15 {
		t.Errorf("encoding/xml judges %d messages of %d, want 15 or more", judged, len(operations))
	}
}
