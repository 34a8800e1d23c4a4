// Package vmsso keeps a program logged in to VMware systems with SAML tokens.
//
// Its [Transport] is an [http.RoundTripper]. Existing code that takes an
// *http.Client works against vSphere and Cloud Director without knowing about
// tokens, signatures, sessions or their expiry:
//
//	client, transport, err := vmsso.Wrap(http.DefaultClient, vmsso.Config{
//		Endpoint: "https://vcenter.example.com/sdk",
//		Source:   source,                // package tokensource: where tokens come from
//		Auth:     &soap.Authenticator{}, // which protocol to log in with
//	})
//	if err != nil { … }
//	defer transport.Close() // logs out
//
// The first request logs in; concurrent requests share that one login. When the
// server says that the session is gone, the transport logs in once for
// everybody and sends the request again, once.
//
// # The pieces
//
//   - A [TokenSource] yields SAML 2.0 assertions, bearer or holder-of-key:
//     package tokensource has a fixed token, files, helper programs, and the
//     vCenter Single Sign-On security token service (STS).
//   - An [Authenticator] speaks one protocol: package soap logs in to vSphere's
//     SOAP endpoint by LoginByToken, package automation to vSphere Automation
//     over REST or JSON-RPC, package vcloud to vCloud Director and VMware Cloud
//     Director.
//   - A [Session] is what a login returned: headers and cookies. It lives in
//     memory, or in a [SessionStore], from where later processes take it:
//     package cookiejar has one in a directory.
//   - [Routes] choose among several transports by path, so that one http.Client
//     serves a whole vCenter. Package lookup finds its endpoints.
//   - Package vmssotest has strict in-process servers to test against.
//
// # The http.RoundTripper contract
//
// The documentation of http.RoundTripper asks implementations not to interpret
// responses and not to handle authentication and cookies. Like
// golang.org/x/oauth2, this package departs from that part on purpose: it is
// what the package is for. It keeps the rest: the caller's request is not
// modified, its body is always closed, and a response and an error are never
// both returned.
package vmsso
