package tokensource_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// holder and bearer are tokens of the lab's service: of the solution user and of
// the person.
func (l *stsLab) holder(t *testing.T) *vmsso.Token {
	t.Helper()
	return l.token(t, tokensource.STSConfig{Certificate: &l.pair})
}

func (l *stsLab) bearer(t *testing.T) *vmsso.Token {
	t.Helper()
	return l.token(t, tokensource.STSConfig{Username: user, Password: password})
}

func (l *stsLab) token(t *testing.T, cfg tokensource.STSConfig) *vmsso.Token {
	t.Helper()
	tok, err := l.source(t, cfg).Token(t.Context())
	if err != nil {
		t.Fatalf("%v; the service says %q", err, l.sts.Reasons())
	}
	return tok
}

// last is what the service issued last.
func (l *stsLab) last() vmssotest.Issued { return l.issued[len(l.issued)-1] }

// A supply is a source whose token can be changed. It hears of refusals.
type supply struct {
	mu      sync.Mutex
	tok     *vmsso.Token
	err     error
	refused []*vmsso.Token
}

func (s *supply) Token(context.Context) (*vmsso.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tok, s.err
}

func (s *supply) Refused(tok *vmsso.Token, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, vmsso.ErrRejected) {
		panic(err)
	}
	s.refused = append(s.refused, tok)
}

func TestHolderOfKeyTokenGetsAnother(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	proof := l.token(t, tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair, Lifetime: time.Hour})
	for name, cfg := range map[string]tokensource.STSConfig{
		"source": {Token: &supply{tok: proof}},
		"function": {Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Token: proof}, nil
		}},
		"renewable": {Token: tokensource.Static(proof), Renewable: true},
	} {
		s := l.source(t, cfg)
		for range 2 {
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatalf("%s: %v; the service says %q", name, err, l.sts.Reasons())
			}
			i := l.last()
			if i.Subject != user || !i.Holder.Equal(l.pair.Leaf) || i.Renewable || l.sts.Renewed() != 0 {
				t.Errorf("%s: issued %+v", name, i.Claims)
			}
			if tok.Key != proof.Key || tok.Assertion == proof.Assertion {
				t.Errorf("%s: the same key %t, the same token %t", name, tok.Key == proof.Key, tok.Assertion == proof.Assertion)
			}
			if _, err := signer.New(signer.Credentials{Token: tok}); err != nil {
				t.Errorf("%s: the token is of no use: %v", name, err)
			}
			if message := string(i.Message); !strings.Contains(message, proof.Assertion) || strings.Contains(message, "BinarySecurityToken") || strings.Contains(message, "UsernameToken") {
				t.Errorf("%s: the message has not the token alone: %s", name, message)
			}
		}
	}
}

func TestTokenThatGetsNoOtherIsNotSent(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	holder, bearer := l.holder(t), l.bearer(t)
	down := errors.New("the vault is down")
	expired := *holder
	expired.Expires = time.Now().Add(-time.Second)
	other := vmssotest.NewKeyPair("other", nil).PrivateKey.(crypto.Signer)
	asked := l.sts.Requests()
	for _, tc := range []struct {
		name string
		src  *supply
		want error
		says string
	}{
		{"bearer", &supply{tok: bearer}, vmsso.ErrUnsupportedToken, "bearer token, which gets no other one"},
		{"without its key", &supply{tok: &vmsso.Token{Assertion: holder.Assertion}}, vmsso.ErrUnsupportedKey, "give its private key"},
		{"with another key", &supply{tok: &vmsso.Token{Assertion: holder.Assertion, Key: other}}, vmsso.ErrUnsupportedKey, "not the key"},
		{"expired", &supply{tok: &expired}, vmsso.ErrTokenExpired, "has expired at"},
		{"none", &supply{}, vmsso.ErrUnsupportedToken, "the source returned none"},
		{"empty", &supply{tok: &vmsso.Token{}}, vmsso.ErrUnsupportedToken, "the source returned none"},
		{"no XML", &supply{tok: &vmsso.Token{Assertion: "s3cr3t"}}, vmsso.ErrUnsupportedToken, "does not begin with"},
		{"a source that fails", &supply{err: down}, down, "the credentials: the vault is down"},
	} {
		for field, cfg := range map[string]tokensource.STSConfig{
			"Token": {Token: tc.src},
			"Credentials": {Credentials: func(ctx context.Context) (signer.Credentials, error) {
				tok, err := tc.src.Token(ctx)
				return signer.Credentials{Token: tok}, err
			}},
		} {
			if tc.name == "none" && field == "Credentials" {
				continue // which may have meant something else
			}
			if _, err := l.source(t, cfg).Token(t.Context()); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s, %s: got %v, want %q", field, tc.name, err, tc.says)
			}
		}
		if len(tc.src.refused) > 0 {
			t.Errorf("%s: the source was told of a refusal, and there was none", tc.name)
		}
	}
	if n := l.sts.Requests() - asked; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// The source of a refused token is told, the token is not sent again, and another
