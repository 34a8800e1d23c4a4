package bench_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/automation"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// BenchmarkHosts is the memory of transports that are logged in, one for each of
// many hosts, which share the base. Limit: what a map of sessions by host would
// take, less than which no client can remember.
func BenchmarkHosts(b *testing.B) {
	b.Run("limit:session-ID", func(b *testing.B) {
		rig.PerHost(b, 10_000, func(i int) any {
			return &vmsso.Session{Header: map[string][]string{rig.SessionHeader: {fmt.Sprintf("%032d", i)}}}
		})
	})
	shared := tokensource.Reuse(tokensource.Static(rig.Token()), 0)
	automationAuth, soapAuth := &automation.Authenticator{}, &soap.Authenticator{}
	row := func(name string, hosts int, source func() vmsso.TokenSource, auth func() vmsso.Authenticator) {
		b.Run(name, func(b *testing.B) {
			all := rig.PerHost(b, hosts, func(i int) any {
				tr, err := vmsso.New(vmsso.Config{Endpoint: fmt.Sprintf("https://vc%05d.example.test", i), Source: source(), Auth: auth(), Base: rig.Canned{Next: rig.NewStub()}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := tr.Session(context.Background()); err != nil {
					b.Fatal(err)
				}
				return tr
			})
			for _, tr := range all {
				tr.(*vmsso.Transport).Close()
			}
		})
	}
	theShared := func() vmsso.TokenSource { return shared }
	row("one-token/one-header", 10_000, theShared, func() vmsso.Authenticator { return rig.Header{} })
	row("one-token/Automation", 10_000, theShared, func() vmsso.Authenticator { return automationAuth })
	row("one-token/SOAP", 10_000, theShared, func() vmsso.Authenticator { return soapAuth })
	row("own-tokens/one-header", 10_000, ownTokens, func() vmsso.Authenticator { return rig.Header{} })
	row("own-tokens/Automation", 2_000, ownTokens, func() vmsso.Authenticator { return automationAuth })
	row("own-tokens/own-Automation", 2_000, ownTokens, func() vmsso.Authenticator { return &automation.Authenticator{} })
	row("own-tokens/own-SOAP", 2_000, ownTokens, func() vmsso.Authenticator { return &soap.Authenticator{} })
}

// ownTokens is a source that yields another token each time, and keeps none.
func ownTokens() vmsso.TokenSource { return fresh{} }

type fresh struct{}

func (fresh) Token(context.Context) (*vmsso.Token, error) {
	return &vmsso.Token{Assertion: strings.Clone(rig.Token().Assertion)}, nil
}
