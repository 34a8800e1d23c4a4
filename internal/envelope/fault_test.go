package envelope_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vmsso/vmsso/internal/call"
	"github.com/vmsso/vmsso/internal/envelope"
)

const (
	soap11Fault = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>%</soap:Fault></soap:Body></soap:Envelope>`
	soap12Fault = `<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault>%</e:Fault></e:Body></e:Envelope>`
)

func TestFaultsAreRead(t *testing.T) {
	tests := []struct {
		name, envelope, in string
		code, text, detail string
		said               string
	}{
		{"vCenter, no session", soap11Fault,
			`<faultcode>ServerFaultCode</faultcode><faultstring>The session is not authenticated.</faultstring><detail><NotAuthenticatedFault xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="NotAuthenticated"><privilegeId>System.View</privilegeId></NotAuthenticatedFault></detail>`,
			"ServerFaultCode", "The session is not authenticated.", "NotAuthenticated", "NotAuthenticated: The session is not authenticated."},
		{"a detail without a type", soap11Fault,
			`<faultcode>ServerFaultCode</faultcode><faultstring/><detail><InvalidLoginFault xmlns="urn:vim25"/></detail>`,
			"ServerFaultCode", "", "InvalidLogin", "InvalidLogin"},
		{"a type with a prefix", soap11Fault,
			`<faultcode>ServerFaultCode</faultcode><detail><Fault xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="vim25:InvalidLogin"/></detail>`,
			"ServerFaultCode", "", "InvalidLogin", "InvalidLogin"},
		{"the STS", soap11Fault,
			`<faultcode xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512">ns0:FailedAuthentication</faultcode><faultstring> Invalid credentials
 </faultstring>`,
			"FailedAuthentication", "Invalid credentials", "", "FailedAuthentication: Invalid credentials"},
		{"an empty detail", soap11Fault, `<faultcode> soap:Server </faultcode><faultstring>no</faultstring><detail/>`, "Server", "no", "", "Server: no"},
		{"CDATA", soap11Fault, `<faultcode>a:b</faultcode><faultstring><![CDATA[<no>]]></faultstring>`, "b", "<no>", "", "b: <no>"},
		{"nothing", soap11Fault, ``, "", "", "", ""},
		{"SOAP 1.2", soap12Fault,
			`<e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason><e:Text xml:lang="en">Invalid credentials</e:Text><e:Text xml:lang="de">Falsch</e:Text></e:Reason>`,
			"Sender", "Invalid credentials", "", "Sender: Invalid credentials"},
		{"SOAP 1.2 with subcodes", soap12Fault,
			`<e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ns:RequestFailed</e:Value><e:Subcode><e:Value>ns:FailedAuthentication</e:Value></e:Subcode></e:Subcode></e:Code><e:Reason><e:Text>no</e:Text></e:Reason><e:Detail><e:InvalidLoginFault/></e:Detail>`,
			"FailedAuthentication", "no", "InvalidLogin", "InvalidLogin: no"},
		{"SOAP 1.2 without values", soap12Fault, `<e:Code/><e:Reason/><e:Detail/>`, "", "", "", ""},
	}
	for _, tt := range tests {
		reply, err := send(200, "text/xml", strings.Replace(tt.envelope, "%", tt.in, 1))
		if err != nil || reply.Fault == nil || reply.Body != nil {
			t.Errorf("%s: got %+v, %v, want a fault alone", tt.name, reply, err)
			continue
		}
		f := reply.Fault
		if f.Code != tt.code || f.Text != tt.text || f.Detail != tt.detail || f.String() != tt.said {
			t.Errorf("%s: got %+v, which says %q, want %q, %q, %q, %q", tt.name, *f, f.String(), tt.code, tt.text, tt.detail, tt.said)
		}
		for kind, want := range map[string]bool{tt.code: true, tt.detail: true, "AnotherFault": false} {
			if got := f.Is(kind); got != want {
				t.Errorf("%s: Is(%q) is %t, want %t", tt.name, kind, got, want)
			}
		}
	}
}

func TestFaultIsQuotedBriefAndWithoutSecrets(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	long := strings.Repeat("abc-", 252) // 1008 bytes
	tests := []struct {
		name string
		f    envelope.Fault
		want string
	}{
		{"the secret in the text", envelope.Fault{Code: "a", Text: "bad " + secret}, "a: bad [redacted]"},
		{"in the code", envelope.Fault{Code: secret, Text: "bad"}, "[redacted]: bad"},
		{"in the detail", envelope.Fault{Detail: secret}, "[redacted]"},
		{"a long text", envelope.Fault{Code: "a", Text: strings.Repeat("b", 5000)}, "a: " + strings.Repeat("b", 200) + " …"},
		{"a long code", envelope.Fault{Code: strings.Repeat("a", 5000)}, strings.Repeat("a", 200) + " …"},
		{"a secret at the cut", envelope.Fault{Code: "a", Text: strings.Repeat("b", 190) + secret}, "a: " + strings.Repeat("b", 190) + "[redacted]"},
		{"a password where a long text is cut to be looked at", envelope.Fault{Code: "a", Text: long + strings.Repeat(".", 12) + "hunter2" + strings.Repeat("b", 5000)}, "a: [redacted]"},
		{"a character at the cut", envelope.Fault{Code: "a", Text: strings.Repeat("b", 199) + "é" + "b"}, "a: " + strings.Repeat("b", 199) + " …"},
	}
	for _, tt := range tests {
		got := tt.f.String(secret, long, "hunter2")
		if got != tt.want || !utf8.ValidString(got) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A reply can be 4 MiB long, and the secret a token.
func TestFaultOfAHugeTextIsQuotedInNoTime(t *testing.T) {
	token := strings.Repeat("<saml2:AttributeValue>vsphere.local\\Everyone</saml2:AttributeValue>", 300)
	for name, text := range map[string]string{
		"none of it is the token":   strings.Repeat("<saml2:Attributf", call.MaxReply/16),
		"all of it is near":         strings.Repeat("<saml2:AttributeV", call.MaxReply/17),
		"a cut token, repeatedly":   strings.Repeat(token[:len(token)-9]+"!", call.MaxReply/len(token)),
		"a short password, a flood": strings.Repeat("hunter2", call.MaxReply/7),
	} {
		started := time.Now()
		got := (&envelope.Fault{Code: "a", Text: text}).String(token, "hunter2")
		if took := time.Since(started); took > time.Second {
			t.Errorf("%s: took %v, want milliseconds", name, took)
		}
		if strings.Contains(got, "saml2:AttributeV") || strings.Contains(got, "hunter2") || len(got) > 300 {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
