package tokensource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vmsso/vmsso"
)

// ExecConfig says which program prints the token.
//
// Args and Env may hold secrets: no fmt verb and no log/slog shows them.
type ExecConfig struct {
	// Command is the program: a path, or a name that is looked for in PATH. It
	// is run without a shell. Required.
	Command string
	Args    []string

	// Env has more variables for the program, as "NAME=value". It gets those of
	// this process too, as [os/exec] does it: an agent's socket, a proxy, HOME.
	Env []string

	// Dir is the program's working directory; empty means that of this process.
	Dir string

	// Timeout is how long it may take. 0 means 10 s.
	Timeout time.Duration

	// MaxOutput is how many bytes it may print. 0 means 1 MiB.
	MaxOutput int
}

// An Exec is a source that runs a helper program each time it is asked, which is
// once per login. Put a [Reuse] above it if the helper is slow or asks a person.
// It is safe for concurrent use: each call runs a helper of its own.
//
// The helper prints an assertion, as XML in UTF-8, and ends with status 0. Or it
// prints an object of JSON:
//
//	{"assertion": "<saml2:Assertion …", "expires": "2006-01-02T15:04:05Z", "certificate": "client.pem", "key": "client.key"}
//
// Only the assertion must be there. Expires, in the form of RFC 3339, is for an
// assertion that does not name its end. Certificate and key are the paths of the
// PEM key pair of a holder-of-key token, seen from Dir; without key it is in the
// certificate's file. Each is a string, and there is nothing else: a typing error
// is not passed over.
//
// Its standard input is empty. What it prints to standard error is dropped,
// because it may be a secret; an error tells how much it was. When the time or the
// context is over, or it prints too much, it is killed, on Unix together with the
// processes that it has started, if they have not left its process group.
// On Windows those live on; they are not waited for.
type Exec struct {
	cfg func() ExecConfig // a closure, in which fmt sees nothing
}

const (
	execTimeout   = 10 * time.Second
	execMaxOutput = 1 << 20
	execWaitDelay = time.Second // for what holds the helper's output when that has ended
)

// NewExec returns a source that runs this helper. It is an error if that is not
// there; it is not run yet.
func NewExec(cfg ExecConfig) (*Exec, error) {
	switch {
	case cfg.Command == "":
		return nil, errors.New("tokensource: ExecConfig.Command is missing: give the program that prints the token")
	case cfg.Timeout < 0:
		return nil, errors.New("tokensource: ExecConfig.Timeout is negative")
	case cfg.MaxOutput < 0:
		return nil, errors.New("tokensource: ExecConfig.MaxOutput is negative")
	}
	path, err := exec.LookPath(cfg.Command)
	if err == nil {
		path, err = filepath.Abs(path) // Dir is not where it is looked for
	}
	if err != nil {
		return nil, fmt.Errorf("tokensource: the helper of ExecConfig.Command: %w", err)
	}
	cfg.Command = path
	cfg.Timeout = cmp.Or(cfg.Timeout, execTimeout)
	cfg.MaxOutput = cmp.Or(cfg.MaxOutput, execMaxOutput)
	cfg.Args = append([]string(nil), cfg.Args...)
	cfg.Env = append([]string(nil), cfg.Env...)
	return &Exec{func() ExecConfig { return cfg }}, nil
}

// Token implements [vmsso.TokenSource].
func (e *Exec) Token(ctx context.Context) (*vmsso.Token, error) {
	cfg := e.cfg()
	out, err := cfg.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("tokensource: the helper %s %w", cfg.Command, err)
	}
	tok, err := cfg.token(out)
	if err == nil {
		if tok, err = check(tok); err == nil {
			err = expired(tok, time.Now())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("tokensource: what the helper %s printed: %w", cfg.Command, err)
	}
	return tok, nil
}

// run runs the helper and returns what it printed. The errors continue a sentence
// about the helper.
func (c *ExecConfig) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("it took more than %v (ExecConfig.Timeout): %w", c.Timeout, context.DeadlineExceeded))
	defer stop()
	out := &output{most: c.MaxOutput, full: func() {
		cancel(fmt.Errorf("it printed more than %d bytes (ExecConfig.MaxOutput)", c.MaxOutput))
	}}
	var complaints counter
	cmd := exec.CommandContext(ctx, c.Command, c.Args...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, &complaints
	cmd.WaitDelay = execWaitDelay
	setGroup(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, fmt.Errorf("was killed: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrWaitDelay): // it ended well, and left a process that holds its output
	case errors.As(err, &exit):
		return nil, fmt.Errorf("failed: %w; it wrote %d bytes to standard error, which are not shown here: run it by hand", err, complaints)
	default:
		return nil, fmt.Errorf("does not run: %w", err)
	}
	return out.b, nil
}

// An output keeps what was written to it, up to a limit.
type output struct {
	b    []byte
	most int
	full func()
}

func (o *output) Write(b []byte) (int, error) {
	if len(o.b)+len(b) > o.most {
		o.full()
		return 0, errors.New("too much output")
	}
	o.b = append(o.b, b...)
	return len(b), nil
}

// A counter counts what was written to it, and drops it.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// Format writes the program, whatever the verb.
func (c ExecConfig) Format(f fmt.State, verb rune) { fmt.Fprint(f, c.describe()) }

// LogValue tells the program.
func (c ExecConfig) LogValue() slog.Value { return slog.StringValue(c.describe()) }

// MarshalJSON is an error: the configuration may hold secrets.
func (c ExecConfig) MarshalJSON() ([]byte, error) {
	return nil, errors.New("tokensource: an ExecConfig is a secret and is not encoded as JSON")
}

func (c ExecConfig) describe() string {
	return fmt.Sprintf("ExecConfig(command: %s, arguments: %d, variables: %d)", c.Command, len(c.Args), len(c.Env))
}

var _ vmsso.TokenSource = (*Exec)(nil)
