package vmsso

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/vmsso/vmsso/internal/endpoint"
)

// Config says what a [Transport] logs in to, with which tokens, and how. The
// zero value of each optional field is a good choice.
type Config struct {
	// Endpoint is the system's URL, such as https://vcenter.example.com/sdk.
	// Only requests to its exact origin (scheme, host and port) get the
	// session; the path is for Auth, which says what it does with it. Required.
	Endpoint string

	// Source yields the tokens. Required; see package tokensource.
	Source TokenSource

	// Auth speaks the system's protocol. Required; for instance
	// &soap.Authenticator{}.
	Auth Authenticator

	// Base sends the requests. This is where the CA, a proxy or a pinned
	// certificate goes. Nil means http.DefaultTransport as it is when New runs.
	Base http.RoundTripper

	// Store keeps the session for later processes, and for others that run now. Nil
	// means that it lives in memory, and that Close ends it.
	Store SessionStore

	// Identity tells whose session it is, with Store: the user name, the
	// certificate's fingerprint, and whatever else decides what the session may do,
	// such as the organization in Cloud Director. Who gives another Identity gets
	// another session.
	Identity string

	// StoreKey has 32 random bytes with which the records in Store are encrypted.
	// Nil means that they are in clear; who reads one has the session.
	StoreKey []byte

	// MaxRetries is how often a request that did not happen (no connection,
	// 429, 503 with a Retry-After of 30 s at most) or that is idempotent is
	// repeated. 0 means 2; negative means none, which is the choice where the
	// caller's own code repeats requests around the transport: else both do. A
	// login that was refused is not made again, whoever repeats.
	MaxRetries int

	// LoginTimeout bounds one login, token included. 0 means 30 s.
	LoginTimeout time.Duration

	// ReplayBody is how many bytes of a body without GetBody are remembered,
	// so that the request can be sent again in a new session. 0 means 1 MiB;
	// negative means none, except for the first 4 KiB of XML and JSON, which
	// are read ahead in any case. A longer body is not sent again: the caller
	// gets the server's refusal, and the next request logs in.
	ReplayBody int64

	// ExpectContinue makes requests whose body has at least so many bytes, or an
	// unknown number, ask first (Expect: 100-continue), so that a session that is
	// gone costs no upload. It works if Base waits for the answer, as
	// http.DefaultTransport does (ExpectContinueTimeout). 0 means never.
	ExpectContinue int64

	// KeepAlive is after which time without a request (and up to a fifth more, by
	// chance) the session is kept alive by a call of its own, for as long as
	// requests have used it within twelve times that. 0 means never: a session
	// that has ended is replaced when it is needed, and a server has room for so
	// many only.
	KeepAlive time.Duration

	// MaxAge is after which time a session is replaced even if the server still
	// takes it, such as before a limit that would end it in the middle of the
	// work. What lives in the session, such as views, ends with it. 0 means
	// never.
	MaxAge time.Duration

	// RefusedWait is how long a refused token is not offered again, and a server
	// that has no room for another session not asked for one; five times as long
	// if the account is locked. 0 means 3 minutes, the time in which five
	// failures lock a vCenter account.
	RefusedWait time.Duration

	// AllowOwnLogin passes login requests of the caller's own code through
	// instead of failing them with ErrOwnLogin.
	AllowOwnLogin bool

	// AllowHTTP allows plain http to hosts other than loopback. Everybody on
	// the way can then take over the session.
	AllowHTTP bool

	// Logger gets logins, expiries, replays and logouts. Nil means silence.
	Logger *slog.Logger

	// Trace has functions that are called on the same events. May be nil.
	Trace *Trace
}