// one is sent at once. Of other faults the source hears nothing.
func TestSourceIsToldOfARefusedToken(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		good, person := l.holder(t), l.bearer(t)
		foreign := newSTSLab(t, vmssotest.NewAuthority(), l.pair)
		bad, badPerson := foreign.holder(t), foreign.bearer(t)
		for name, tc := range map[string]struct {
			good, bad *vmsso.Token
			cfg       func(*supply) tokensource.STSConfig
		}{
			"Token": {good, bad, func(s *supply) tokensource.STSConfig { return tokensource.STSConfig{Token: s} }},
			"ActAs": {person, badPerson, func(s *supply) tokensource.STSConfig {
				return tokensource.STSConfig{Certificate: &l.pair, ActAs: s}
			}},
			"ActAs, by a token": {person, badPerson, func(s *supply) tokensource.STSConfig {
				return tokensource.STSConfig{Token: tokensource.Static(good), ActAs: s}
			}},
		} {
			src := &supply{tok: tc.bad}
			s := l.source(t, tc.cfg(src))
			asked := l.sts.Requests()
			for range 5 {
				if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) {
					t.Errorf("%s: got %v, want ErrRejected", name, err)
				}
			}
			if n := l.sts.Requests() - asked; n != 1 || !slices.Equal(src.refused, []*vmsso.Token{tc.bad}) {
				t.Errorf("%s: %d requests, %d refusals told, want one each", name, n, len(src.refused))
			}
			src.tok = tc.good
			l.sts.Inject("Issue", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(503) })
			if _, err := s.Token(t.Context()); err == nil || len(src.refused) != 1 {
				t.Errorf("%s: %v, %d refusals told: a busy service is none", name, err, len(src.refused))
			}
			if _, err := s.Token(t.Context()); err != nil {
				t.Errorf("%s: the other token: %v; the service says %q", name, err, l.sts.Reasons())
			}
		}
	})
}

// The certificate is refused, not the person's token: its source hears nothing,
// and another one does not make the certificate any better.
func TestRefusedCertificateIsNotBlamedOnTheTokenToActFor(t *testing.T) {
	stranger := vmssotest.NewKeyPair("stranger", nil)
	bubble(t, func(t *testing.T, l *stsLab) {
		src := &supply{tok: l.bearer(t)}
		s := l.source(t, tokensource.STSConfig{Certificate: &stranger, ActAs: src})
		asked := l.sts.Requests()
		for range 5 {
			if _, err := s.Token(t.Context()); !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(err.Error(), "registered for a solution user") {
				t.Errorf("got %v, want ErrRejected for the certificate", err)
			}
			time.Sleep(time.Second)
			src.tok = l.bearer(t)
			asked++
		}
		if n := l.sts.Requests() - asked; n != 1 || len(src.refused) != 0 || l.sts.Failures() != 1 {
			t.Errorf("%d requests, %d refusals told, %d failures, want 1, 0 and 1", n, len(src.refused), l.sts.Failures())
		}
	})
}

