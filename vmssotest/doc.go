// Package vmssotest has in-process servers for tests of programs that log in to vSphere with SAML tokens, in the manner of net/http/httptest: a
// security token service (STS), a vSphere SOAP endpoint (VSphere), a vSphere Automation endpoint of REST and JSON-RPC (Automation), a Lookup Service
// (Lookup), a vCloud Director (Director), an Authority that issues tokens, and a Network in memory to run them under testing/synctest.
//
// The servers verify what the real ones verify, as the real ones do: the signature of every message and token, what exactly it covers, the times,
// the key, the cookie. A client that passes here has not passed because nobody looked. They count what happens and let tests put faults in the way
// (Inject). They do not share code with the library that they judge.
package vmssotest
