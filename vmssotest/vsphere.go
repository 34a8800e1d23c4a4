package vmssotest

import (
	"crypto/x509"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"
)

// VSphereConfig describes a vSphere endpoint.
type VSphereConfig struct {
	// Trust holds the certificates whose assertions are accepted; required. Their keys are RSA keys, as those of an SSO domain are.
	Trust []*x509.Certificate

	// Backend makes the endpoint a verifying front: LoginByToken is verified, one that is refused is answered here with InvalidLogin, and an accepted
	// one and everything else is handed on unchanged. nil: the endpoint answers by itself.
	Backend http.Handler

	Idle      time.Duration    // a session that is idle for longer is gone; 0: 30 minutes. Without effect with a Backend
	Now       func() time.Time // nil: time.Now
	Tolerance time.Duration    // clock tolerance for timestamps and assertions; 0: 10 minutes; negative: none

	// OnLogin is called for every accepted LoginByToken before it is answered, from the goroutine of the request: calls can overlap.
	OnLogin func(Login)
}

// VSphere is a vSphere SOAP endpoint (/sdk, and /folder for files) that is as strict about LoginByToken as vCenter: WS-Security timestamp, SAML
// assertion, message signature by the holder's key, and the session's cookie. It is an http.Handler, safe for concurrent use, and to be made with
// NewVSphere.
//
// Wire: RetrieveServiceContent without a known cookie begins a session that is not logged in; LoginByToken needs the cookie of such a session, on
// which no login failed before, and replaces it by a new one. What is refused says no more than InvalidLogin to the client; Reasons says why.
type VSphere struct {
	cfg      VSphereConfig
	sessions sessions
	injector injector
	reasons  reasons
	tally    tally
}

// NewVSphere returns a vSphere endpoint. It panics if nobody is trusted.
func NewVSphere(cfg VSphereConfig) *VSphere {
	if len(cfg.Trust) == 0 {
		panic("vmssotest: VSphereConfig.Trust is empty")
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Tolerance = tolerance(cfg.Tolerance)
	v := &VSphere{cfg: cfg}
	v.sessions.idle, v.sessions.now = cfg.Idle, cfg.Now
	if cfg.Backend != nil { // the backend decides when a session is idle for too long
		v.sessions.idle = 1<<63 - 1
	}
	return v
}

// tolerance gives the zero value of a clock tolerance its meaning.
func tolerance(d time.Duration) time.Duration {
	if d == 0 {
		return 10 * time.Minute
	}
	return max(d, 0)
}

// Logins returns how many LoginByToken were accepted; with a Backend, those that it answered with 200 too.
func (v *VSphere) Logins() int { return int(v.tally.accepted.Load()) }

// Refused returns how many LoginByToken were refused here.
func (v *VSphere) Refused() int { return int(v.tally.refused.Load()) }

// Reasons returns why LoginByToken were refused, oldest first, the last thousand.
func (v *VSphere) Reasons() []string { return v.reasons.all() }

// Sessions returns how many sessions are logged in; with a Backend, accepted logins minus logouts seen: those that the backend ended by itself
// are still counted.
func (v *VSphere) Sessions() int { return v.sessions.live() }

// Calls returns how many requests of this operation have come, whatever was answered. SOAP requests have the name of the first element of the Body,
// others method and first path segment: "PUT /folder", "GET /sdk".
func (v *VSphere) Calls(op string) int { return v.tally.of(op) }

// MaxConcurrentLogins returns the highest number of LoginByToken that were in flight at one time.
func (v *VSphere) MaxConcurrentLogins() int { return int(v.tally.maxLoggingIn.Load()) }

// Kill ends all logged-in sessions behind the clients' back and returns how many. With a Backend, later requests with their cookies are answered
// here with NotAuthenticated.
func (v *VSphere) Kill() int { return v.sessions.kill(v.cfg.Backend != nil) }

// Inject sends the next n requests of this operation (as named by Calls; "": any) through f; n < 0: all from now on; n == 0: removes what was
// injected for op. A request meets one f at most, the oldest that fits.
func (v *VSphere) Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	v.injector.inject(op, n, f)
}

// ServeHTTP implements http.Handler.
func (v *VSphere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, r, err := v.identify(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	v.tally.call(op)
	if op == "LoginByToken" {
		defer v.tally.login()()
	}
	if f := v.injector.take(op); f != nil {
		f(w, r, http.HandlerFunc(v.serveInjected))
		return
	}
	v.serve(op, w, r)
}

// serveInjected is what an Injector gets as next: the request may have been changed meanwhile.
func (v *VSphere) serveInjected(w http.ResponseWriter, r *http.Request) {
	op, r, err := v.identify(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	v.serve(op, w, r)
}

// identify names the operation. The body of a SOAP request is read for that and can be read again; other bodies are left alone.
func (v *VSphere) identify(w http.ResponseWriter, r *http.Request) (op string, _ *http.Request, err error) {
	if r.Method != http.MethodPost || !isSDK(r.URL.Path) {
		segment, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		return r.Method + " /" + segment, r, nil
	}
	body, err := bodyOf(w, r)
	if err != nil {
		return "", r, errors.New("request body cannot be read or is larger than 4 MiB")
	}
	op = operation(body)
	if (v.cfg.Backend != nil || op == "") && mentions(body, "LoginByToken") {
		// A message that is not understood, or in which a backend may find another operation than the scanner did: with a login anywhere it has to
		// pass the strict parser.
		op = "LoginByToken"
	}
	return op, withBody(r, body), nil
}

func isSDK(path string) bool { return path == "/sdk" || strings.HasPrefix(path, "/sdk/") }

func (v *VSphere) serve(op string, w http.ResponseWriter, r *http.Request) {
	switch {
	case v.cfg.Backend != nil:
		v.serveFront(op, w, r)
	case r.Method == http.MethodPost && isSDK(r.URL.Path):
		v.serveSOAP(op, w, r)
	case r.URL.Path == "/sdk/vimServiceVersions.xml" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/xml")
		writeString(w, serviceVersions)
	case strings.HasPrefix(r.URL.Path, "/folder/"):
		v.serveFolder(w, r)
	case isSDK(r.URL.Path):
		http.Error(w, "SOAP requests are POSTs", http.StatusMethodNotAllowed)
	default:
		http.NotFound(w, r)
	}
}

// verify checks a LoginByToken request.
func (v *VSphere) verify(r *http.Request, body []byte) (*Login, error) {
	if err := checkSOAPAction(r.Header.Get("SOAPAction")); err != nil {
		return nil, err
	}
	if !isTextXML(r) {
		return nil, errors.New("Content-Type is not text/xml")
	}
	return verifyLogin(body, v.cfg.Trust, v.cfg.Now(), v.cfg.Tolerance)
}

// isTextXML reports whether the body is SOAP 1.1 in UTF-8, the only encoding that is understood.
func isTextXML(r *http.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	return err == nil && kind == "text/xml" && (charset == "" || charset == "utf-8")
}
