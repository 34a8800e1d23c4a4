package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

const (
	user     = "alice@vsphere.local"
	password = "s3cr3t"

	tokenLife = 5 * time.Second
)

// A tokenService issues holder-of-key tokens to the vSphere clients, which share
// one, and meets faults. It is their source too: the one below a Reuser.
type tokenService struct {
	*tokensource.STS
	soak     *soak
	dice     *dice
	server   *vmssotest.STS
	network  network
	listener *vmssotest.Server
	base     *http.Transport
	faults   atomic.Int64 // that a request does not survive
	failed   atomic.Int64 // requests
}

func (s *soak) startTokens(authority *vmssotest.Authority, pair *tls.Certificate) (*tokenService, error) {
	t := &tokenService{soak: s, dice: s.dice(-1)}
	t.server = vmssotest.NewSTS(vmssotest.STSConfig{
		Authority:     authority,
		Users:         map[string]string{user: password},
		SolutionUsers: map[string]*x509.Certificate{"soak": pair.Leaf},
	})
	t.server.Inject("", -1, t.serve)
	t.listener = vmssotest.Listen(t.server)
	t.base = s.newBase(t.listener, &t.network, true)
	var err error
	t.STS, err = tokensource.NewSTS(tokensource.STSConfig{
		URL: t.listener.URL, Username: user, Password: password, Certificate: pair, Lifetime: tokenLife, Base: t.base,
	})
	return t, err
}

// Token judges the errors of the service.
func (t *tokenService) Token(ctx context.Context) (*vmsso.Token, error) {
	before := t.faults.Load() // one request at a time: the Reuser sees to it
	tok, err := t.STS.Token(ctx)
	if err != nil {
		t.failed.Add(1)
		if t.faults.Load() == before {
			t.soak.count.fail(fmt.Sprintf("a token was not issued, without a cause: %v", err))
		}
	}
	return tok, err
}

func (t *tokenService) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	f := t.dice.draw(10*t.soak.share(), ofTokens())
	if f != none && f != late {
		t.faults.Add(1)
	}
	if f == dropped {
		reset(w)
	}
	if !answerInstead(f, w, "") {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		deliver(f, w, r, answer)
	}
}

// A provider is the identity provider of the Cloud Director's organization.
type provider struct {
	authority *vmssotest.Authority
	pair      *tls.Certificate
}

func (p *provider) Token(context.Context) (*vmsso.Token, error) {
	expires := time.Now().Add(tokenLife)
	assertion := p.authority.Issue(vmssotest.Claims{Subject: "bob@example.com", Holder: p.pair.Leaf, NotOnOrAfter: expires})
	return &vmsso.Token{Assertion: assertion, Expires: expires, Key: p.pair.PrivateKey.(crypto.Signer)}, nil
}
