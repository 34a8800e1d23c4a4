package tokensource

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vmsso/vmsso"
)

// FileConfig names the files of a token.
type FileConfig struct {
	// Token is the path of the assertion: XML, UTF-8, with or without an XML
	// declaration. Required.
	Token string

	// Certificate and Key are the paths of the PEM key pair of a holder-of-key
	// token. An empty Key means that the key is in the Certificate's file. Both
	// are empty for a bearer token.
	Certificate, Key string
}

// maxFile bounds each file, in bytes.
const maxFile = 1 << 20

// A File is a source that reads a token from files each time it is asked, which
// is once per login: it yields what another program has put there meanwhile. It
// is safe for concurrent use.
type File struct {
	cfg FileConfig
}

// NewFile returns a source of the token in these files. It reads them once and
// returns an error if they cannot be used; one that wraps
// [vmsso.ErrTokenExpired] if the token has expired, because nothing here can
// renew it.
func NewFile(cfg FileConfig) (*File, error) {
	switch {
	case cfg.Token == "":
		return nil, errors.New("tokensource: FileConfig.Token is missing: give the path of the assertion")
	case cfg.Key != "" && cfg.Certificate == "":
		return nil, errors.New("tokensource: FileConfig.Key is set without Certificate: give both, or neither for a bearer token")
	}
	f := &File{cfg}
	_, err := f.Token(context.Background())
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Token implements [vmsso.TokenSource].
func (f *File) Token(context.Context) (*vmsso.Token, error) {
	text, err := readFile(f.cfg.Token)
	if err != nil {
		return nil, err
	}
	tok := &vmsso.Token{Assertion: trimXML(text)}
	if f.cfg.Certificate != "" {
		if tok.Key, err = f.key(); err != nil {
			return nil, err
		}
	}
	tok, err = check(tok)
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, f.cfg.Token)
	}
	if !tok.Expires.IsZero() && !time.Now().Before(tok.Expires) {
		return nil, fmt.Errorf("tokensource: %w at %s: put a fresh one into %s", vmsso.ErrTokenExpired, tok.Expires.UTC().Format(time.RFC3339), f.cfg.Token)
	}
	return tok, nil
}

// key reads the PEM key pair and checks that it is one.
func (f *File) key() (crypto.Signer, error) {
	certPEM, err := readFile(f.cfg.Certificate)
	if err != nil {
		return nil, err
	}
	keyPEM, keyFile := certPEM, f.cfg.Certificate
	if f.cfg.Key != "" {
		keyFile = f.cfg.Key
		if keyPEM, err = readFile(keyFile); err != nil {
			return nil, err
		}
	}
	if bytes.Contains(keyPEM, []byte("ENCRYPTED")) {
		return nil, fmt.Errorf("tokensource: %w: the key in %s is encrypted: decrypt it, for instance with openssl pkey", vmsso.ErrUnsupportedKey, keyFile)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w: certificate %s with key %s: %s", vmsso.ErrUnsupportedKey, f.cfg.Certificate, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("tokensource: %w: the key in %s cannot sign", vmsso.ErrUnsupportedKey, keyFile)
	}
	return key, nil
}

// trimXML removes what an editor or a tool puts around an assertion: a byte
// order mark, an XML declaration, white space. The assertion stays as it is.
func trimXML(b []byte) string {
	s := strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff"))
	if strings.HasPrefix(s, "<?xml ") {
		if _, rest, ok := strings.Cut(s, "?>"); ok {
			s = strings.TrimSpace(rest)
		}
	}
	return s
}

// readFile reads a regular file of bounded size. It does not wait for a pipe
// or read a device.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokensource: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("tokensource: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("tokensource: %w", err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("tokensource: %s is longer than %d bytes", path, maxFile)
	}
	return b, nil
}
