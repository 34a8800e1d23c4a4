// Package model holds a test that draws sequences of what can happen to a transport (calls, faults of the servers, administrators, clocks and
// callers), runs each against the test servers, and demands of every one what must hold whatever happens: one login at a time, no session that
// nobody knows of, no credentials offered while they are refused, the right answer or an error that has a cause, and nothing left after Close.
//
//	go test -tags model ./internal/model -rapid.checks=5000
//	go test -tags model ./internal/model -rapid.seed=123      # again what failed
package model
