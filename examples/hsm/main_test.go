package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The key signs for logins, not for the calls in their sessions.
func Example() {
	main()
	// Output:
	// 200 OK; the HSM has signed: true
	// 200 OK; the HSM has signed: false
}
