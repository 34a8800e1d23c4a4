package tokensource

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/internal/endpoint"
	"github.com/vmsso/vmsso/internal/envelope"
	"github.com/vmsso/vmsso/signer"
)

// STSConfig says which token service to ask, and who asks.
//
// It holds secrets: no fmt verb and no log/slog shows them.
type STSConfig struct {
	// URL is the service's, such as https://vcenter.example.com/sts/STSService.
	// That path is taken if there is none. Required; https, or http on loopback.
	URL string

	// Username and Password get a bearer token; a Certificate with its private
	// key, which may be any crypto.Signer, gets a holder-of-key token for the
	// solution user that it is registered for; all of them get a person a
	// holder-of-key token bound to the certificate's key.
	Username, Password string
	Certificate        *tls.Certificate

	// Token, in place of the three fields above, is the source of a
	// holder-of-key token that gets another one for the same subject and key.
	// It is asked each time. If it is a [vmsso.Refuser], it is told when the
	// service refuses its token.
	Token vmsso.TokenSource

	// Credentials, if set, is called for each token in place of the four
	// fields above, so that passwords and certificates can change.
	Credentials func(context.Context) (signer.Credentials, error)

	// ActAs is the source of a token of somebody on whose behalf the client
	// acts: it gets a holder-of-key token for that subject, which names the
	// client as a delegate. It takes the certificate or token of a solution
	// user who may do that (a member of ActAsUsers), and a token that may be
	// delegated. It is asked each time, and told of refusals as Token is. nil:
	// the client asks for itself.
	ActAs vmsso.TokenSource

	// NotDelegatable asks for a token that cannot be passed on. Systems that
	// log in to others with it, as vSphere Automation does, do not take it.
	NotDelegatable bool

	// Audience names those that the token is for, where they want to be named:
	// a Cloud Director by the entity ID of its organization's SAML metadata.
	// None: the token is for all in the domain.
	Audience []string

	// AppliesTo names the one that the token is for to services that take it
	// from there (WS-Trust 1.3, 4.2). vCenter's knows Audience alone.
	AppliesTo string

	// Lifetime is what is asked for; the service may grant less. 0 means 10
	// minutes. A session outlives the token that it was logged in with.
	Lifetime time.Duration

	// Renewable asks for a token that can be renewed, and renews it as long as the
	// service allows that, ten times by default, instead of asking for another
	// one: that takes the Certificate alone, not the password. It is for
	// holder-of-key tokens below a [Reuse], which asks shortly before the end.
	// Without a Certificate nothing is renewed.
	Renewable bool

	// Signing says how the requests are signed, where there is a key. The zero
	// value is what servers take.
	Signing signer.Options

	// Base sends the requests; nil means http.DefaultTransport. It must not be
	// the vmsso.Transport that is logged in with the tokens.
	Base http.RoundTripper

	// RefusedWait is how long refused credentials are not sent again; others
	// are sent at once. 0 means 3 minutes, and five times as long if the
	// account is locked.
	RefusedWait time.Duration
}

// An STS is a source that gets a new token from a security token service of
// vCenter Single Sign-On each time it is asked, which is once per login
// (WS-Trust 1.3, Issue). It is safe for concurrent use: those who ask at the same
// time get one token between them.
type STS struct {
	cfg     *STSConfig
	url     *url.URL
	lockout lockout

	mu   sync.Mutex // guards the field below
	last *issued    // the token to be renewed; nil: none
}

// issued is a token with what got it.
type issued struct {
	tok *vmsso.Token
	by  fingerprint // as attempt.whole
}

// NewSTS checks the configuration; it sends nothing. Fixed credentials are
// checked as [signer.New] does.
func NewSTS(cfg STSConfig) (*STS, error) {
	u, err := endpoint.Parse("tokensource: STSConfig.URL", cfg.URL, false)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/sts/STSService"
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Credentials = cfg.credentials()
	cfg.Username, cfg.Password, cfg.Certificate = "", "", nil // fmt shows nothing of a closure
	cfg.Audience = slices.Clone(cfg.Audience)
	if cfg.Base == nil {
		cfg.Base = http.DefaultTransport
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 10 * time.Minute
	}
	if cfg.RefusedWait == 0 {
		cfg.RefusedWait = 3 * time.Minute
	}
	return &STS{cfg: &cfg, url: u, lockout: lockout{wait: cfg.RefusedWait}}, nil
}

