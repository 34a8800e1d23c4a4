package tokensource

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
	// key gets a holder-of-key token for the solution user that it is
	// registered for; all of them get a person a holder-of-key token bound to
	// the certificate's key.
	Username, Password string
	Certificate        *tls.Certificate

	// Credentials, if set, is called for each token in place of the three
	// fields above, so that passwords and certificates can change.
	Credentials func(context.Context) (signer.Credentials, error)

	// Lifetime is what is asked for; the service may grant less. 0 means 10
	// minutes. A session outlives the token that it was logged in with.
	Lifetime time.Duration

	// Renewable asks for a token that can be renewed, and renews it as long as the
	// service allows that, ten times by default, instead of asking for another
	// one: that takes the Certificate alone, not the password. It is for
	// holder-of-key tokens below a [Reuse], which asks shortly before the end.
	Renewable bool

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
// (WS-Trust 1.3, Issue). It is safe for concurrent use.
type STS struct {
	cfg *STSConfig
	url *url.URL

	mu      sync.Mutex // guards the fields below
	refused []refusal  // that count, the latest last
	last    *issued    // the token to be renewed; nil: none
}

// issued is a token with the fingerprint of the credentials that got it.
type issued struct {
	tok         *vmsso.Token
	credentials [sha256.Size]byte
}

// mostRefused credentials are remembered at a time.
const mostRefused = 64

type refusal struct {
	credentials [sha256.Size]byte
	until       time.Time
	err         *vmsso.LoginError
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
	fixed := cfg.Username != "" || cfg.Password != "" || cfg.Certificate != nil
	switch {
	case cfg.Lifetime < 0:
		return nil, errors.New("tokensource: STSConfig.Lifetime is negative")
	case (cfg.Username == "") != (cfg.Password == ""):
		return nil, errors.New("tokensource: STSConfig has only one of Username and Password: give both")
	case fixed && cfg.Credentials != nil:
		return nil, errors.New("tokensource: STSConfig has both fixed credentials and the function Credentials: give one")
	case cfg.Credentials == nil:
		c := signer.Credentials{Username: cfg.Username, Password: cfg.Password, Certificate: cfg.Certificate}
		if _, err := signer.New(c); err != nil {
			return nil, fmt.Errorf("tokensource: %w", err)
		}
		cfg.Credentials = func(context.Context) (signer.Credentials, error) { return c, nil }
		cfg.Username, cfg.Password, cfg.Certificate = "", "", nil // fmt shows nothing of a closure
	}
	if cfg.Base == nil {
		cfg.Base = http.DefaultTransport
	}
	if _, ok := cfg.Base.(*vmsso.Transport); ok {
		return nil, errors.New("tokensource: STSConfig.Base is a vmsso.Transport, whose login would need this source's token: give the transport below it")
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = 10 * time.Minute
	}
	if cfg.RefusedWait == 0 {
		cfg.RefusedWait = 3 * time.Minute
	}
	return &STS{cfg: &cfg, url: u}, nil
}

// Token implements [vmsso.TokenSource]. Errors of the service are of type
// [*vmsso.LoginError]. Credentials that the service refused are not sent again
// for a while: a few failures lock an account.
func (s *STS) Token(ctx context.Context) (*vmsso.Token, error) {
	c, err := s.cfg.Credentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("tokensource: the credentials: %w", err)
	}
	id := fingerprint(c)
	if err := s.refusedBefore(id); err != nil {
		return nil, err
	}
	tok, err := s.renew(ctx, c, id)
	if tok == nil && err == nil {
		tok, err = s.issue(ctx, c)
	}
	if err != nil {
		s.note(id, err)
		return nil, err
	}
	if s.cfg.Renewable && tok.Key != nil {
		s.keep(&issued{tok, id})
	}
	return tok, nil
}

