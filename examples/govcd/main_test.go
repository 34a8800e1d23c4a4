package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// SetToken: 1 login
	// POST in a session that is gone: <VApp/> arrived, 2 logins
	// Authenticate fails with ErrOwnLogin: true
	// Close: 0 sessions left
}
