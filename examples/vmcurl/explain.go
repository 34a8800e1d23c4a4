package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vmsso/vmsso"
)

// The exit statuses are those of curl.
const (
	statusOK          = 0
	statusFailed      = 1
	statusUsage       = 2
	statusNoHost      = 6
	statusNoConnect   = 7
	statusHTTP        = 22
	statusTimeout     = 28
	statusNotTrusted  = 60
	statusDenied      = 67
	statusInterrupted = 130 // what a shell says of a program that Ctrl-C ended
)

// A httpError is an answer that -f makes an error.
type httpError struct{ status string }

func (e *httpError) Error() string { return "the server answered " + e.status }

// A hostError is an error of a request to this host.
type hostError struct {
	host string
	err  error
}

func (e *hostError) Error() string {
	var login *vmsso.LoginError
	if errors.As(e.err, &login) { // which names the host
		return e.err.Error()
	}
	return e.host + ": " + e.err.Error()
}

func (e *hostError) Unwrap() error { return e.err }

// explain says what went wrong and what to do, and the exit status of it.
func explain(ctx context.Context, err error) (status int, text string) {
	var (
		wrong   usageError
		answer  *httpError
		timeout interface{ Timeout() bool }
		unknown *net.DNSError
		op      *net.OpError
	)
	switch text := plain(err); {
	case errors.As(err, &wrong):
		return statusUsage, plain(wrong)
	case errors.Is(ctx.Err(), context.Canceled):
		return statusInterrupted, "interrupted; the session, if there is one, is kept"
	case errors.As(err, &answer):
		return statusHTTP, text + "; without -f its body tells more"
	case notTrusted(err):
		return statusNotTrusted, distrust(err)
	case errors.Is(err, vmsso.ErrRejected):
		return statusDenied, text + denied(err)
	case errors.Is(err, vmsso.ErrOwnLogin):
		return statusFailed, "this request is a login of its own, and was not sent: vmcurl logs in by itself"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return statusTimeout, text + "; the server or the way to it is slow, or a firewall drops what is sent: try a longer -max-time, and -v"
	case errors.As(err, &unknown):
		return statusNoHost, text + "; check the server's name, and HTTPS_PROXY if only a proxy knows it"
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return statusNoConnect, text + "; check name and port, that the server runs, and HTTPS_PROXY"
	default:
		return statusFailed, text
	}
}

// plain is the error in one line, without the library's name.
func plain(err error) string {
	text := strings.NewReplacer("vmsso: ", "", "tokensource: ", "", "cookiejar: ", "").Replace(err.Error())
	return strings.Join(strings.Fields(text), " ")
}

// denied says what the library does not.
func denied(err error) string {
	var le *vmsso.LoginError
	switch {
	case errors.As(err, &le) && le.Remembered:
		return "; this is the answer to an earlier run: nothing was sent now, because a few failures lock an account. Within that time one other password or certificate is tried"
	case strings.Contains(err.Error(), "check "):
		return ""
	}
	return "; check the user, the password or certificate, and that the server trusts this token service"
}

// notTrusted tells whether it was the server's certificate.
func notTrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.Is(err, vmsso.ErrTLSIdentity) || errors.As(err, &verification)
}

// distrust tells the thumbprint of the certificate that the server showed. It was
// the handshake that failed: of a request or credentials the server has seen nothing.
func distrust(err error) string {
	host, why := "the server", plain(err)
	var (
		of           *hostError
		login        *vmsso.LoginError
		verification *tls.CertificateVerificationError
	)
	if errors.As(err, &of) {
		host = of.host
	}
	if errors.As(err, &login) {
		host = login.Endpoint
	}
	if !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 { // -thumbprint: the error has the one that was found
		return why + "; no password or token was sent. If the certificate was renewed, ask whoever runs the server for its thumbprint; otherwise somebody is in between"
	}
	sum := sha256.Sum256(verification.UnverifiedCertificates[0].Raw)
	return fmt.Sprintf(`the certificate of %s is not trusted: %s. No password or token was sent.
  It has the SHA-256 thumbprint
    %s
  Compare it with what the server itself says, on its console or through whoever runs it:
    openssl x509 -noout -fingerprint -sha256 -in its-certificate.pem
  Only if both are the same, add -thumbprint and this value; or give the CA with -ca FILE
  (a vCenter's: https://%s/certs/download.zip).`, host, plain(verification.Err), colons(sum[:]), host)
}

// colons writes a thumbprint as openssl and browsers do.
func colons(sum []byte) string {
	var b bytes.Buffer
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}
