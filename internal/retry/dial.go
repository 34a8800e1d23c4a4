package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"
)

// DialError reports whether err says that no connection came about, so that nothing was sent: the name was not found, the port is closed, the
// connect timed out, also on the way through a proxy. Any request can be repeated then.
//
// A cancelled context is no dial error, nor is a certificate that was not accepted: that will not change by itself. A deadline that passes
// while a connection is made looks like a connect timeout and is one; the caller's context tells the two apart.
func DialError(err error) bool {
	if errors.Is(err, context.Canceled) || isCertificateError(err) {
		return false
	}
	// The outermost OpError of a proxy that cannot be reached is "proxyconnect", with the "dial" inside.
	for op := (*net.OpError)(nil); errors.As(err, &op); err = op.Err {
		if op.Op == "dial" {
			return true
		}
	}
	return false
}

// Passing reports whether err may pass by itself: anything that kept a RoundTripper from an answer, such as a connection that broke, but for
// what was never sent because it cannot be, a certificate that was not accepted, and the end of the context. It is for requests that can be
// repeated whatever the server has made of the first: net/http has no name for most of these errors.
func Passing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || isCertificateError(err) {
		return false
	}
	passing, _ := retryablehttp.DefaultRetryPolicy(context.Background(), nil, &url.Error{Op: "Send", Err: err})
	return passing
}

// isCertificateError reports whether a TLS handshake failed over a certificate. crypto/tls names all of these itself; verifiers of the
// caller, such as a VerifyConnection, may return those of crypto/x509 bare.
func isCertificateError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &roots)
}
