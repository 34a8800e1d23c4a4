package main

func Example() {
	main()
	// Output:
	// login: 3
	// logout: 1
	// request sent again: 2
	// session ended by the server: 2
}