// The solution user acts for the person: the token is the person's, bound to the
// solution user's key, and says who the delegate is.
func TestActAs(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	other := vmssotest.NewKeyPair("alices", nil)
	for name, tc := range map[string]struct {
		person tokensource.STSConfig // who gets the token to act for
		client tokensource.STSConfig
	}{
		"certificate, bearer token":        {tokensource.STSConfig{Username: user, Password: password}, tokensource.STSConfig{Certificate: &l.pair}},
		"certificate, holder-of-key token": {tokensource.STSConfig{Username: user, Password: password, Certificate: &other}, tokensource.STSConfig{Certificate: &l.pair}},
		"token":                            {tokensource.STSConfig{Username: user, Password: password}, tokensource.STSConfig{Token: l.source(t, tokensource.STSConfig{Certificate: &l.pair})}},
		"function": {tokensource.STSConfig{Username: user, Password: password}, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Certificate: &l.pair}, nil
		}}},
	} {
		person := l.token(t, tc.person)
		id := l.last().ID
		tc.client.ActAs = tokensource.Static(person)
		tok := l.token(t, tc.client)
		i := l.last()
		if i.Subject != user || i.ActAs != id || !slices.Equal(i.Delegates, []string{"solution"}) || !i.Holder.Equal(l.pair.Leaf) || i.Delegations != 9 {
			t.Errorf("%s: issued %+v for %q", name, i.Claims, i.ActAs)
		}
		if tok.Key != l.pair.PrivateKey || !strings.Contains(string(i.Message), `<wst14:ActAs xmlns:wst14="http://docs.oasis-open.org/ws-sx/ws-trust/200802">`+person.Assertion+`</wst14:ActAs>`) {
			t.Errorf("%s: not the solution user's key, or the token was not sent as it is", name)
		}
		if tok.Expires.After(person.Expires.Add(time.Second)) {
			t.Errorf("%s: expires %v, after the token that it is made from: %v", name, tok.Expires, person.Expires)
		}
	}
}

// Each time that it is passed on, a token may be passed on once less.
func TestActAsChain(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	tok := l.bearer(t)
	for n := range 10 {
		tok = l.token(t, tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(tok)})
		if i := l.last(); i.Delegations != 9-n || len(i.Delegates) != n+1 || i.Subject != user {
			t.Fatalf("after %d: %+v", n+1, i.Claims)
		}
	}
	_, err := l.source(t, tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(tok)}).Token(t.Context())
	if !errors.Is(err, vmsso.ErrRejected) || !strings.Contains(l.sts.Reasons()[0], "not delegatable, or not any more") {
		t.Errorf("an eleventh time: %v", err)
	}
}

func TestActAsThatCannotBe(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	person := l.bearer(t)
	firm := l.token(t, tokensource.STSConfig{Username: user, Password: password, NotDelegatable: true})
	if i := l.last(); i.Delegatable || i.Delegations != 0 {
		t.Errorf("NotDelegatable got %+v", i.Claims)
	}
	down := errors.New("the vault is down")
	expired := *person
	expired.Expires = time.Now().Add(-time.Second)
	for _, tc := range []struct {
		name string
		cfg  tokensource.STSConfig
		sent int
		want error
		says string
	}{
		{"not delegatable", tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(firm)}, 1, vmsso.ErrRejected, "may be delegated"},
		{"tampered with", tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(&vmsso.Token{
			Assertion: strings.Replace(person.Assertion, ">alice@", ">admin@", 1),
		})}, 1, vmsso.ErrRejected, "is of this domain"},
		{"a person with a certificate", tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair, ActAs: tokensource.Static(person)}, 1, vmsso.ErrRejected, "ActAsUsers"},
		{"a delegate", tokensource.STSConfig{
			Token: l.source(t, tokensource.STSConfig{Certificate: &l.pair, ActAs: tokensource.Static(person)}), ActAs: tokensource.Static(l.bearer(t)),
		}, 2, vmsso.ErrRejected, "may act for others"},
		{"by password", tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Username: user, Password: password}, nil
		}, ActAs: tokensource.Static(person)}, 0, nil, "to act for somebody takes credentials with a key"},
		{"expired", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{tok: &expired}}, 0, vmsso.ErrTokenExpired, "the token to act for: the token has expired at"},
		{"none", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{}}, 0, vmsso.ErrUnsupportedToken, "the token to act for"},
		{"a source that fails", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{err: down}}, 0, down, "the token to act for: the vault is down"},
		{"no XML", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{tok: &vmsso.Token{Assertion: "s3cr3t"}}}, 0, vmsso.ErrUnsupportedToken, "the token to act for"},
		{"markup behind it", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{tok: &vmsso.Token{
			Assertion: person.Assertion + "</wst14:ActAs><wst14:ActAs>",
		}}}, 0, vmsso.ErrUnsupportedToken, "the token to act for"},
		{"two tokens", tokensource.STSConfig{Certificate: &l.pair, ActAs: &supply{tok: &vmsso.Token{Assertion: person.Assertion + firm.Assertion}}}, 0, vmsso.ErrUnsupportedToken, "second element"},
	} {
		asked := l.sts.Requests()
		_, err := l.source(t, tc.cfg).Token(t.Context())
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want %v that says %q", tc.name, err, tc.want, tc.says)
		}
		if n := l.sts.Requests() - asked; n != tc.sent {
			t.Errorf("%s: %d requests, want %d", tc.name, n, tc.sent)
		}
	}
}

