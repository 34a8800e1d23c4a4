package vmsso

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// The errors that callers branch on, with errors.Is. Most arrive inside a
// [*LoginError], which says where and what the server said.
var (
	// ErrRejected: the server refused the credentials or the token. It is final
	// until the source offers others; the transport does not try them again
	// meanwhile, because a few failures lock an account.
	ErrRejected = errors.New("refused by the server")
	// ErrLocked: refused because the account is locked. It is also ErrRejected.
	ErrLocked = fmt.Errorf("%w: the account is locked", ErrRejected)
	// ErrPasswordExpired is also ErrRejected.
	ErrPasswordExpired = fmt.Errorf("%w: the password has expired", ErrRejected)

	// ErrTokenExpired: the source has none but an expired token. Nothing was sent.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrUnsupportedToken: the source returned something that is no SAML 2.0
	// assertion, or one of a kind that cannot be used. Nothing was sent.
	ErrUnsupportedToken = errors.New("not a usable SAML 2.0 token")
	// ErrUnsupportedKey: the key is not that of the token or certificate, is
	// missing, or is of a kind that servers do not take. Nothing was sent.
	ErrUnsupportedKey = errors.New("not a usable key")
	// ErrClockSkew: a server took the time of a message for the past or future.
	ErrClockSkew = errors.New("the clocks of client and server differ too much")
	// ErrSTSCertificate: the token service cannot sign: its own certificate has
	// expired.
	ErrSTSCertificate = errors.New("the signing certificate of the security token service is not valid")
	// ErrTLSIdentity: the base transport does not trust the server. It has seen
	// neither credentials nor token.
	ErrTLSIdentity = errors.New("the server's TLS certificate is not trusted")
	// ErrSessionLimit: the server has no room for another session.
	ErrSessionLimit = errors.New("the server has reached its limit of sessions")

	// ErrHeaderTooLarge: the token makes the login's header larger than servers
	// take.
	ErrHeaderTooLarge = errors.New("the token is too large for a request header")

	// ErrOwnLogin: the caller's own code logs in through a transport that does
	// that by itself. Nothing was sent.
	ErrOwnLogin = errors.New("vmsso: this client is logged in by its transport: remove the explicit login, or set Config.AllowOwnLogin")
	// ErrNoSession: there is no live session. Authenticator.Probe returns it.
	ErrNoSession = errors.New("no live session")
	// ErrStore: Config.Store failed in a Logout. A login does not fail for it.
	ErrStore = errors.New("the session store failed")
	// ErrClosed: the transport was closed.
	ErrClosed = errors.New("vmsso: the transport is closed")
)

// A LoginError says why there is no session. It holds no secret: what it
// quotes of the server is bounded and redacted.
type LoginError struct {
	Endpoint   string        // host of the system or of the token service
	Stage      string        // "token", "RetrieveServiceContent", "LoginByToken" …
	Status     int           // HTTP status, 0 if there was no answer
	Fault      string        // what the server said: fault code and text
	RetryAfter time.Duration // when another try may help, 0 if unknown
	Err        error         // what it comes down to: see the errors of this package

	// Remembered: an earlier refusal, told again without asking the server.
	Remembered bool

	// ClockOffset is how far the server's clock is ahead of ours, to the second,
	// 0 if it is not known. Negative: it is behind.
	ClockOffset time.Duration
}

// Error says at which host and stage the login failed, why, what the server
// said, and what to do.
func (e *LoginError) Error() string {
	var b strings.Builder
	what := "log in to "
	switch e.Stage {
	case "Issue", "Renew":
		what = "get a token from "
	case "Lookup":
		what = "find the endpoints of "
	}
	b.WriteString("vmsso: " + what + cmp.Or(e.Endpoint, "the system"))
	if e.Stage != "" {
		b.WriteString(": " + e.Stage)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	switch {
	case e.Fault != "" && e.Status != 0:
		fmt.Fprintf(&b, " (HTTP %d: %q)", e.Status, e.Fault)
	case e.Fault != "":
		fmt.Fprintf(&b, " (%q)", e.Fault)
	case e.Status != 0:
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}
	if e.ClockOffset != 0 && errors.Is(e.Err, ErrClockSkew) {
		ahead := "ahead"
		if e.ClockOffset < 0 {
			ahead = "behind"
		}
		fmt.Fprintf(&b, "; the server's clock is %v %s", e.ClockOffset.Abs(), ahead)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; not tried again for %v", e.RetryAfter.Round(time.Second))
	}
	if a := advice(e); a != "" {
		b.WriteString("; " + a)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *LoginError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrTLSIdentity) true for what crypto/tls says of a
// certificate.
func (e *LoginError) Is(target error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return target == ErrTLSIdentity &&
		(errors.As(e.Err, &verification) || errors.As(e.Err, &authority) || errors.As(e.Err, &hostname) || errors.As(e.Err, &invalid))
}

// Timeout tells whether the login ran out of time.
func (e *LoginError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// advice is what a person can do about the error; the more special comes first.
func advice(err error) string {
	for _, a := range []struct {
		is  error
		say string
	}{
		{ErrLocked, "wait until the lock ends, and find out who sends the wrong password"},
		{ErrPasswordExpired, "set a new password"},
		{ErrSTSCertificate, "renew the signing certificate of vCenter Single Sign-On"},
		{ErrClockSkew, "synchronise the clocks of this machine and of the server"},
		{ErrTLSIdentity, "let the base transport trust the server's CA (Base in the configuration)"},
		{ErrSessionLimit, "log out sessions that are not used, or raise the limit"},
		{ErrHeaderTooLarge, "let the identity provider put fewer groups, attributes and certificates into the token"},
		{ErrTokenExpired, "supply a fresh token, or use a source that renews it"},
	} {
		if errors.Is(err, a.is) {
			return a.say
		}
	}
	return ""
}

// loginError makes a LoginError of whatever a source or an Authenticator
// returned. If that is one already, what it leaves open is filled in, in a copy:
// the error may be shared.
func loginError(endpoint, stage string, err error) *LoginError {
	var le *LoginError
	if !errors.As(err, &le) {
		return &LoginError{Endpoint: endpoint, Stage: stage, Err: err}
	}
	filled := *le
	filled.Endpoint = cmp.Or(le.Endpoint, endpoint)
	return &filled
}

var _ interface {
	error
	Timeout() bool
} = (*LoginError)(nil)

var _ net.Error = timeoutError{}

// timeoutError is the end of Config.LoginTimeout.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string {
	return fmt.Sprintf("no answer within %v (LoginTimeout)", e.after)
}
func (e timeoutError) Timeout() bool   { return true }
func (e timeoutError) Temporary() bool { return true }
func (e timeoutError) Unwrap() error   { return context.DeadlineExceeded }