// check refuses what contradicts itself, or no service takes.
func (c *STSConfig) check() error {
	fixed := c.Username != "" || c.Password != "" || c.Certificate != nil
	_, wrapped := c.Base.(*vmsso.Transport)
	switch {
	case c.Lifetime < 0:
		return errors.New("tokensource: STSConfig.Lifetime is negative")
	case (c.Username == "") != (c.Password == ""):
		return errors.New("tokensource: STSConfig has only one of Username and Password: give both")
	case (fixed || c.Token != nil) && c.Credentials != nil:
		return errors.New("tokensource: STSConfig has both fixed credentials and the function Credentials: give one")
	case fixed && c.Token != nil:
		return errors.New("tokensource: STSConfig has a Token and other credentials: give one")
	case c.ActAs != nil && c.Username != "" && c.Certificate == nil:
		return errors.New("tokensource: STSConfig.ActAs " + needsKey)
	case wrapped:
		return errors.New("tokensource: STSConfig.Base is a vmsso.Transport, whose login would need this source's token: give the transport below it")
	}
	for _, s := range append(slices.Clone(c.Audience), c.AppliesTo) {
		if err := envelope.Valid(s); err != nil {
			return fmt.Errorf("tokensource: STSConfig.Audience or AppliesTo has %w", err)
		}
	}
	if slices.ContainsFunc(c.Audience, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return errors.New("tokensource: STSConfig.Audience has an empty name")
	}
	if c.Credentials != nil || c.Token != nil {
		return nil
	}
	sign, err := c.Signing.New(signer.Credentials{Username: c.Username, Password: c.Password, Certificate: c.Certificate})
	if err == nil {
		err = sign.CheckMessage()
	}
	if err != nil {
		return fmt.Errorf("tokensource: %w", err)
	}
	return nil
}

const needsKey = "takes credentials with a key: give the certificate or the holder-of-key token of a solution user"

// credentials is the function that yields those of the configuration.
func (c *STSConfig) credentials() func(context.Context) (signer.Credentials, error) {
	switch {
	case c.Credentials != nil:
		return c.Credentials
	case c.Token != nil:
		source := c.Token
		return func(ctx context.Context) (signer.Credentials, error) {
			tok, err := source.Token(ctx)
			return signer.Credentials{Token: tok}, usable(tok, err)
		}
	}
	fixed := signer.Credentials{Username: c.Username, Password: c.Password, Certificate: c.Certificate}
	return func(context.Context) (signer.Credentials, error) { return fixed, nil }
}

// Token implements [vmsso.TokenSource]. Errors of the service are of type
// [*vmsso.LoginError]. Credentials that the service refused are not sent again
// for a while: a few failures lock an account. A service that named a time in
// Retry-After is left alone until then.
func (s *STS) Token(ctx context.Context) (*vmsso.Token, error) {
	a, err := s.attempt(ctx)
	if err != nil {
		return nil, err
	}
	return s.lockout.once(ctx, a, func() (*vmsso.Token, error) {
		tok, err := s.renew(ctx, a)
		if tok == nil && err == nil {
			tok, err = s.issue(ctx, a)
		}
		switch {
		case err != nil:
			s.tell(a, err)
			return nil, err
		case s.renewable(a):
			s.keep(&issued{tok, a.whole})
		}
		return tok, nil
	})
}

// tell tells the source of the token that the service refused.
func (s *STS) tell(a *attempt, err error) {
	source, tok := s.cfg.Token, a.credentials.Token
	if errors.Is(err, errActAs) {
		source, tok = s.cfg.ActAs, a.actAs
	}
	if r, ok := source.(vmsso.Refuser); ok && errors.Is(err, vmsso.ErrRejected) {
		r.Refused(tok, err)
	}
}

func (s *STS) renewable(a *attempt) bool { return s.cfg.Renewable && a.credentials.Certificate != nil }

