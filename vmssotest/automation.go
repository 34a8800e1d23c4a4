package vmssotest

import (
	"crypto/x509"
	"net/http"
	"strings"
	"time"
)

// AutomationConfig describes a vSphere Automation REST endpoint.
type AutomationConfig struct {
	// Trust holds the certificates whose assertions are accepted; required. Their keys are RSA keys, as those of an SSO domain are.
	Trust []*x509.Certificate

	// Legacy makes the endpoint one of before vSphere 7.0 U2: /api/session answers 404, only /rest/com/vmware/cis/session logs in.
	Legacy bool

	Idle      time.Duration    // a session that is idle for longer is gone; 0: 30 minutes
	Now       func() time.Time // nil: time.Now
	Tolerance time.Duration    // clock tolerance for nonces and assertions; 0: 10 minutes; negative: none

	// OnLogin is called for every accepted login before it is answered, from the goroutine of the request: calls can overlap.
	OnLogin func(AutomationLogin)
}

// AutomationLogin is one accepted login.
type AutomationLogin struct {
	Subject     string            // the NameID of the assertion
	Assertion   string            // the token as it came out of base64 and gzip
	AssertionID string            // the assertion's ID
	HolderOfKey bool              // false: bearer
	Holder      *x509.Certificate // whose key signed the request; nil for a bearer token
	Session     string            // the id of the session that began
	Header      http.Header       // of the login request
}

// Automation is a vSphere Automation REST endpoint (/api and /rest) that is strict about "Authorization: SIGN": its form, the SAML assertion in it,
// and for a holder-of-key token the signature over nonce, method, path, host, port and body. It is an http.Handler, safe for concurrent use, and
// to be made with NewAutomation.
//
// Wire: POST /api/session or POST /rest/com/vmware/cis/session logs in; all else under /api/ and /rest/ needs the header vmware-api-session-id,
// a session cookie is not enough. For the key of one certificate the milliseconds of the nonces must strictly increase in the order in which the
// logins come in. What is refused is answered with 401 and says no more than that authentication is required; Reasons says why.
//
// There are GET /api/vcenter/vm and GET /rest/vcenter/vm (three machines), POST /api/echo (the body comes back) and PUT /api/content/… (the number
// of bytes of the body, which is not kept).
type Automation struct {
	cfg      AutomationConfig
	sessions sessions
	nonces   nonces
	injector injector
	reasons  reasons
	tally    tally
}

// NewAutomation returns a vSphere Automation endpoint. It panics if nobody is trusted.
func NewAutomation(cfg AutomationConfig) *Automation {
	if len(cfg.Trust) == 0 {
		panic("vmssotest: AutomationConfig.Trust is empty")
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Tolerance = tolerance(cfg.Tolerance)
	a := &Automation{cfg: cfg}
	a.sessions.idle, a.sessions.now = cfg.Idle, cfg.Now
	return a
}

// Logins returns how many logins were accepted.
func (a *Automation) Logins() int { return int(a.tally.accepted.Load()) }

// Refused returns how many logins were refused.
func (a *Automation) Refused() int { return int(a.tally.refused.Load()) }

// Reasons returns why logins were refused, oldest first, the last thousand.
func (a *Automation) Reasons() []string { return a.reasons.all() }

// Sessions returns how many sessions are logged in.
func (a *Automation) Sessions() int { return a.sessions.live() }

// Calls returns how many requests of this operation have come, whatever was answered. An operation is method and path, "POST /api/session"; the
// action of a /rest path belongs to it, "POST /rest/com/vmware/cis/session?~action=get".
func (a *Automation) Calls(op string) int { return a.tally.of(op) }

// MaxConcurrentLogins returns the highest number of logins that were in flight at one time.
func (a *Automation) MaxConcurrentLogins() int { return int(a.tally.maxLoggingIn.Load()) }

// Kill ends all sessions behind the clients' back and returns how many.
func (a *Automation) Kill() int { return a.sessions.kill(false) }

// Inject sends the next n requests of this operation (as named by Calls; "": any) through f; n < 0: all from now on; n == 0: removes what was
// injected for op. A request meets one f at most, the oldest that fits. The body of PUT /api/content/… is not remembered: what f reads of it, next
// does not see.
func (a *Automation) Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	a.injector.inject(op, n, f)
}

// ServeHTTP implements http.Handler.
func (a *Automation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := automationOperation(r)
	a.tally.call(op)
	if a.isLogin(op) {
		defer a.tally.login()()
	}
	f := a.injector.take(op)
	if f == nil {
		a.serve(w, r)
		return
	}
	if !isContent(op) {
		body, err := bodyOf(w, r)
		if err != nil {
			tooLarge(w)
			return
		}
		r = withBody(r, body)
	}
	f(w, r, http.HandlerFunc(a.serve))
}

// automationOperation names the operation of a request.
func automationOperation(r *http.Request) string {
	op := r.Method + " " + r.URL.Path
	if isREST(r) {
		if action := r.URL.Query().Get("~action"); action != "" {
			op += "?~action=" + action
		}
	}
	return op
}

func isAPI(r *http.Request) bool  { return strings.HasPrefix(r.URL.Path, "/api/") }
func isREST(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/rest/") }

func isContent(op string) bool { return strings.HasPrefix(op, "PUT /api/content/") }

func (a *Automation) isLogin(op string) bool {
	return op == "POST "+legacySession || op == "POST "+apiSession && !a.cfg.Legacy
}

func (a *Automation) serve(w http.ResponseWriter, r *http.Request) {
	op := automationOperation(r) // again: an Injector may have changed the request
	switch {
	case !isAPI(r) && !isREST(r), a.cfg.Legacy && r.URL.Path == apiSession:
		http.NotFound(w, r)
		return
	case a.isLogin(op):
		a.login(w, r)
		return
	}
	s := a.authenticated(r)
	if s == nil { // the body is not read: a client that sends a large one must cope with the early answer
		unauthenticated(w, r)
		return
	}
	a.answer(op, w, r, s)
}
