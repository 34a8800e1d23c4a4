package tokensource_test

import (
	"slices"
	"testing"

	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

func TestAudience(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	const entity = "https://vcd.example.test/cloud/org/Finance/saml/metadata?a=1&b=<2>\"'"
	names := []string{entity, "urn:b"}
	for name, cfg := range map[string]tokensource.STSConfig{
		"password":    {Username: user, Password: password},
		"certificate": {Certificate: &l.pair},
		"both":        {Username: user, Password: password, Certificate: &l.pair},
		"token":       {Token: tokensource.Static(l.holder(t))},
		"ActAs":       {Certificate: &l.pair, ActAs: tokensource.Static(l.bearer(t))},
	} {
		for _, tc := range []struct {
			audience  []string
			appliesTo string
			want      []string
		}{
			{nil, "", nil},
			{names[:1], "", names[:1]},
			{names, "", names},
			{nil, entity, names[:1]},
			{names, "urn:c", []string{"urn:c", entity, "urn:b"}},
		} {
			cfg.Audience, cfg.AppliesTo = slices.Clone(tc.audience), tc.appliesTo
			s := l.source(t, cfg)
			if len(cfg.Audience) > 0 {
				cfg.Audience[0] = "changed afterwards"
			}
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatalf("%s: %v; the service says %q", name, err, l.sts.Reasons())
			}
			got, want := slices.Sorted(slices.Values(l.last().Audiences)), slices.Sorted(slices.Values(tc.want))
			a, err := signer.ParseAssertion(tok.Assertion)
			if err != nil || !slices.Equal(got, want) || !slices.Equal(slices.Sorted(slices.Values(a.Audiences)), want) {
				t.Errorf("%s: audiences %q, want %q", name, got, want)
			}
		}
	}
}

// A renewed token is for the same audience; it need not be named again.
func TestRenewedTokenKeepsItsAudience(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		s := renewable(t, l, tokensource.STSConfig{Certificate: &l.pair, Audience: []string{"urn:a"}, NotDelegatable: true})
		for range 2 {
			if _, err := s.Token(t.Context()); err != nil {
				t.Fatalf("%v; the service says %q", err, l.sts.Reasons())
			}
		}
		if i := l.last(); i.Renewed == "" || !slices.Equal(i.Audiences, []string{"urn:a"}) || i.Delegations != 0 {
			t.Errorf("renewed %q: %+v", i.Renewed, i.Claims)
		}
	})
}