// A token that was got for one person is not renewed for another.
func TestTokenForOnePersonIsNotRenewedForAnother(t *testing.T) {
	bubble(t, func(t *testing.T, l *stsLab) {
		renewablePerson := func() *vmsso.Token {
			return l.token(t, tokensource.STSConfig{Username: user, Password: password, Certificate: &l.pair, Renewable: true, Lifetime: time.Hour})
		}
		src := &supply{tok: renewablePerson()}
		first := l.last().ID
		s := renewable(t, l, tokensource.STSConfig{Certificate: &l.pair, ActAs: src})
		ask := func() vmssotest.Issued {
			t.Helper()
			if _, err := s.Token(t.Context()); err != nil {
				t.Fatalf("%v; the service says %q", err, l.sts.Reasons())
			}
			return l.last()
		}
		if i := ask(); i.ActAs != first || i.Renewed != "" {
			t.Errorf("for %q, renewed %q", i.ActAs, i.Renewed)
		}
		if i := ask(); i.Renewed == "" || !slices.Equal(i.Delegates, []string{"solution"}) {
			t.Errorf("not renewed: %+v", i.Claims)
		}
		src.tok = renewablePerson()
		second := l.last().ID
		if i := ask(); i.ActAs != second || i.Renewed != "" {
			t.Errorf("for %q, renewed %q, want another one for %q", i.ActAs, i.Renewed, second)
		}
	})
}

func TestBadWishesAreRefused(t *testing.T) {
	pair := vmssotest.NewKeyPair("solution", nil)
	token := &supply{}
	for name, tc := range map[string]struct {
		cfg  tokensource.STSConfig
		want string
	}{
		"Token and password":       {tokensource.STSConfig{Token: token, Username: user, Password: password}, "Token and other credentials"},
		"Token and certificate":    {tokensource.STSConfig{Token: token, Certificate: &pair}, "Token and other credentials"},
		"Token and function":       {tokensource.STSConfig{Token: token, Credentials: func(context.Context) (signer.Credentials, error) { return signer.Credentials{}, nil }}, "give one"},
		"ActAs by password":        {tokensource.STSConfig{Username: user, Password: password, ActAs: token}, "ActAs takes credentials with a key"},
		"ActAs alone":              {tokensource.STSConfig{ActAs: token}, "Credentials are empty"},
		"empty audience":           {tokensource.STSConfig{Certificate: &pair, Audience: []string{"urn:a", " "}}, "Audience has an empty name"},
		"audience with a control":  {tokensource.STSConfig{Certificate: &pair, Audience: []string{"urn:\x01"}}, "control character"},
		"AppliesTo with a control": {tokensource.STSConfig{Certificate: &pair, AppliesTo: "urn:\x01"}, "control character"},
	} {
		tc.cfg.URL = stsURL
		if _, err := tokensource.NewSTS(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want an error that says %q", name, err, tc.want)
		}
	}
}

// The configuration and the source show nothing of passwords and tokens.
func TestSTSShowsNoTokens(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	holder, person := l.holder(t), l.bearer(t)
	cfg := tokensource.STSConfig{URL: stsURL, Token: tokensource.Reuse(tokensource.Static(holder), 0), ActAs: tokensource.Static(person)}
	source := l.source(t, cfg)
	if _, err := source.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for name, v := range map[string]any{"config": cfg, "pointer": &cfg, "inside": struct{ C tokensource.STSConfig }{cfg}, "source": source} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range []string{holder.Assertion, person.Assertion} {
				if strings.Contains(text, secret[:20]) || strings.Contains(text, fmt.Sprintf("%x", secret[:20])) {
					t.Errorf("%s of the %s shows a token: %.300s", verb, name, text)
				}
			}
		}
	}
	if b, err := json.Marshal(cfg); err == nil {
		t.Errorf("JSON: %s", b)
	}
}
