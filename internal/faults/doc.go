// Package faults holds the tests of what a transport must survive: one named test for each fault of the table in README.md, put in the way at the
// public API of the library and of its test servers, and judged by what the servers counted.
package faults
