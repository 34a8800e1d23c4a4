package vmssotest

import (
	"crypto/x509"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// STSConfig describes a security token service.
type STSConfig struct {
	Authority     *Authority                   // signs what is issued; required
	Users         map[string]string            // user name → password
	SolutionUsers map[string]*x509.Certificate // name → registered certificate; the DER bytes decide, not the subject

	Now       func() time.Time // nil: time.Now
	Tolerance time.Duration    // clock tolerance for timestamps; 0: 10 minutes; negative: none

	MaxBearer      time.Duration // longest life of a bearer token, longer wishes are cut; 0: 5 minutes
	MaxHolderOfKey time.Duration // longest life of a holder-of-key token, longer wishes are cut; 0: 30 days
	MaxRenewals    int           // how often a token that was issued as renewable can be renewed; 0: 10; negative: never

	// OnIssue is called for every token before it is answered, from the goroutine of the request: calls can overlap.
	OnIssue func(Issued)
}

// Issued is one token that an STS issued.
type Issued struct {
	Claims                 // what the assertion says
	Assertion    string    // as it was sent
	Renewed      string    // the ID of the token that this one renews; "" if it was issued
	ActAs        string    // the ID of the token whose subject the request acts for; "" if it asks for itself
	Renewable    bool      // wst:Renewing/@Allow of the request; of a renewed token: true
	Delegatable  bool      // wst:Delegatable of the request; of a renewed token: what the old one was
	WishedExpiry time.Time // wst:Lifetime of the request; zero if it had none
	Message      []byte    // the whole request body; not to be modified
}

// STS is a security token service: Issue and Renew of WS-Trust 1.3 and ActAs of 1.4 over SOAP 1.1, as strict as that of vCenter. It answers on any
// path; a vCenter has it at /sts/STSService/vsphere.local. It is an http.Handler, safe for concurrent use, and to be made with NewSTS.
//
// A password gives a bearer token for the user; the signature of a registered solution user's key gives a holder-of-key token for it; both
// together give a holder-of-key token for the user, bound to that certificate, which then need not be registered; a holder-of-key token of this STS,
// with a signature by its key, gives another one for the same subject and key. A solution user that brings a delegatable token (ActAs) gets a
// holder-of-key token for the subject of that one, which names the solution user as a delegate.
//
// A token is for the audiences that wst:Participants and wsp:AppliesTo name; vCenter itself does not know the latter.
//
// The holder of a renewable holder-of-key token can renew it until it expires: the new token says the same, but can be renewed once less.
//
// Refusals are SOAP faults with HTTP status 500: ns0:InvalidTimeRange, ns0:InvalidSecurity, ns0:InvalidRequest, ns0:FailedAuthentication; for Renew
// also ns0:ExpiredData, if the token has expired, and ns0:RequestFailed, if it is not renewable, or not any more. Five failures of a user within
// 180 seconds lock the user for 300 seconds.
type STS struct {
	cfg      STSConfig
	lockout  lockout
	injector injector
	reasons  reasons

	requests, issued, renewed, failures atomic.Int64
}

// NewSTS returns a security token service. It panics without an Authority.
func NewSTS(cfg STSConfig) *STS {
	if cfg.Authority == nil {
		panic("vmssotest: STSConfig.Authority is nil")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBearer == 0 {
		cfg.MaxBearer = 5 * time.Minute
	}
	if cfg.MaxHolderOfKey == 0 {
		cfg.MaxHolderOfKey = 30 * 24 * time.Hour
	}
	if cfg.MaxRenewals == 0 {
		cfg.MaxRenewals = 10
	}
	cfg.MaxRenewals = max(cfg.MaxRenewals, 0)
	cfg.Tolerance = tolerance(cfg.Tolerance)
	return &STS{cfg: cfg}
}

// Issued returns how many tokens were issued, renewed ones among them.
func (s *STS) Issued() int { return int(s.issued.Load()) }

// Renewed returns how many tokens were issued to renew another one.
func (s *STS) Renewed() int { return int(s.renewed.Load()) }

// Failures returns how many attempts were refused for their credentials: wrong password, unknown user, unknown or expired certificate, another key
// than that of the token to renew. Those of a known user's password count for the lockout. Attempts on a locked user are not counted: the password
// is not looked at.
func (s *STS) Failures() int { return int(s.failures.Load()) }

// Requests returns how many requests have come, whatever was answered.
func (s *STS) Requests() int { return int(s.requests.Load()) }

// Locked reports whether the user is locked now.
func (s *STS) Locked(user string) bool { return s.lockout.locked(user, s.cfg.Now()) }

// Reasons returns why requests were refused, oldest first, the last thousand.
func (s *STS) Reasons() []string { return s.reasons.all() }

// Inject sends the next n requests of this operation ("Issue", "Renew", or what else the SOAPAction ends with; "": any) through f; n < 0: all from
// now on; n == 0: removes what was injected for op. A request meets one f at most, the oldest that fits.
func (s *STS) Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	s.injector.inject(op, n, f)
}

// ServeHTTP implements http.Handler.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	action := soapAction(r)
	f := s.injector.take(action[strings.LastIndexByte(action, '/')+1:])
	if f == nil {
		s.serve(w, r)
		return
	}
	body, err := bodyOf(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f(w, withBody(r, body), http.HandlerFunc(s.serve))
}

func (s *STS) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "SOAP requests are POSTs", http.StatusMethodNotAllowed)
		return
	}
	body, err := bodyOf(w, r)
	if err != nil {
		http.Error(w, "request body cannot be read or is larger than 4 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	if !isTextXML(r) {
		http.Error(w, "Content-Type is not text/xml", http.StatusUnsupportedMediaType)
		return
	}
	answer, err := s.issue(soapAction(r), body)
	if err != nil {
		s.refuse(w, asRefusal(err))
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	writeString(w, answer)
}

// soapAction returns the SOAPAction without the quotes that govmomi writes for Issue and leaves out for Renew.
func soapAction(r *http.Request) string {
	action := r.Header.Get("SOAPAction")
	if len(action) >= 2 && action[0] == '"' && action[len(action)-1] == '"' {
		return action[1 : len(action)-1]
	}
	return action
}

func (s *STS) refuse(w http.ResponseWriter, why *refusal) {
	s.reasons.add(why.Error())
	tell := why.tell
	if tell == "" {
		tell = map[code]string{
			failedAuthentication: "Invalid credentials",
			invalidSecurity:      "Invalid security header",
			invalidRequest:       "Malformed request",
			invalidTimeRange:     "The requested time range is invalid or unsupported",
			expiredData:          "The request data is out-of-date",
			requestFailed:        "The specified request failed",
		}[why.code]
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	writeString(w, `<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="`+nsSOAP+`"><S:Body><S:Fault xmlns:ns4="http://www.w3.org/2003/05/soap-envelope">`+
		`<faultcode xmlns:ns0="`+nsWST+`/">ns0:`+string(why.code)+`</faultcode><faultstring>`+escapeText(tell)+`</faultstring></S:Fault></S:Body></S:Envelope>`)
}
