//go:build !unix

package tokensource_test

// helpOfUnix has nothing to do here.
func helpOfUnix([]string) {}
