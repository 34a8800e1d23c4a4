// Package vmssotest has in-process servers for tests of programs that log in to vSphere and Cloud Director with SAML tokens, in the manner of net/http/httptest.
//
//	a vCenter                                       NewVCenter
//	  its security token service alone              NewSTS
//	  its SOAP endpoint alone                       NewVSphere
//	  its REST and JSON-RPC alone                   NewAutomation
//	  its Lookup Service alone                      NewLookup
//	a vCloud Director                               NewDirector
//	a port of this machine to serve them at         Listen
//	a network in memory, also for testing/synctest  NewNetwork
//	tokens without a token service                  NewAuthority
//	the certificate and key of a solution user      NewKeyPair, NewKeyPairBetween
//	what a store of sessions has to pass            TestSessionStore
//
// The servers verify what the real ones verify, as the real ones do: the signature of every message and token, what exactly it covers, the times,
// the key, the cookie. A client that passes here has not passed because nobody looked. They count what happens and let tests put faults in the way
// (Inject). They do not share code with the library that they judge.
package vmssotest
