package endpoint_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/internal/endpoint"
)

func TestParseTakesOnlyURLsThatCredentialsMayGoTo(t *testing.T) {
	tests := []struct {
		in        string
		allowHTTP bool
		say       string // "": accepted
	}{
		{"https://vc.example", false, ""},
		{"https://vc.example/sdk", false, ""},
		{"https://vc.example:8443/sts/STSService", false, ""},
		{"HTTPS://VC.example", false, ""},
		{"https://192.0.2.1", false, ""},
		{"https://[2001:db8::1]:8443/sdk", false, ""},
		{"https://[fe80::1%25eth0]/sdk", false, ""},
		{"https://vc.example/?", false, ""},

		// Plain http stays on this machine.
		{"http://localhost:8989/sdk", false, ""},
		{"http://LocalHost", false, ""},
		{"http://127.0.0.1:8989/sdk", false, ""},
		{"http://127.255.255.254", false, ""},
		{"http://[::1]:8989/sdk", false, ""},
		{"http://[0:0:0:0:0:0:0:1]", false, ""},
		{"http://[::ffff:127.0.0.1]", false, ""},
		{"http://vc.example/sdk", false, "(host vc.example) is plain http"},
		{"HTTP://vc.example/sdk", false, "is plain http"},
		{"http://localhost.example", false, "is plain http"},
		{"http://127.0.0.1.example", false, "is plain http"},
		{"http://127.1", false, "is plain http"},   // net/http would look it up as a name
		{"http://0.0.0.0", false, "is plain http"}, // not loopback, though often the same machine
		{"http://[::]", false, "is plain http"},
		{"http://128.0.0.1", false, "is plain http"},
		{"http://[::2]", false, "is plain http"},
		{"http://vc.example/sdk", true, ""},

		{"", false, "is missing: give a URL such as https://vcenter.example.com"},
		{"vc.example", false, "names no host"},
		{"vc.example/sdk", false, "names no host"},
		{"vc.example:443", false, "names no host"},
		{"localhost:8989/sdk", false, "names no host"},
		{"//", false, "names no host"},
		{"https://", false, "names no host"},
		{"https:///sdk", false, "names no host"},
		{"https://:443/sdk", false, "names no host"},
		{"https:vc.example", false, "names no host"},
		{"file:///etc/passwd", false, "names no host"},
		{"//vc.example/sdk", false, `(host vc.example) has the scheme ""`},
		{"ftp://vc.example", false, `(host vc.example) has the scheme "ftp": use https`},
		{"ftp://127.0.0.1", true, `has the scheme "ftp"`},
		{"ws://vc.example", true, `has the scheme "ws"`},
		{"unix://localhost/run/vc", true, `has the scheme "unix"`},
		{"https://vc.example/sdk?a=s3cr3t", false, "(host vc.example) has a query or fragment"},
		{"https://vc.example/sdk#s3cr3t", false, "(host vc.example) has a query or fragment"},

		// What may hold a password is not quoted.
		{"https://jo:s3cr3t@vc.example/sdk", false, "has a user name or password in it"},
		{"https://s3cr3t@vc.example/sdk", false, "has a user name or password in it"},
		{"https://:s3cr3t@vc.example/sdk", false, "has a user name or password in it"},
		{"https://@vc.example/sdk", false, "has a user name or password in it"},
		{"http://jo:s3cr3t@vc.example/sdk", false, "has a user name or password in it"},
		{"jo:s3cr3t@vc.example", false, "names no host"},
		{"https:jo:s3cr3t@vc.example", false, "names no host"},
		{"https://jo:s3cr3t%@vc.example", false, "is not a URL"},
		{"https://jo:s3cr3t\x00@vc.example", false, "is not a URL"},
		{"https://jo:s3cr3t\n@vc.example", false, "is not a URL"},
		{"https://jo:s3cr3t@[::1", false, "is not a URL"},
		{"https://vc.example:s3cr3t/sdk", false, "is not a URL"},
		{" https://jo:s3cr3t@vc.example", false, "is not a URL"},
		{"https://vc example/s3cr3t", false, "is not a URL"},
		{"https://[fe80::1%eth0]/s3cr3t", false, "is not a URL"},
		{":s3cr3t", false, "is not a URL"},
		{"%zz-s3cr3t", false, "is not a URL"},
	}
	for _, tt := range tests {
		u, err := endpoint.Parse("vmsso: Config.Endpoint", tt.in, tt.allowHTTP)
		switch {
		case (u == nil) == (err == nil):
			t.Errorf("Parse(%q, %t): got %v, %v, want one of them", tt.in, tt.allowHTTP, u, err)
		case tt.say == "" && err != nil:
			t.Errorf("Parse(%q, %t): %v, want it accepted", tt.in, tt.allowHTTP, err)
		case tt.say != "" && err == nil:
			t.Errorf("Parse(%q, %t): accepted as %v, want an error that says %q", tt.in, tt.allowHTTP, u, tt.say)
		case err != nil && (!strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), "vmsso: Config.Endpoint ")):
			t.Errorf("Parse(%q, %t): got %q, want it to name the field and say %q", tt.in, tt.allowHTTP, err, tt.say)
		case err != nil && strings.Contains(err.Error(), "s3cr3t"):
			t.Errorf("Parse(%q, %t): the error quotes a secret: %q", tt.in, tt.allowHTTP, err)
		case u != nil && u.Scheme != strings.ToLower(u.Scheme):
			t.Errorf("Parse(%q, %t): scheme %q, want it in small letters", tt.in, tt.allowHTTP, u.Scheme)
		}
	}
}

