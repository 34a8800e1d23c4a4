// Package vmssogovmomi puts vmsso below govmomi: a client of govmomi and all that
// is made of it, for SOAP (vim25, pbm, vslm, cns, vsan, eam …) and for vSphere
// Automation (vapi/rest, and tags and library above it), is logged in with SAML
// tokens, and stays so.
//
//	client := soap.NewClient(endpoint, false) // govmomi's package soap
//	if err := client.SetRootCAs("vcenter-ca.pem"); err != nil { … }
//	transports, err := vmssogovmomi.Attach(client, vmsso.Config{Source: source})
//	if err != nil { … }
//	defer transports.Close() // logs out
//
//	vc, err := vim25.NewClient(ctx, client)
//	if err != nil { … }
//	vms, err := find.NewFinder(vc).VirtualMachineList(ctx, "*") // logs in
//	profiles, err := pbm.NewClient(ctx, vc)                     // in the same session
//	manager := tags.NewManager(rest.NewClient(vc))              // logs in when it is used
//
// [Attach] comes first: before vim25.NewClient, and before any call of the client.
// After it everything is safe for concurrent use, as govmomi is.
//
// # Why it takes more than a Transport
//
// To set client.Client.Transport serves that one client. For other services
// govmomi makes clients of their own (NewServiceClient), which take another
// transport: the private one that DefaultTransport returns. Attach registers with
// that transport for https and http ([http.Transport.RegisterProtocol]), so that
// no client that shares it goes past, whoever makes it and whenever. What govmomi
// was told of the server's certificate stays in force, because it still sends the
// requests: see [Base].
//
// # What is different above it
//
// Logins of the program's own fail with [vmsso.ErrOwnLogin], for errors.Is:
// session.Manager's Login, LoginByToken and their relatives, and rest.Client's
// Login and LoginByToken. Drop them; where a govmomi.Client is wanted, make it of
// its parts: &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}.
// Logout works: the next call logs in. Where vmsso cannot log in, calls fail with
// its [*vmsso.LoginError], for errors.As.
//
// SessionCookie of an attached client does not return the session but a
// placeholder, or what a server has told somebody who had none. govmomi writes that
// into the SOAP header of messages for PBM and VSLM, and the session takes its place
// on the way. For another program, have the session of Transports.SOAP:
//
//	s, err := transports.SOAP.Session(ctx) // s.Cookies
//
// Services of single sign-on (sts, lookup, ssoadmin) get no session, as they take
// none of vCenter's: ssoadmin.Client.Login has a token of its own. Neither do other
// hosts, such as an ESXi host from which a file is read.
//
// Views, collectors, filters and leases live in the session in which they were
// made. When that ends they are lost, and their next call fails as without vmsso:
// make them again. Everything else goes on, unless it is an upload of more than
// Config.ReplayBody.
//
// Package session/cache makes a client of its own: attach that in the function that
// Load and Login take for settings, and let LoginSOAP and LoginREST do nothing. A
// client that was read from JSON is a new one, too.
//
// Calls as JSON (UseJSON) have not been tried: their session is in a header.
//
// # SetCertificate and Tunnel
//
// SetCertificate panics on an attached client, as it does on each whose transport
// is not govmomi's. A certificate that is to get a token goes into
// tokensource.STSConfig.Certificate; one for TLS itself, into
// client.DefaultTransport().TLSClientConfig, before the first call.
//
// Tunnel returns a client that is not attached, and has no session: it copies the
// transport. LoginExtensionByCertificate, which uses it, logs in there, and the
// attached client stays in its own session. Use a client for that which is not
// attached at all.
package vmssogovmomi