// renew renews the last token of these credentials, if there is one that lives. A
// service that does not renew it is asked for another one: then neither a token
// nor an error is returned.
func (s *STS) renew(ctx context.Context, c signer.Credentials, id [sha256.Size]byte) (*vmsso.Token, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil || last.credentials != id || c.Certificate == nil || !time.Now().Before(last.tok.Expires) {
		return nil, nil
	}
	tok, err := s.ask(ctx, "Renew", signer.Credentials{Certificate: c.Certificate}, func(sign *signer.Signer, now time.Time) ([]byte, error) {
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

// issue gets a token for these credentials.
func (s *STS) issue(ctx context.Context, c signer.Credentials) (*vmsso.Token, error) {
	return s.ask(ctx, "Issue", c, func(sign *signer.Signer, now time.Time) ([]byte, error) {
		return sign.Message(issueRequest(sign, now, s.cfg.Lifetime, s.cfg.Renewable && sign.HolderOfKey()), now)
	})
}

// ask makes one request, and reads the token in the answer.
func (s *STS) ask(ctx context.Context, stage string, c signer.Credentials, message func(*signer.Signer, time.Time) ([]byte, error)) (*vmsso.Token, error) {
	call := envelope.Call{URL: s.url, Stage: stage, Action: wsTrust + "/RST/" + stage}
	sign, err := signer.New(c)
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
		le := call.Fail(reply, meaning(reply.Fault), c.Password)
		if le.Err == vmsso.ErrRejected && c.Certificate != nil {
			le.Err = fmt.Errorf("%w: check that the certificate is registered for a solution user, and that this is its key", le.Err)
		}
		return nil, le
	}
	tok, err := readResponse(reply)
	if err == nil {
		if sign.HolderOfKey() {
			tok.Key, _ = c.Certificate.PrivateKey.(crypto.Signer)
		}
		tok, err = withExpiry(tok)
	}
	if err == nil && sign.HolderOfKey() {
		tok.Expires = earlier(tok.Expires, c.Certificate)
	}
	if err == nil && !tok.Expires.IsZero() && reply.ClockOffset < -clockNoise {
		tok.Expires = tok.Expires.Add(-reply.ClockOffset) // the service's clock is behind: by ours the token lives longer
	}
	if err != nil {
		return nil, call.Fail(reply, err)
	}
	return tok, nil
}

// earlier is the end of the token's or the certificate's time, whichever comes
// first: without a valid certificate its key proves nothing.
func earlier(token time.Time, c *tls.Certificate) time.Time {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err == nil && (token.IsZero() || leaf.NotAfter.Before(token)) {
		return leaf.NotAfter
	}
	return token
}

// clockNoise is how far clocks may seem to differ that do not: an answer takes its
// time, and tells the time in seconds.
const clockNoise = 5 * time.Second

// meaning tells what a fault of the service comes down to.
func meaning(f *envelope.Fault) error {
	text := strings.ToLower(f.Text)
	switch {
	case f.Code == "FailedAuthentication" && strings.Contains(text, "locked"):
		return vmsso.ErrLocked
	case f.Code == "FailedAuthentication" && strings.Contains(text, "expired"):
		return vmsso.ErrPasswordExpired
	case f.Code == "FailedAuthentication":
		return vmsso.ErrRejected
	case strings.Contains(text, "signing certificate is not valid"):
		return vmsso.ErrSTSCertificate
	case f.Code == "InvalidTimeRange" || f.Code == "ExpiredData" || f.Code == "RequestExpired":
		return vmsso.ErrClockSkew
	}
	return errors.New("the security token service answered with a fault")
}

// refusedBefore returns the refusal of the same credentials while it is fresh.
func (s *STS) refusedBefore(id [sha256.Size]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.refused = slices.DeleteFunc(s.refused, func(r refusal) bool { return !now.Before(r.until) })
	for _, r := range s.refused {
		if r.credentials == id {
			again := *r.err
			again.Remembered = true
			again.RetryAfter = r.until.Sub(now)
			return &again
		}
	}
	return nil
}

// note remembers a refusal, and that the service cannot sign, which takes a person
// to mend. Network faults and full servers are none.
func (s *STS) note(id [sha256.Size]byte, err error) {
	var le *vmsso.LoginError
	if !errors.Is(err, vmsso.ErrRejected) && !errors.Is(err, vmsso.ErrSTSCertificate) || !errors.As(err, &le) {
		return
	}
	le.RetryAfter = s.cfg.RefusedWait
	if errors.Is(err, vmsso.ErrLocked) {
		le.RetryAfter *= 5
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == mostRefused {
		s.refused = s.refused[1:]
	}
	s.refused = append(s.refused, refusal{id, time.Now().Add(le.RetryAfter), le})
}

// fingerprint tells credentials apart.
func fingerprint(c signer.Credentials) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q%q", c.Username, c.Password)
	if c.Certificate != nil {
		for _, der := range c.Certificate.Certificate {
			fmt.Fprintf(h, "%x.", der)
		}
	}
	if c.Token != nil {
		_, _ = io.WriteString(h, c.Token.Assertion)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

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
	return fmt.Sprintf("STSConfig(host: %s, certificate: %t, password: %t, function: %t)", host, c.Certificate != nil, c.Password != "", c.Credentials != nil)
}
