package tokensource

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vmsso/vmsso"
)

// FileConfig names the files of a token.
//
// It may hold a password: no fmt verb and no log/slog shows it.
type FileConfig struct {
	// Token is the path of the assertion: XML, UTF-8, with or without an XML
	// declaration. Required.
	Token string

	// Certificate and Key are the paths of the PEM key pair of a holder-of-key
	// token. An empty Key means that the key is in the Certificate's file.
	Certificate, Key string

	// PKCS12 is the path of both in one file, in place of Certificate and Key;
	// see [PKCS12]. All three are empty for a bearer token. Password is the
	// file's, or PasswordFile is the path of it, in which a line feed at the end
	// does not count; both are empty if it has none.
	PKCS12                 string
	Password, PasswordFile string

	// Poll is for how long a token is returned without a look at the files, and
	// so how late a change may be noticed. 0 means 30 s; negative means a look
	// each time. A token that has expired or was refused is looked for at once.
	Poll time.Duration

	// Strict refuses a private key, a password and a bearer token that others
	// than the file's owner may read or write, instead of a warning to Logger.
	// The permissions of Windows are not looked at.
	Strict bool

	// Logger gets a warning of files that others may read, and one of a content
	// that cannot be used while the token before it serves. Nil means silence.
	Logger *slog.Logger
}

const (
	maxFile     = 1 << 20 // bytes of each file
	defaultPoll = 30 * time.Second
)

// A File is a source that reads a token from files which another program
// replaces: an agent, or Kubernetes with a Secret's volume. It is safe for
// concurrent use.
//
// The files are one whole. What decides is their content, not their times: it is
// taken if it stayed the same while it was read, the key is that of the
// certificate and of the token, and the token lives. Otherwise the token before
// serves for as long as it lives. What Kubernetes mounts is read from one
// version of its volume.
type File struct {
	cfg      *FileConfig
	password func() string // this and the token are in closures, in which fmt sees nothing

	again atomic.Bool   // the files are to be read whatever the time
	turn  chan struct{} // a lock that a context ends; it guards the fields below

	kept    func() *vmsso.Token // the token that serves, or nil
	content [sha256.Size]byte   // of the files that it was read from
	looked  time.Time           // when the files were last read
	broken  [sha256.Size]byte   // of the files that were last warned of
	exposed string              // which files others may read, as it was last warned of
}

// NewFile returns a source of the token in these files. It reads them once and
// returns an error if they cannot be used; one that wraps
// [vmsso.ErrTokenExpired] if the token has expired, because nothing here can
// renew it.
func NewFile(cfg FileConfig) (*File, error) {
	switch {
	case cfg.Token == "":
		return nil, errors.New("tokensource: FileConfig.Token is missing: give the path of the assertion")
	case cfg.PKCS12 != "" && (cfg.Certificate != "" || cfg.Key != ""):
		return nil, errors.New("tokensource: FileConfig has both PKCS12 and Certificate or Key: give one of them")
	case cfg.Key != "" && cfg.Certificate == "":
		return nil, errors.New("tokensource: FileConfig.Key is set without Certificate: give both, or neither for a bearer token")
	case cfg.PKCS12 == "" && (cfg.Password != "" || cfg.PasswordFile != ""):
		return nil, errors.New("tokensource: FileConfig has a password without PKCS12, whose password it is")
	case cfg.Password != "" && cfg.PasswordFile != "":
		return nil, errors.New("tokensource: FileConfig has both Password and PasswordFile: give one of them")
	}
	password := cfg.Password
	cfg.Password, cfg.Poll = "", cmp.Or(cfg.Poll, defaultPoll)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	f := &File{
		cfg:      &cfg,
		password: func() string { return password },
		turn:     make(chan struct{}, 1),
		kept:     func() *vmsso.Token { return nil },
	}
	if _, err := f.Token(context.Background()); err != nil {
		return nil, err
	}
	return f, nil
}

// Token implements [vmsso.TokenSource]. It returns the same pointer as long as
// the files have the same content. Those who ask while the files are read wait,
// each until its context ends.
func (f *File) Token(ctx context.Context) (*vmsso.Token, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	now := time.Now().Round(0) // by the wall clock, which goes on while a machine sleeps
	kept := f.kept()
	lives := kept != nil && expired(kept, now) == nil
	age := now.Sub(f.looked)
	if again := f.again.Swap(false); lives && !again && 0 <= age && age < f.cfg.Poll {
		return kept, nil
	}
	tok, content, err := f.settled(ctx, now, filePaths.read)
	f.looked = now
	switch {
	case err == nil:
		f.kept, f.content = func() *vmsso.Token { return tok }, content
		return tok, nil
	case lives:
		f.warnBroken(ctx, content, kept, err)
		return kept, nil
	case kept != nil && content != f.content:
		return nil, fmt.Errorf("tokensource: %w, and what is in its place cannot be used: %w", expired(kept, now), err)
	}
	return nil, err
}

// warnBroken warns once of a content.
func (f *File) warnBroken(ctx context.Context, content [sha256.Size]byte, kept *vmsso.Token, err error) {
	if f.broken != content {
		f.cfg.Logger.WarnContext(ctx, "token files cannot be used, the token before them serves",
			"file", f.cfg.Token, "error", err, "expires", kept.Expires)
	}
	f.broken = content
}

// Refused implements [vmsso.Refuser]: the next token is looked for in the files,
// whatever the time.
func (f *File) Refused(*vmsso.Token, error) { f.again.Store(true) }

// expired returns an error if the token has expired.
func expired(tok *vmsso.Token, now time.Time) error {
	if tok.Expires.IsZero() || now.Before(tok.Expires) {
		return nil
	}
	return fmt.Errorf("%w at %s", vmsso.ErrTokenExpired, tok.Expires.UTC().Format(time.RFC3339))
}

// Format writes the paths, whatever the verb.
func (c FileConfig) Format(f fmt.State, verb rune) { fmt.Fprint(f, c.describe()) }

// LogValue tells the paths.
func (c FileConfig) LogValue() slog.Value { return slog.StringValue(c.describe()) }

// MarshalJSON is an error: the configuration may hold a password.
func (c FileConfig) MarshalJSON() ([]byte, error) {
	return nil, errors.New("tokensource: a FileConfig is a secret and is not encoded as JSON")
}

func (c FileConfig) describe() string {
	return fmt.Sprintf("FileConfig(token: %s, certificate: %s, key: %s, PKCS#12: %s, password: %t)",
		c.Token, c.Certificate, c.Key, c.PKCS12, c.Password != "" || c.PasswordFile != "")
}

var _ vmsso.Refuser = (*File)(nil)
