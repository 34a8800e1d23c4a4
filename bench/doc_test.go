// Package bench_test measures what the library adds to a request and to a
// login. Only ratios within one run count: compare a row with the one beside it
// whose name begins with limit, which is what nothing can be faster than, or is
// the plainest way to do the same without the library. Module bench/peers compares
// with other libraries.
package bench_test
