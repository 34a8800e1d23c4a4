// Package peers_test compares the library with others that do the same, in the
// same run. Rows whose name begins with limit are what nothing can be faster than,
// or the plainest way to do the same without any library. The tests make sure that
// what is compared does the same.
package peers_test
