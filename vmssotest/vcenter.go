package vmssotest

import (
	"crypto/x509"
	"net/http"
	"strings"
	"time"
)

// VCenterConfig describes a vCenter. Its zero value has no users: tokens come
// from VCenter.Authority then.
type VCenterConfig struct {
	Authority     *Authority                   // whose tokens all services accept, and the STS issues; nil: one of its own
	Users         map[string]string            // of the STS: user name → password
	SolutionUsers map[string]*x509.Certificate // of the STS: name → registered certificate

	// Backend makes the SOAP endpoint a verifying front, see VSphereConfig.
	Backend http.Handler

	Idle time.Duration    // a session that is idle for longer is gone; 0: 30 minutes
	Now  func() time.Time // nil: time.Now
}

// VCenter is the services of one vCenter at the paths where a vCenter has them:
// the STS at /sts/, vSphere Automation at /api and /rest, the Lookup Service at
// /lookupservice/, and SOAP with its files (/sdk, /folder) at all others. It is an
// [http.Handler], safe for concurrent use, and to be made with [NewVCenter].
//
// A service is reached by its field: to count, to put a fault in the way. For one
// of them alone, or with more options, make it by itself.
type VCenter struct {
	Authority  *Authority
	STS        *STS
	VSphere    *VSphere
	Automation *Automation
}

// NewVCenter returns a vCenter. Its Lookup Service tells the URLs of the host that
// the client asked for.
func NewVCenter(cfg VCenterConfig) *VCenter {
	if cfg.Authority == nil {
		cfg.Authority = NewAuthority()
	}
	trust := []*x509.Certificate{cfg.Authority.Certificate()}
	return &VCenter{
		Authority:  cfg.Authority,
		STS:        NewSTS(STSConfig{Authority: cfg.Authority, Users: cfg.Users, SolutionUsers: cfg.SolutionUsers, Now: cfg.Now}),
		VSphere:    NewVSphere(VSphereConfig{Trust: trust, Backend: cfg.Backend, Idle: cfg.Idle, Now: cfg.Now}),
		Automation: NewAutomation(AutomationConfig{Trust: trust, Idle: cfg.Idle, Now: cfg.Now}),
	}
}

// ServeHTTP implements [http.Handler].
func (v *VCenter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "sts":
		v.STS.ServeHTTP(w, r)
	case "api", "rest":
		v.Automation.ServeHTTP(w, r)
	case "lookupservice":
		NewLookup(LookupConfig{Services: LookupServices("https://" + r.Host)}).ServeHTTP(w, r)
	default:
		v.VSphere.ServeHTTP(w, r)
	}
}

// Kill ends all sessions behind the clients' back, and returns how many.
func (v *VCenter) Kill() int { return v.VSphere.Kill() + v.Automation.Kill() }

// Logins returns how many logins were accepted.
func (v *VCenter) Logins() int { return v.VSphere.Logins() + v.Automation.Logins() }

// Sessions returns how many sessions are logged in.
func (v *VCenter) Sessions() int { return v.VSphere.Sessions() + v.Automation.Sessions() }