func TestParseKeepsTheRestOfTheURL(t *testing.T) {
	const in = "https://VC.example:8443/a%2Fb/STSService"
	u, err := endpoint.Parse("x", in, false)
	if err != nil || u.String() != in {
		t.Errorf("got %v, %v, want %s", u, err, in)
	}
}

func TestOriginsAreTheSameInAnySpelling(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{"https://vc.example", "https://vc.example/sdk?a#b", true},
		{"https://vc.example", "HTTPS://VC.Example/", true},
		{"https://vc.example", "https://vc.example:443", true},
		{"https://vc.example", "https://vc.example:/", true},
		{"http://vc.example", "http://vc.example:80", true},
		{"https://[2001:DB8::1]", "https://[2001:db8::1]:443/", true},
		{"https://[fe80::1%25eth0]", "https://[fe80::1%25eth0]:443", true},
		{"https://jo:s3cr3t@vc.example", "https://vc.example", true},

		{"https://vc.example", "http://vc.example", false},
		{"https://vc.example:443", "http://vc.example:443", false},
		{"https://vc.example:80", "http://vc.example", false},
		{"https://vc.example", "https://vc.example:8443", false},
		{"https://vc.example", "https://vc.example.", false},
		{"https://vc.example", "https://vc.example.org", false},
		{"https://vc.example", "https://xvc.example", false},
		{"https://vc.example", "https://vc.example@evil.example", false},
		{"https://vc.example", "https://evil.example/vc.example", false},
		{"https://[::1]", "https://127.0.0.1", false},
		{"https://[fe80::1%25eth0]", "https://[fe80::1%25eth1]", false},
		{"https://[fe80::1%25eth0]", "https://[fe80::1]", false},
		{"https://kelvin.example", "https://\u212Aelvin.example", false},
		{"https://[fe80::1%25Eth0]", "https://[fe80::1%25eth0]", false},
		{"ftp://vc.example", "ftp://vc.example", false}, // no credentials go there
	}
	for _, tt := range tests {
		a, aok := origin(t, tt.a)
		b, bok := origin(t, tt.b)
		if (aok && bok && a == b) != tt.same {
			t.Errorf("%s and %s: %v and %v, same %t, want %t", tt.a, tt.b, a, b, a == b, tt.same)
		}
	}
}

func origin(t *testing.T, s string) (endpoint.Origin, bool) {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.OriginOf(u)
}
