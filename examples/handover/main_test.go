package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// vSphere SOAP        by Cookie: 200 OK; after Close: 500 Internal Server Error
	// vSphere Automation  by vmware-api-session-id: 200 OK; after Close: 401 Unauthorized
	// Cloud Director      by Authorization: 200 OK; after Close: 401 Unauthorized
}
