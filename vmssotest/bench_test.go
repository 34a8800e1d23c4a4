package vmssotest

import (
	"crypto/x509"
	"testing"
)

// An ordinary call must be cheap: tests send ten thousand at a time.
func BenchmarkCurrentTime(b *testing.B) {
	v := newTestVSphere()
	cookie := newCookie(logIn(v, bearerLogin().build(b)))
	for b.Loop() {
		if w := call(v, cookie, "CurrentTime"); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

func BenchmarkVerifyLogin(b *testing.B) {
	msg := []byte(holderOfKeyLogin().build(b))
	trust := []*x509.Certificate{authority().Certificate()}
	for b.Loop() {
		if _, err := verifyLogin(msg, trust, testTime(), 0); err != nil {
			b.Fatal(err)
		}
	}
}
