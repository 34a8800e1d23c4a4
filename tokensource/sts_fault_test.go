package tokensource_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// A soapFault is a whole answer.
type soapFault struct{ contentType, body string }

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

func soap11Fault(code, text string) soapFault {
	return soapFault{"text/xml;charset=utf-8", `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault xmlns:ns4="http://www.w3.org/2003/05/soap-envelope">` +
		`<faultcode xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/">` + code + `</faultcode><faultstring>` + escaped(text) + `</faultstring></S:Fault></S:Body></S:Envelope>`}
}

func soap12Fault(code, text string) soapFault {
	return soapFault{"application/soap+xml; charset=utf-8", `<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope"><S:Body><S:Fault xmlns:ns0="http://docs.oasis-open.org/ws-sx/ws-trust/200512/">` +
		`<S:Code><S:Value>S:Sender</S:Value><S:Subcode><S:Value>` + code + `</S:Value></S:Subcode></S:Code>` +
		`<S:Reason><S:Text xml:lang="en">` + escaped(text) + `</S:Text></S:Reason></S:Fault></S:Body></S:Envelope>`}
}

func writeFault(w http.ResponseWriter, f soapFault) {
	w.Header().Set("Content-Type", f.contentType)
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, f.body)
}

// Each fault of the service comes down to an error of the vocabulary, names stage
// and host, and says what to check.
func TestFaultsSayWhatToDo(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	byPassword := tokensource.STSConfig{Username: user, Password: password}
	byCertificate := tokensource.STSConfig{Certificate: &l.pair}
	byBoth := tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair}
	byToken := tokensource.STSConfig{Token: tokensource.Static(l.holder(t))}
	actAs := tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(l.bearer(t))}
	other := errors.New("none of the vocabulary")
	for _, tc := range []struct {
		name       string
		cfg        tokensource.STSConfig
		code, text string
		want       error
		advice     string
	}{
		{"wrong password", byPassword, "ns0:FailedAuthentication", "Invalid credentials", vmsso.ErrRejected, "check the user name (name@domain) and the password"},
		{"wrong password, with a certificate", byBoth, "ns0:FailedAuthentication", "Invalid credentials", vmsso.ErrRejected, "check the user name (name@domain) and the password"},
		{"password expired", byPassword, "ns0:FailedAuthentication", "User password expired: {Name: alice}", vmsso.ErrPasswordExpired, "set a new password"},
		{"password to be changed", byPassword, "ns0:FailedAuthentication", "Password must change at the next login", vmsso.ErrPasswordExpired, "set a new password"},
		{"account expired", byPassword, "ns0:FailedAuthentication", "User account expired: {Name: alice}", vmsso.ErrRejected, "check the user name"},
		{"account locked", byPassword, "ns0:FailedAuthentication", "User account locked: {Name: alice}", vmsso.ErrLocked, "wait until the lock ends"},
		{"unknown certificate", byCertificate, "ns0:FailedAuthentication", "Invalid credentials", vmsso.ErrRejected, "registered for a solution user"},
		{"refused token", byToken, "ns0:FailedAuthentication", "Invalid credentials", vmsso.ErrRejected, "that the token is of this domain and lives"},
		{"token of another domain", byToken, "wsse:InvalidSecurity", "Invalid assertion", vmsso.ErrRejected, "that the token is of this domain and lives"},
		{"token that is not understood", byToken, "wsse:InvalidSecurityToken", "An invalid security token was provided", vmsso.ErrRejected, "that the token is of this domain"},
		{"not in ActAsUsers", actAs, "ns0:InvalidRequest", "Access not authorized!", vmsso.ErrRejected, "in the group ActAsUsers"},
		{"bad token to act for", actAs, "ns0:InvalidRequest", "'ActAs' token is invalid!", vmsso.ErrRejected, "may be delegated"},
		{"certificate refused, ActAs", actAs, "ns0:FailedAuthentication", "Invalid credentials", vmsso.ErrRejected, "registered for a solution user"},
		{"time range", byPassword, "ns0:InvalidTimeRange", "The token authority rejected an issue request for TimePeriod", vmsso.ErrClockSkew, "synchronise the clocks"},
		{"message expired", byCertificate, "wsse:MessageExpired", "The time now Mon does not fall in the request lifetime interval", vmsso.ErrClockSkew, "the server's clock is 2h0m0s ahead"},
		{"request expired", byCertificate, "ns0:RequestExpired", "", vmsso.ErrClockSkew, "the server's clock is 2h0m0s ahead"},
		{"data expired", byPassword, "ns0:ExpiredData", "The request data is out-of-date", vmsso.ErrClockSkew, "the server's clock is 2h0m0s ahead"},
		{"time in the security header", byPassword, "wsse:InvalidSecurity", "The message has expired (WSSecurityEngine: Invalid timestamp)", vmsso.ErrClockSkew, "synchronise the clocks"},
		{"STS certificate", byPassword, "ns0:InvalidTimeRange", "Signing certificate is not valid at Mon", vmsso.ErrSTSCertificate, "renew the signing certificate"},
		{"STS certificate, another code", byToken, "ns0:RequestFailed", "Signing certificate is not valid", vmsso.ErrSTSCertificate, "renew the signing certificate"},
		{"security header", byCertificate, "wsse:InvalidSecurity", "An error was discovered processing the header", other, "InvalidSecurity: An error was discovered"},
		{"signature", byCertificate, "wsse:FailedCheck", "Signature is invalid.", other, "FailedCheck: Signature is invalid."},
		{"malformed", byPassword, "ns0:InvalidRequest", "The request was invalid or malformed", other, "InvalidRequest: The request was"},
		{"failed", byPassword, "ns0:RequestFailed", "The specified request failed", other, "RequestFailed: The specified"},
		{"renewable token", byPassword, "ns0:UnableToRenew", "The requested renewal failed.", other, "UnableToRenew: The requested"},
		{"unknown", byPassword, "x:Whatever", "no idea", other, "Whatever: no idea"},
		{"without a text", byPassword, "ns0:RequestFailed", "", other, `(HTTP 500: "RequestFailed")`},
		{"echo", byPassword, "ns0:RequestFailed", "cannot take " + password + " of \u009b[31m" + strings.Repeat("x", 5000), other, "cannot take [redacted] of"},
	} {
		for version, fault := range map[string]soapFault{"1.1": soap11Fault(tc.code, tc.text), "1.2": soap12Fault(tc.code, tc.text)} {
			t.Run(tc.name+", SOAP "+version, func(t *testing.T) {
				l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
					w.Header().Set("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))
					writeFault(w, fault)
				})
				_, err := l.source(t, tc.cfg).Token(t.Context())
				var le *vmsso.LoginError
				if !errors.As(err, &le) || le.Stage != "Issue" || le.Endpoint != "vc.example.test" || le.Status != 500 || le.ClockOffset.Round(time.Minute) != 2*time.Hour || le.Remembered {
					t.Fatalf("got %#v, want a LoginError of Issue", err)
				}
				code := tc.code[strings.IndexByte(tc.code, ':')+1:]
				if !strings.HasPrefix(le.Fault, code) || len(le.Fault) > 300 || strings.ContainsRune(le.Error(), '\u009b') {
					t.Errorf("fault %q, want code and text, short and printable: %v", le.Fault, le)
				}
				for _, known := range []error{vmsso.ErrRejected, vmsso.ErrLocked, vmsso.ErrPasswordExpired, vmsso.ErrClockSkew, vmsso.ErrSTSCertificate} {
					if got, want := errors.Is(err, known), errors.Is(tc.want, known); got != want {
						t.Errorf("is it %q? %t, want %t", known, got, want)
					}
				}
				if text := err.Error(); !strings.Contains(text, tc.advice) || strings.Contains(text, "s3cr3t") {
					t.Errorf("%v does not say %q", err, tc.advice)
				}
			})
		}
	}
}

// A token that the service echoes in a fault is not shown.
func TestEchoedTokenIsNotShown(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	proof, person := l.holder(t), l.bearer(t)
	for name, tc := range map[string]struct {
		cfg    tokensource.STSConfig
		secret string
	}{
		"proof":      {tokensource.STSConfig{Token: tokensource.Static(proof)}, proof.Assertion},
		"to act for": {tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(person)}, person.Assertion},
		"a piece":    {tokensource.STSConfig{Token: tokensource.Static(proof)}, proof.Assertion[len(proof.Assertion)/2:]},
	} {
		l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			writeFault(w, soap11Fault("ns0:RequestFailed", "not good: "+tc.secret[:900]+", is it?"))
		})
		_, err := l.source(t, tc.cfg).Token(t.Context())
		if err == nil || !strings.Contains(err.Error(), "not good: [redacted], is it?") || strings.Contains(err.Error(), tc.secret[:40]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
