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
// # For whom what
//
// What is worth setting in a [Config], by the kind of program; - is the zero value.
// NewFile and its like are of package tokensource, FileStore is of cookiejar; soap
// stands for &soap.Authenticator{}, and so on.
//
//	                controller            command line          exporter               backup proxy
//	                runs for months,      runs for seconds,     runs for months,       runs for months,
//	                watches a vCenter     again and again       asks many vCenters     passes long streams
//
//	Source          NewFile, of a         FromEnv, then NewSTS; NewSTS below a Reuse   NewSTS with the
//	                mounted Secret        or NewExec            for each SSO domain    Certificate of a
//	                                                                                   solution user
//	Auth            soap, for views;      automation            soap, for performance; soap, for /folder;
//	                automation                                  automation             vcloud, for /transfer
//
//	Store, Identity FileStore: a restart  FileStore: the runs   -                      -
//	                is no login           share a session
//	StoreKey        from its Secret       from the key ring     -                      -
//	KeepAlive       10 min: views         -                     -                      10 min: no call comes
//	                outlive a pause                                                    while a stream lasts
//	MaxAge          20 h: less than the   -                     -                      -
//	                server's limit
//	MaxRetries      -1: its work queue    -                     -1: the next scrape    -
//	                tries again                                 tries again
//	ReplayBody      -                     -                     -                      -1: nothing is kept
//	ExpectContinue  -                     -                     -                      1 MiB: a dead session
//	                                                                                   costs no upload
//	Logger, Trace   Logger                -                     Trace: its own metrics Logger
//	Close           leaves the session    leaves the session    logs out               logs out
//
// Each system has a Transport of its own, for as long as the program runs; Base
// may be one for all of them. A program that needs SOAP and REST of one vCenter
// takes two, below [Routes].
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
