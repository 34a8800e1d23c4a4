package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// bob@example.com of Finance, [Organization Administrator]
	// [web01 web02 db01]
}
