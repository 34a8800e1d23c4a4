package vmssotest

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// DirectorConfig describes the cells of a vCloud Director, which later was called VMware Cloud Director.
type DirectorConfig struct {
	// Trust holds the certificates of the identity providers whose assertions are accepted; required. Their keys are RSA keys.
	Trust []*x509.Certificate

	// Orgs holds the organizations: name → entity ID of its SAML metadata, which an assertion must name as its audience, exactly; "": the audience
	// is not checked. "System" is the provider; the case of this name alone does not count. nil: {"System": "", "Finance": ""}.
	Orgs map[string]string

	// Versions are those of the API, nil: "35.0", "36.0", "37.0", "38.0", "39.0". They may be old ("1.5", "5.1", "5.5", "5.6") or those of VCF
	// Automation ("40.0", "9.0.0"). The cells answer a request as the version that its Accept header names would.
	Versions   []string
	Deprecated []string // those of Versions that are marked so

	// PublicURL is scheme and host of the login URLs in /api/versions; "": those of the request. Another host is how it looks behind a load balancer
	// that was set up wrong: a client must not send its token there.
	PublicURL string

	NonProviderOnly bool              // /api/sessions refuses the provider, as with vcloud.api.legacy.nonprovideronly
	Opaque          map[string]string // EncryptedAssertion documents, byte for byte, that are taken as bearer tokens → the user that each is for
	AllowSHA1       bool              // SHA1withRSA is accepted, as cells of 5.x do
	MaxHeader       int               // bytes of the request line and all header fields together; 0: 8192. More is answered with 431.

	Idle      time.Duration    // a session that is idle for longer is gone; 0: 30 minutes
	Lifetime  time.Duration    // of the JWT, which says so in exp, whatever its session does; 0: an hour
	Now       func() time.Time // nil: time.Now
	Tolerance time.Duration    // clock tolerance for assertions; 0: 10 minutes; negative: none

	// OnLogin is called for every accepted login before it is answered, from the goroutine of the request: calls can overlap.
	OnLogin func(DirectorLogin)
}

// DirectorLogin is one accepted login.
type DirectorLogin struct {
	Subject     string            // the NameID of the assertion, or the user of an EncryptedAssertion
	Org         string            // as in DirectorConfig.Orgs; the provider is always "System"
	Assertion   string            // the token as it came out of base64 and gzip
	AssertionID string            // the assertion's ID; "" for an EncryptedAssertion
	HolderOfKey bool              // false: bearer
	Holder      *x509.Certificate // whose key signed the assertion once more; nil for a bearer token
	Path        string            // of the login
	Version     string            // of the API, as the request named it
	Session     string            // the id of the session that began: that of urn:vcloud:session, not the JWT
	Header      http.Header       // of the login request
}

// Director is a vCloud Director (/api, /cloudapi and /transfer) that is strict about "Authorization: SIGN": its form, the SAML assertion in it, its
// audience, and for a holder-of-key token the signature of the assertion. It is an http.Handler, safe for concurrent use, and to be made with
// NewDirector.
//
// Wire: GET /api/versions needs no session. POST /api/sessions logs in for versions before 38.0, POST /cloudapi/1.0.0/sessions the tenants and POST
// /cloudapi/1.0.0/sessions/provider the provider from 33.0 on. All else needs "Authorization: Bearer" with the JWT, or X-Vcloud-Authorization for
// versions before 38.0. What is refused is answered with 401 and no body, which is also the answer to a tenant context that is not a bare UUID.
// Credentials that contradict each other are answered with 400: that is how headers of an earlier session are found out. Reasons says why.
//
// There are GET /api/session and GET /cloudapi/1.0.0/sessions/current, both with DELETE, GET /api/org, GET /api/query?type=vm and GET
// /cloudapi/1.0.0/vms (three machines), GET /api/admin and GET /cloudapi/1.0.0/site (for the provider), POST /api/echo (the body comes back) and PUT
// /transfer/… (the number of bytes of the body, which is not kept).
type Director struct {
	cfg      DirectorConfig
	versions []apiVersion
	cloudAPI bool // a version has /cloudapi
	sessions directorSessions
	injector injector
	reasons  reasons
	tally    tally
}

