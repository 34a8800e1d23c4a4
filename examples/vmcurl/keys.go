package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
)

// keys are what a user proves with. Nobody is asked for a password before it is
// needed, which in a session that is kept is never.
type keys struct {
	user    string
	pair    *tls.Certificate // of PEM files; nil: none, or in p12
	p12     []byte
	p12File string
	id      string // tells certificates apart, without a password
	asks    bool   // a password is not given

	password func(ctx context.Context, question string) (string, error)
	ask      func(ctx context.Context, question string) (string, error)

	// knock is called before somebody is asked: nobody types a password for a
	// server that is not there, or is not trusted.
	knock func(context.Context) error
}

func readKeys(o *options, sys *system) (*keys, error) {
	k := &keys{user: o.user, p12File: o.p12, id: noCertificate, knock: func(context.Context) error { return nil }}
	k.ask = func(ctx context.Context, question string) (string, error) {
		if err := k.knock(ctx); err != nil {
			return "", err
		}
		return sys.ask(ctx, question)
	}
	k.password = k.ask
	switch {
	case o.cert != "":
		pair, err := tls.LoadX509KeyPair(o.cert, cmp.Or(o.key, o.cert))
		if err != nil {
			return nil, usagef("-cert, -key: %w", err)
		}
		k.pair, k.id = &pair, fingerprintOf(&pair)
	case o.p12 != "":
		var err error
		if k.p12, err = os.ReadFile(o.p12); err != nil {
			return nil, usagef("-p12: %w", err)
		}
		k.id = fmt.Sprintf("%x", sha256.Sum256(k.p12))
	}
	secret := sys.getenv("VMCURL_PASSWORD")
	if o.passwordFile != "" {
		content, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return nil, usagef("-password-file: %w", err)
		}
		secret = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		if secret == "" && o.user != "" {
			return nil, usagef("the password in %s is empty", o.passwordFile)
		}
	}
	given := secret != "" || o.passwordFile != ""
	k.asks = o.user != "" && o.p12 != "" || !given && (o.user != "" || o.p12 != "")
	if given {
		k.password = func(context.Context, string) (string, error) { return secret, nil }
	}
	return k, nil
}

// p12Password is the given one, unless that is the user's.
func (k *keys) p12Password(ctx context.Context) (string, error) {
	question := fmt.Sprintf("Password of %s: ", k.p12File)
	if k.user != "" {
		return k.ask(ctx, question)
	}
	return k.password(ctx, question)
}

func (k *keys) credentials(ctx context.Context) (c signer.Credentials, err error) {
	c.Username, c.Certificate = k.user, k.pair
	if k.p12 != nil {
		password, err := k.p12Password(ctx)
		if err != nil {
			return c, err
		}
		if c.Certificate, err = tokensource.PKCS12(k.p12, password); err != nil {
			return c, usagef("-p12: %s: %w", k.p12File, err)
		}
	}
	if k.user != "" {
		if c.Password, err = k.password(ctx, fmt.Sprintf("Password of %s: ", k.user)); err != nil {
			return c, err
		}
		if c.Password == "" {
			return c, usagef("the password is empty")
		}
	}
	return c, nil
}

// askTerminal asks at the terminal, whatever standard input is, and shows nothing of
// the answer.
func askTerminal(ctx context.Context, question string) (string, error) {
	in, out := "/dev/tty", "/dev/tty"
	if runtime.GOOS == "windows" {
		in, out = "CONIN$", "CONOUT$"
	}
	none := usagef("there is no terminal to ask for a password (%q): give -password-file FILE, or the variable VMCURL_PASSWORD", strings.TrimSuffix(question, ": "))
	reader, err := os.OpenFile(in, os.O_RDWR, 0)
	if err != nil {
		return "", none
	}
	writer, err := os.OpenFile(out, os.O_RDWR, 0)
	if err != nil {
		return "", none
	}
	fd := int(reader.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", none
	}
	_, _ = io.WriteString(writer, question)
	defer func() { _, _ = io.WriteString(writer, "\n") }()
	type answer struct {
		password []byte
		err      error
	}
	answered := make(chan answer, 1)
	go func() { // ends with the answer, or with the program
		password, err := term.ReadPassword(fd)
		answered <- answer{password, err}
	}()
	select {
	case a := <-answered:
		return string(a.password), a.err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", context.Cause(ctx)
	}
}
