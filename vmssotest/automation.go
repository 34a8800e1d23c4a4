package vmssotest

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AutomationConfig describes a vSphere Automation endpoint.
type AutomationConfig struct {
	// Trust holds the certificates whose assertions are accepted; required. Their keys are RSA keys, as those of an SSO domain are.
	Trust []*x509.Certificate

	// Legacy makes the endpoint one of before vSphere 7.0 U2: /api/session answers 404, only /rest/com/vmware/cis/session logs in.
	Legacy bool

	// Algorithms are the values of signatureAlgorithm that JSON-RPC takes, of RS256, RS384, RS512, ES256 (P-256), ES384 (P-384) and ES512 (P-521), as the
	// newest runtimes do; nil: RS256, the only one that all know.
	Algorithms []string

	PlainErrors bool // JSON-RPC errors carry no vapi-error header, as those of older servers

	Idle      time.Duration    // a session that is idle for longer is gone; 0: 30 minutes
	Now       func() time.Time // nil: time.Now
	Tolerance time.Duration    // clock tolerance for nonces and assertions; 0: 10 minutes; negative: none

	// OnLogin is called for every accepted login before it is answered, from the goroutine of the request: calls can overlap.
	OnLogin func(AutomationLogin)
}

// AutomationLogin is one accepted login.
type AutomationLogin struct {
	Subject     string            // the NameID of the assertion
	Assertion   string            // the token as it came out of base64 and gzip, or of JSON
	AssertionID string            // the assertion's ID
	HolderOfKey bool              // false: bearer
	Holder      *x509.Certificate // whose key signed the request; nil for a bearer token
	Session     string            // the id of the session that began
	Header      http.Header       // of the login request
	Body        []byte            // of a JSON-RPC login, so that its signature can be verified by other means; not to be modified
}

// Automation is a vSphere Automation endpoint, REST (below /api/ and /rest/) and JSON-RPC (POST /api), that is strict about logins. In REST that is
// "Authorization: SIGN": its form, the SAML assertion in it, and for a holder-of-key token the signature over nonce, method, path, host, port and
// body. It is an http.Handler, safe for concurrent use, and to be made with NewAutomation.
//
// REST: POST /api/session or POST /rest/com/vmware/cis/session logs in; all else under /api/ and /rest/ needs the header vmware-api-session-id,
// a session cookie is not enough. For the key of one certificate the milliseconds of the nonces must strictly increase in the order in which the
// logins come in. What is refused is answered with 401 and says no more than that authentication is required; Reasons says why.
//
// There are GET /api/vcenter/vm and GET /rest/vcenter/vm (three machines), POST /api/echo (the body comes back) and PUT /api/content/… (the number
// of bytes of the body, which is not kept).
//
// JSON-RPC: com.vmware.cis.session create logs in with the securityCtx saml_bearer_token or saml_hok_token, the latter with a signature of the
// algorithm RS256, or another of AutomationConfig.Algorithms, over the canonical JSON of the whole request without securityCtx.signature, and with a timestamp. The protocol has no protection
// against replay: a signed request logs in again until its timestamp ends. All else needs the session, which is the same as in REST, in the header
// vmware-api-session-id or as securityCtx session_id. What is refused is answered with 200 and com.vmware.vapi.std.errors.unauthenticated; what is not
// a request, with an error of JSON-RPC.
//
// There are com.vmware.cis.session get and delete, com.vmware.vcenter.VM list (the three machines), and com.vmware.vmssotest echo (the member "value"
// of the input comes back) and fill (a string of as many bytes as the member "bytes" says; it may be many gigabytes, and is not kept in memory).
type Automation struct {
	cfg      AutomationConfig
	sessions sessions
	nonces   nonces
	injector injector
	reasons  reasons
	tally    tally
}

// NewAutomation returns a vSphere Automation endpoint. It panics if nobody is trusted or an algorithm is not one.
func NewAutomation(cfg AutomationConfig) *Automation {
	if len(cfg.Trust) == 0 {
		panic("vmssotest: AutomationConfig.Trust is empty")
	}
	if cfg.Algorithms == nil {
		cfg.Algorithms = []string{"RS256"}
	}
	for _, name := range cfg.Algorithms {
		if _, known := rpcAlgorithms[name]; !known {
			panic(fmt.Sprintf("vmssotest: AutomationConfig.Algorithms has %q", name))
		}
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
// action of a /rest path belongs to it, "POST /rest/com/vmware/cis/session?~action=get". Of JSON-RPC it is service, blank, operation,
// "com.vmware.cis.session create"; "POST /api" if the body names none.
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
	op, r, err := identifyAutomation(w, r)
	a.tally.call(op)
	if err != nil {
		tooLarge(w)
		return
	}
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

// identifyAutomation names the operation. The body of a JSON-RPC request is read for that and can be read again; other bodies are left alone.
func identifyAutomation(w http.ResponseWriter, r *http.Request) (op string, _ *http.Request, err error) {
	op = automationOperation(r)
	if op != rpcPost {
		return op, r, nil
	}
	body, err := bodyOf(w, r)
	if err != nil {
		return op, r, err
	}
	if q, _ := parseRPC(body); q.operation != "" {
		op = q.operation
	}
	return op, withBody(r, body), nil
}

// automationOperation names the operation of a REST request.
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
	return op == rpcCreate || op == "POST "+legacySession || op == "POST "+apiSession && !a.cfg.Legacy
}

func (a *Automation) serve(w http.ResponseWriter, r *http.Request) {
	op := automationOperation(r) // again: an Injector may have changed the request
	switch {
	case r.URL.Path == rpcPath:
		a.serveRPC(w, r)
		return
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