// NewDirector returns a vCloud Director. It panics if nobody is trusted or a version is not one.
func NewDirector(cfg DirectorConfig) *Director {
	if len(cfg.Trust) == 0 {
		panic("vmssotest: DirectorConfig.Trust is empty")
	}
	if cfg.Orgs == nil {
		cfg.Orgs = map[string]string{provider: "", "Finance": ""}
	}
	if cfg.Versions == nil {
		cfg.Versions = []string{"35.0", "36.0", "37.0", "38.0", "39.0"}
	}
	cfg.MaxHeader = cmp.Or(cfg.MaxHeader, 8192)
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Lifetime = cmp.Or(cfg.Lifetime, time.Hour)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Tolerance = tolerance(cfg.Tolerance)
	d := &Director{cfg: cfg}
	for _, name := range cfg.Versions {
		v, ok := parseVersion(name)
		if !ok {
			panic(fmt.Sprintf("vmssotest: DirectorConfig.Versions has %q", name))
		}
		d.versions = append(d.versions, v)
	}
	d.cloudAPI = slices.ContainsFunc(d.versions, apiVersion.hasCloudAPI)
	d.sessions.idle, d.sessions.now = cfg.Idle, cfg.Now
	return d
}

// Logins returns how many logins were accepted.
func (d *Director) Logins() int { return int(d.tally.accepted.Load()) }

// Refused returns how many logins were refused, with whatever status.
func (d *Director) Refused() int { return int(d.tally.refused.Load()) }

// Reasons returns why logins were refused and why requests with a session were answered with 400, 406 or 431, or with 401 for their tenant context,
// oldest first, the last thousand.
func (d *Director) Reasons() []string { return d.reasons.all() }

// Sessions returns how many sessions are logged in.
func (d *Director) Sessions() int { return d.sessions.live() }

// Calls returns how many requests of this operation have come, whatever was answered. An operation is method and path, "POST /api/sessions".
func (d *Director) Calls(op string) int { return d.tally.of(op) }

// MaxConcurrentLogins returns the highest number of logins that were in flight at one time.
func (d *Director) MaxConcurrentLogins() int { return int(d.tally.maxLoggingIn.Load()) }

// Kill ends all sessions behind the clients' back and returns how many.
func (d *Director) Kill() int { return d.sessions.kill(false) }

// Inject sends the next n requests of this operation (as named by Calls; "": any) through f; n < 0: all from now on; n == 0: removes what was
// injected for op. A request meets one f at most, the oldest that fits. The body of PUT /transfer/… is not remembered: what f reads of it, next does
// not see.
func (d *Director) Inject(op string, n int, f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	d.injector.inject(op, n, f)
}

// ServeHTTP implements http.Handler.
func (d *Director) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := directorOperation(r)
	d.tally.call(op)
	if d.isLogin(r) {
		defer d.tally.login()()
	}
	if n := headerSize(r); n > d.cfg.MaxHeader { // before everything else: the cell has not even parsed the request
		d.reason(d.isLogin(r), fmt.Sprintf("header of %d bytes, %d are allowed", n, d.cfg.MaxHeader))
		http.Error(w, "Request Header Fields Too Large", http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	f := d.injector.take(op)
	if f == nil {
		d.serve(w, r)
		return
	}
	if !isTransfer(op) {
		body, err := bodyOf(w, r)
		if err != nil {
			tooLarge(w)
			return
		}
		r = withBody(r, body)
	}
	f(w, r, http.HandlerFunc(d.serve))
}

// directorOperation names the operation of a request.
func directorOperation(r *http.Request) string { return r.Method + " " + r.URL.Path }

func isCloudAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/cloudapi/") }

func isTransfer(op string) bool { return strings.HasPrefix(op, "PUT /transfer/") }

// headerSize counts the request line and the header fields as HTTP/1.1 writes them.
func headerSize(r *http.Request) int {
	uri := cmp.Or(r.RequestURI, r.URL.RequestURI())
	n := len(r.Method + " " + uri + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name + ": " + value + "\r\n")
		}
	}
	return n
}

// reason notes why a request was refused.
func (d *Director) reason(login bool, why string) {
	d.reasons.add(why)
	if login {
		d.tally.refused.Add(1)
	}
}

func (d *Director) serve(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == versionsPath && r.Method == http.MethodGet:
		d.answerVersions(w, r)
	case d.isLogin(r):
		d.login(w, r)
	case path == versionsPath, d.isLoginPath(path):
		d.fail(w, r, http.StatusMethodNotAllowed, "method "+r.Method+" is not allowed")
	case strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/transfer/"), d.cloudAPI && isCloudAPI(r):
		d.withSession(w, r)
	default:
		http.NotFound(w, r)
	}
}
