package main

// A span is printed when it ends, which is when the body of its response is
// closed: first that of the request that was asked for, then what was sent last
// for it. The logout finds no session any more.
func Example() {
	main()
	// Output:
	//   sent: POST /api/session
	// asked: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: POST /api/session
	// asked: GET /api/vcenter/vm
	//   sent: GET /api/vcenter/vm
	//   sent: DELETE /api/session
}
