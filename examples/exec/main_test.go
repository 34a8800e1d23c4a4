package main

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain: what runs the helper finds this test program in its place.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "print-token") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func Example() {
	main()
	// Output:
	// list of VMs: 200 OK
	// list of VMs: 200 OK
	// list of VMs: 200 OK
	// 3 logins, with the token of 1 run of the helper
}