// New returns a Transport. It sends nothing: the first request logs in.
func New(cfg Config) (*Transport, error) {
	u, err := endpoint.Parse("vmsso: Config.Endpoint", cfg.Endpoint, cfg.AllowHTTP)
	if err != nil {
		return nil, err
	}
	if cfg.Source == nil {
		return nil, errors.New("vmsso: Config.Source is missing: it says where tokens come from (see package tokensource)")
	}
	if cfg.Auth == nil {
		return nil, errors.New("vmsso: Config.Auth is missing: it says how to log in, for instance &soap.Authenticator{}")
	}
	if cfg.Base == nil {
		cfg.Base = http.DefaultTransport
	}
	origin, _ := endpoint.OriginOf(u) // it has one: Parse took it
	t := &Transport{
		endpoint: u,
		origin:   origin,
		base:     cfg.Base,
		auth:     cfg.Auth,
		source:   cfg.Source,
		cfg:      &cfg,
		events:   newEvents(cfg.Logger, cfg.Trace, u.Host, cfg.Auth),
		refused:  &refusals{wait: orDefault(cfg.RefusedWait, 3*time.Minute)},
		breaker:  &breaker{},
		born:     time.Now(),
		closing:  make(chan struct{}),
		life:     make(chan struct{}),
	}
	if err := t.useStore(); err != nil {
		return nil, err
	}
	if cfg.KeepAlive > 0 {
		t.keeper = &keeper{t: t, every: cfg.KeepAlive}
	}
	if inner, ok := cfg.Base.(*Transport); ok && inner.origin == t.origin {
		return nil, errors.New("vmsso: Config.Base is already a vmsso.Transport for this endpoint: wrap the client once")
	}
	cfg.LoginTimeout = orDefault(cfg.LoginTimeout, 30*time.Second)
	cfg.ReplayBody = max(0, orDefault(cfg.ReplayBody, 1<<20))
	cfg.MaxRetries = max(0, orDefault(cfg.MaxRetries, 2))
	return t, nil
}

// useStore makes the shelf, if there is a store.
func (t *Transport) useStore() error {
	switch {
	case t.cfg.Store == nil && (t.cfg.Identity != "" || t.cfg.StoreKey != nil):
		return errors.New("vmsso: Config.Identity and StoreKey are for a Store, and there is none")
	case t.cfg.Store == nil:
		return nil
	case t.cfg.Identity == "":
		return errors.New("vmsso: Config.Identity is missing: it tells whose session is in the Store (user, certificate, organization), so that nobody takes another's")
	}
	codec, err := newRecordCodec(t.cfg.StoreKey, t.origin.String(), protocolOf(t.auth), t.cfg.Identity)
	t.cfg.StoreKey = nil
	t.shelf = &shelf{t.cfg.Store, codec, t.events}
	return err
}

// Wrap returns a copy of c that is logged in, and the transport that does it,
// which is to be closed. The transport of c becomes Config.Base. A nil c means
// a zero http.Client.
func Wrap(c *http.Client, cfg Config) (*http.Client, *Transport, error) {
	wrapped := &http.Client{}
	if c != nil {
		*wrapped = *c
	}
	if wrapped.Transport != nil {
		if cfg.Base != nil {
			return nil, nil, errors.New("vmsso: both the client's Transport and Config.Base are set: set one")
		}
		cfg.Base = wrapped.Transport
	}
	t, err := New(cfg)
	if err != nil {
		return nil, nil, err
	}
	wrapped.Transport = t
	return wrapped, t, nil
}

// Format writes the endpoint and the protocol, whatever the verb.
func (c Config) Format(f fmt.State, verb rune) { fmt.Fprint(f, c.describe()) }

// LogValue tells the endpoint and the protocol.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.describe()) }

// MarshalJSON is an error: the configuration may hold secrets.
func (c Config) MarshalJSON() ([]byte, error) {
	return nil, errors.New("vmsso: a Config is a secret and is not encoded as JSON")
}

func (c Config) describe() string {
	host := ""
	if u, err := url.Parse(c.Endpoint); err == nil {
		host = u.Host
	}
	return fmt.Sprintf("Config(host: %s, auth: %s, store: %t)", host, protocolOf(c.Auth), c.Store != nil)
}

func orDefault[T time.Duration | int | int64](v, byDefault T) T {
	if v == 0 {
		return byDefault
	}
	return v
}