// renew renews the last token of these credentials, if there is one that lives. A
// service that does not renew it is asked for another one: then neither a token
// nor an error is returned.
func (s *STS) renew(ctx context.Context, a *attempt) (*vmsso.Token, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil || last.by != a.whole || !time.Now().Round(0).Before(last.tok.Expires) {
		return nil, nil
	}
	alone := &attempt{credentials: signer.Credentials{Certificate: a.credentials.Certificate}}
	tok, err := s.ask(ctx, "Renew", alone, func(sign *signer.Signer, now time.Time) ([]byte, error) {
		return sign.RawMessage(renewRequest(sign, now, s.cfg.Lifetime, last.tok.Assertion), now)
	})
	var le *vmsso.LoginError
	if errors.As(err, &le) && le.Fault != "" {
		s.keep(nil)
		return nil, nil
	}
	return tok, err
}

func (s *STS) keep(last *issued) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
}

// drop does not renew a token that was refused: what it says is repeated by a
// renewed one.
func (s *STS) drop(tok *vmsso.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && s.last.tok == tok {
		s.last = nil
	}
}

// issue gets a token for these credentials.
func (s *STS) issue(ctx context.Context, a *attempt) (*vmsso.Token, error) {
	return s.ask(ctx, "Issue", a, func(sign *signer.Signer, now time.Time) ([]byte, error) {
		switch {
		case a.credentials.Token != nil && !sign.HolderOfKey():
			return nil, fmt.Errorf("%w: it is a bearer token, which gets no other one: give a holder-of-key token with its key", vmsso.ErrUnsupportedToken)
		case a.actAs == nil:
			return sign.Message(issueRequest(sign, now, s.cfg, s.renewable(a), nil), now)
		case !sign.HolderOfKey():
			return nil, errors.New("to act for somebody " + needsKey)
		}
		if _, err := signer.ParseAssertion(a.actAs.Assertion); err != nil { // it becomes a part of the message
			return nil, fmt.Errorf("the token to act for: %w", err)
		}
		return sign.RawMessage(issueRequest(sign, now, s.cfg, s.renewable(a), a.actAs), now)
	})
}

// ask makes one request, and reads the token in the answer.
func (s *STS) ask(ctx context.Context, stage string, a *attempt, message func(*signer.Signer, time.Time) ([]byte, error)) (*vmsso.Token, error) {
	call := envelope.Call{URL: s.url, Stage: stage, Action: wsTrust + "/RST/" + stage}
	sign, err := s.cfg.Signing.New(a.credentials)
	if err != nil {
		return nil, call.Fail(nil, err)
	}
	if call.Message, err = message(sign, time.Now()); err != nil {
		return nil, call.Fail(nil, err)
	}
	reply, err := call.Do(ctx, s.cfg.Base)
	if err != nil {
		return nil, err
	}
	if reply.Fault != nil {
		return nil, call.Fail(reply, meaning(reply.Fault, a), a.secrets()...)
	}
	tok, err := readResponse(reply)
	if err == nil {
		err = bind(tok, a.key())
	}
	if err != nil {
		return nil, call.Fail(reply, err)
	}
	if !tok.Expires.IsZero() && reply.ClockOffset < -clockNoise {
		tok.Expires = tok.Expires.Add(-reply.ClockOffset) // the service's clock is behind: by ours the token lives longer
	}
	return tok, nil
}

// clockNoise is how far clocks may seem to differ that do not: an answer takes its
// time, and tells the time in seconds.
const clockNoise = 5 * time.Second

// Format writes the URL and the kind of credentials, whatever the verb.
func (c STSConfig) Format(f fmt.State, verb rune) { fmt.Fprint(f, c.describe()) }

// LogValue tells the URL and the kind of credentials.
func (c STSConfig) LogValue() slog.Value { return slog.StringValue(c.describe()) }

// MarshalJSON is an error: the configuration holds secrets.
func (c STSConfig) MarshalJSON() ([]byte, error) {
	return nil, errors.New("tokensource: an STSConfig is a secret and is not encoded as JSON")
}

func (c STSConfig) describe() string {
	host := ""
	if u, err := url.Parse(c.URL); err == nil {
		host = u.Host
	}
	return fmt.Sprintf("STSConfig(host: %s, certificate: %t, password: %t, token: %t, function: %t)", host, c.Certificate != nil, c.Password != "", c.Token != nil, c.Credentials != nil)
}
