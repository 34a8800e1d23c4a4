package faults_test

import (
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// Fault 52: tokens live for a shorter time than the margin before their end.
func TestShortLivedTokensCauseNoStorm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *labConfig) { c.sts.MaxBearer = 10 * time.Second })
		source := tokensource.Reuse(l.source(t, tokensource.STSConfig{Username: user, Password: password}), time.Minute)
		soap, _ := l.soap(t, source)
		rest, _ := l.rest(t, source)
		for range 60 { // each second both sessions end
			must(t, currentTime, soap)
			must(t, vms, rest)
			l.vsphere.Kill()
			l.automation.Kill()
			time.Sleep(time.Second)
		}
		if n := l.sts.Issued(); n > 9 {
			t.Errorf("%d tokens in a minute, want one in 8 seconds", n)
		}
		expect(t, l.vsphere, 60, 0)
		expect(t, l.automation, 60, 0)
	})
}

// Fault 59: a token has been renewed as often as it can be.
func TestTokenThatIsUsedUpIsAskedForAnew(t *testing.T) {
	pair := rsaPair()
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *labConfig) { c.sts.MaxRenewals = 2 })
		source := l.source(t, tokensource.STSConfig{Certificate: &pair, Renewable: true, Lifetime: time.Hour})
		c, _ := l.soap(t, source)
		for range 6 {
			must(t, currentTime, c)
			l.vsphere.Kill()
			time.Sleep(30 * time.Minute)
		}
		if l.sts.Issued() != 6 || l.sts.Renewed() != 4 || l.sts.Failures() != 0 {
			t.Errorf("%d tokens, %d of them renewed, %d failures, want 6, 4 and none", l.sts.Issued(), l.sts.Renewed(), l.sts.Failures())
		}
		expect(t, l.vsphere, 6, 0)
	})
}

// Fault 60: a token expires before it is renewed.
func TestTokenThatExpiredBeforeItsRenewalIsAskedForAnew(t *testing.T) {
	pair := rsaPair()
	bubble(t, func(t *testing.T) {
		l := newLab(t)
		c, _ := l.soap(t, l.source(t, tokensource.STSConfig{Certificate: &pair, Renewable: true, Lifetime: time.Hour}))
		must(t, currentTime, c)
		l.vsphere.Kill()
		time.Sleep(2 * time.Hour)
		must(t, currentTime, c)
		if l.sts.Requests() != 2 || l.sts.Issued() != 2 || l.sts.Renewed() != 0 {
			t.Errorf("%d requests, %d tokens, %d renewed, want 2, 2 and none", l.sts.Requests(), l.sts.Issued(), l.sts.Renewed())
		}
		expect(t, l.vsphere, 2, 1)
	})
}

// A certificate that ends before its token does; the clock of a bubble begins with the year 2000.
var endingPair = sync.OnceValue(func() (pair struct {
	leaf *x509.Certificate
	cfg  tokensource.STSConfig
}) {
	p := vmssotest.NewKeyPairBetween("solution", nil, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC))
	pair.leaf, pair.cfg = p.Leaf, tokensource.STSConfig{Certificate: &p, Lifetime: 24 * time.Hour}
	return pair
})

// Fault 61: a holder-of-key token outlives the certificate of its key.
func TestTokenIsNotKeptBeyondItsCertificate(t *testing.T) {
	ending := endingPair()
	bubble(t, func(t *testing.T) {
		l := newLab(t, func(c *labConfig) { c.sts.SolutionUsers = map[string]*x509.Certificate{"solution": ending.leaf} })
		source := tokensource.Reuse(l.source(t, ending.cfg), 0)
		tok, err := source.Token(t.Context())
		if err != nil || !tok.Expires.Equal(ending.leaf.NotAfter) {
			t.Fatalf("%v: the token is kept until %v, want %v", err, tok.Expires, ending.leaf.NotAfter)
		}
		time.Sleep(time.Hour)
		if _, err := source.Token(t.Context()); err == nil {
			t.Error("a token was had with a certificate that has expired")
		}
		if n := l.sts.Requests(); n != 1 {
			t.Errorf("%d requests, want one: the certificate is looked at before anything is sent", n)
		}
	})
}
