package main

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vmsso/vmsso/vmssotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	main()
	// Output:
	// [web01 web02 db01]; logins so far: 1
	// [web01 web02 db01]; logins so far: 2
	// sessions left: 0
}

// TestLoginsAreSigned: a token alone, without its key, is no login. Nobody needs a
// password, and each login has a token of its own.
func TestLoginsAreSigned(t *testing.T) {
	certificate := vmssotest.NewKeyPair("backup", nil)
	vcenter := vmssotest.NewVCenter(vmssotest.VCenterConfig{SolutionUsers: map[string]*x509.Certificate{"backup": certificate.Leaf}})
	signed := 0
	vcenter.Automation.Inject("POST /api/session", -1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.Header.Get("Authorization"), "signature=") {
			signed++
		}
		next.ServeHTTP(w, r)
	})
	if err := run(t.Context(), vcenter, &certificate); err != nil {
		t.Fatal(err)
	}
	if signed != 2 || vcenter.Logins() != 2 || vcenter.STS.Issued() != 2 {
		t.Errorf("%d signed of %d logins, with %d tokens; want 2, 2, 2", signed, vcenter.Logins(), vcenter.STS.Issued())
	}
}
