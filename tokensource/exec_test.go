package tokensource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

// helper configures this test's own program as the helper that does what.
func helper(t testing.TB, what ...string) tokensource.ExecConfig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return tokensource.ExecConfig{
		Command: self,
		Args:    append([]string{"-test.run=^TestThisProgramIsTheHelper$", "--"}, what...),
		Env:     []string{"VMSSO_TEST_HELPER=s3cr3t-variable"},
		Timeout: time.Minute,
	}
}

// It is no test when the tests run, but what the helper does.
func TestThisProgramIsTheHelper(t *testing.T) {
	if os.Getenv("VMSSO_TEST_HELPER") == "" {
		return
	}
	at := 0
	for at < len(os.Args) && os.Args[at] != "--" {
		at++
	}
	what := os.Args[at+1:]
	status := 0
	switch what[0] {
	case "print": // the content of a file
		b, err := os.ReadFile(what[1])
		if err != nil {
			status = 9
		}
		os.Stdout.Write(b)
	case "print standard input", "print the directory":
		b, _ := io.ReadAll(os.Stdin)
		if what[0] == "print the directory" {
			dir, _ := os.Getwd()
			b = []byte(dir)
		}
		os.WriteFile(what[1], append(b, '.'), 0o600)
	case "fail":
		os.Stdout.WriteString("s3cr3t on standard output")
		os.Stderr.WriteString("s3cr3t on standard error")
		status = 3
	case "complain": // of much, and yet go on
		os.Stderr.Write(bytes.Repeat([]byte("s3cr3t "), 1<<20))
		os.Stdout.WriteString(vector(t, "bearer.xml"))
	case "flood":
		for {
			if _, err := os.Stdout.WriteString(strings.Repeat("s3cr3t", 1000)); err != nil {
				break
			}
		}
		select {} // whoever stops reading has not stopped it
	case "wait":
		time.Sleep(time.Hour)
	default:
		helpOfUnix(what)
	}
	os.Exit(status)
}

func TestExecReadsWhatTheHelperPrints(t *testing.T) {
	bearer, hok := vector(t, "bearer.xml"), vector(t, "hok.xml")
	cert, key := vector(t, "client-cert.pem"), vector(t, "client-key-pkcs8.pem")
	quote := func(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) }
	dir := files(t, map[string]string{"cert.pem": cert, "key.pem": key, "both.pem": key + cert, "ec.pem": ecKey(t)})
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	tests := []struct {
		name, printed string
		want          string // the assertion; "": an error
		expires       time.Time
		is            error
		say           string
	}{
		{"an assertion", bearer, bearer, vectorExpiry, nil, ""},
		{"with a line feed", bearer + "\n", bearer, vectorExpiry, nil, ""},
		{"with a declaration", "\ufeff<?xml version='1.0'?>\r\n" + bearer, bearer, vectorExpiry, nil, ""},
		{"JSON", `{"assertion": "` + quote(bearer) + `"}`, bearer, vectorExpiry, nil, ""},
		{"JSON with white space", " \r\n{\n \"assertion\" : \"" + quote(bearer) + "\\n\" }\n", bearer, vectorExpiry, nil, ""},
		{"escapes of JSON", `{"assertion": "` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\u0022`, `<`, `\u003c`, `/`, `\/`).Replace(bearer) + `"}`, bearer, vectorExpiry, nil, ""},
		{"an expiry", `{"expires": "` + soon.Format(time.RFC3339) + `", "assertion": "` + quote(bearer) + `"}`, bearer, soon, nil, ""},
		{"empty members", `{"assertion": "` + quote(bearer) + `", "expires": "", "certificate": "", "key": ""}`, bearer, vectorExpiry, nil, ""},
		{"a key pair, relative", `{"assertion": "` + quote(hok) + `", "certificate": "cert.pem", "key": "key.pem"}`, hok, vectorExpiry, nil, ""},
		{"a key pair, absolute", `{"assertion": "` + quote(hok) + `", "certificate": "` + quote(dir("cert.pem")) + `", "key": "` + quote(dir("key.pem")) + `"}`, hok, vectorExpiry, nil, ""},
		{"a pair in one file", `{"assertion": "` + quote(hok) + `", "certificate": "both.pem"}`, hok, vectorExpiry, nil, ""},

		{"nothing", "", "", soon, vmsso.ErrUnsupportedToken, "it is empty"},
		{"an error message", "s3cr3t: no ticket", "", soon, vmsso.ErrUnsupportedToken, "begin with '<'"},
		{"UTF-16", "<\x00s3cr3t\xff", "", soon, vmsso.ErrUnsupportedToken, "not UTF-8"},
		{"a holder-of-key token without a key", hok, "", soon, vmsso.ErrUnsupportedKey, "give its private key"},
		{"another key", `{"assertion": "` + quote(hok) + `", "certificate": "cert.pem", "key": "ec.pem"}`, "", soon, vmsso.ErrUnsupportedKey, "private key"},
		{"a bearer token with a key", `{"assertion": "` + quote(bearer) + `", "certificate": "both.pem"}`, "", soon, vmsso.ErrUnsupportedKey, "bearer token"},
		{"a key alone", `{"assertion": "` + quote(hok) + `", "key": "key.pem"}`, "", soon, vmsso.ErrUnsupportedKey, "a key without a certificate"},
		{"no file", `{"assertion": "` + quote(hok) + `", "certificate": "no.pem", "key": "key.pem"}`, "", soon, fs.ErrNotExist, "no.pem"},
		{"no key file", `{"assertion": "` + quote(hok) + `", "certificate": "cert.pem", "key": "no.pem"}`, "", soon, fs.ErrNotExist, "no.pem"},
		{"expired", `{"assertion": "` + quote(bearer) + `", "expires": "2021-01-01T00:00:00Z"}`, "", soon, vmsso.ErrTokenExpired, "2021-01-01T00:00:00Z"},
		{"another form of time", `{"assertion": "` + quote(bearer) + `", "expires": "s3cr3t"}`, "", soon, vmsso.ErrUnsupportedToken, `"expires"`},
		{"a typing error", `{"assertion": "` + quote(bearer) + `", "expire": "2021-01-01T00:00:00Z"}`, "", soon, vmsso.ErrUnsupportedToken, "a member, or one twice, other than"},
		{"another case", `{"Assertion": "` + quote(bearer) + `"}`, "", soon, vmsso.ErrUnsupportedToken, "a member, or one twice, other than"},
		{"a member twice", `{"assertion": "` + quote(bearer) + `", "assertion": "s3cr3t"}`, "", soon, vmsso.ErrUnsupportedToken, "a member, or one twice, other than"},
		{"no assertion", `{}`, "", soon, vmsso.ErrUnsupportedToken, "it is empty"},
		{"null", `{"assertion": null}`, "", soon, vmsso.ErrUnsupportedToken, "not an object of JSON with strings"},
		{"a number", `{"assertion": 123456}`, "", soon, vmsso.ErrUnsupportedToken, "not an object of JSON with strings"},
		{"an object inside", `{"assertion": {"s3cr3t": 1}}`, "", soon, vmsso.ErrUnsupportedToken, "not an object of JSON with strings"},
		{"cut JSON", `{"assertion": "s3cr3t`, "", soon, vmsso.ErrUnsupportedToken, "not an object of JSON with strings"},
		{"JSON without its end", `{"assertion": "s3cr3t"`, "", soon, vmsso.ErrUnsupportedToken, "not an object of JSON with strings"},
		{"two objects", `{"assertion": "` + quote(bearer) + `"}{}`, "", soon, vmsso.ErrUnsupportedToken, "more behind its JSON"},
	}
	for _, tt := range tests {
		out := files(t, map[string]string{"out": tt.printed})
		cfg := helper(t, "print", out("out"))
		cfg.Dir = filepath.Dir(dir("cert.pem"))
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := e.Token(t.Context())
		if tt.want != "" {
			if err != nil || tok.Assertion != tt.want || !tok.Expires.Equal(tt.expires) || (tok.Key != nil) != (tt.want == hok) {
				t.Errorf("%s: got %v, %v, want the assertion, and %v", tt.name, tok, err, tt.expires)
			}
			continue
		}
		if tok != nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.say) || !strings.Contains(err.Error(), "what the helper "+cfg.Command+" printed") {
			t.Errorf("%s: got %v, %v, want %v that says %q", tt.name, tok, err, tt.is, tt.say)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the error quotes what was printed: %v", tt.name, err)
		}
	}
}

func TestHelperThatFailsIsAnErrorWithoutItsWords(t *testing.T) {
	tests := []struct {
		name string
		cfg  func(*tokensource.ExecConfig)
		what string
		is   error
		say  string
	}{
		{"a status", nil, "fail", nil, "failed: exit status 3; it wrote 24 bytes to standard error, which are not shown here"},
		{"time is over", func(c *tokensource.ExecConfig) { c.Timeout = 50 * time.Millisecond }, "wait", context.DeadlineExceeded, "was killed: it took more than 50ms (ExecConfig.Timeout)"},
		{"too much", func(c *tokensource.ExecConfig) { c.MaxOutput = 10_000 }, "flood", nil, "was killed: it printed more than 10000 bytes (ExecConfig.MaxOutput)"},
		{"too much by default", nil, "flood", nil, "was killed: it printed more than 1048576 bytes"},
		{"no such directory", func(c *tokensource.ExecConfig) { c.Dir = filepath.Join(c.Dir, "nowhere") }, "wait", fs.ErrNotExist, "does not run"},
	}
	for _, tt := range tests {
		cfg := helper(t, tt.what, "s3cr3t")
		if tt.cfg != nil {
			tt.cfg(&cfg)
		}
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := e.Token(t.Context())
		if tok != nil || tt.is != nil && !errors.Is(err, tt.is) || err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "s3cr3t") ||
			!strings.HasPrefix(err.Error(), "tokensource: the helper "+cfg.Command) {
			t.Errorf("%s: got %v, %v, want an error that says %q, and no secret", tt.name, tok, err, tt.say)
		}
	}
}

func TestHelperIsKilledWhenTheCallerLeaves(t *testing.T) {
	e, err := tokensource.NewExec(helper(t, "wait"))
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the caller has left")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()
	if tok, err := e.Token(ctx); tok != nil || !errors.Is(err, why) {
		t.Errorf("got %v, %v, want %v", tok, err, why)
	}
}

func TestComplaintsOfAHelperAreDropped(t *testing.T) {
	e, err := tokensource.NewExec(helper(t, "complain"))
	if err != nil {
		t.Fatal(err)
	}
	if tok, err := e.Token(t.Context()); err != nil {
		t.Errorf("got %v, %v, want a token", tok, err)
	}
}

func TestOutputOfJustTheLimitIsRead(t *testing.T) {
	cfg := helper(t, "print", "testdata/bearer.xml")
	for most, ok := range map[int]bool{3913: true, 3912: false} {
		cfg.MaxOutput = most
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := e.Token(t.Context()); (err == nil) != ok {
			t.Errorf("3913 bytes of at most %d: got %v, %v", most, tok, err)
		}
	}
}

// It has nobody to ask, and the directory that it was given.
func TestHelperHasNoInputAndItsDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{"print standard input": ".", "print the directory": dir + "."} {
		out := filepath.Join(t.TempDir(), "out")
		cfg := helper(t, what, out)
		cfg.Dir = dir
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = e.Token(t.Context())
		if got, err := os.ReadFile(out); err != nil || string(got) != want {
			t.Errorf("%s: it found %q, %v, want %q", what, got, err, want)
		}
	}
}

func TestHelperHasTheVariablesOfThisProcess(t *testing.T) {
	cfg := helper(t, "print", "testdata/bearer.xml")
	t.Setenv("VMSSO_TEST_HELPER", "1") // without it the helper prints no token
	for _, env := range [][]string{nil, {"MORE=1"}} {
		cfg.Env = env
		e, err := tokensource.NewExec(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := e.Token(t.Context()); err != nil {
			t.Errorf("with %v: got %v, %v, want a token", env, tok, err)
		}
	}
}

func TestExecConfigWithoutSenseIsRefused(t *testing.T) {
	for _, tt := range []struct {
		cfg tokensource.ExecConfig
		is  error
		say string
	}{
		{tokensource.ExecConfig{}, nil, "ExecConfig.Command is missing"},
		{tokensource.ExecConfig{Command: "x", Timeout: -1}, nil, "ExecConfig.Timeout is negative"},
		{tokensource.ExecConfig{Command: "x", MaxOutput: -1}, nil, "ExecConfig.MaxOutput is negative"},
		{tokensource.ExecConfig{Command: "no-such-program-anywhere"}, exec.ErrNotFound, "no-such-program-anywhere"},
		{tokensource.ExecConfig{Command: "./no-such-program"}, fs.ErrNotExist, "no-such-program"},
	} {
		if e, err := tokensource.NewExec(tt.cfg); e != nil || err == nil || !strings.Contains(err.Error(), tt.say) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%v: got %v, %v, want %v that says %q", tt.cfg, e, err, tt.is, tt.say)
		}
	}
}

func TestArgumentsAndVariablesOfAHelperAreNotShown(t *testing.T) {
	cfg := helper(t, "print", "s3cr3t-argument")
	e, err := tokensource.NewExec(cfg)
	if err != nil {
		t.Fatal(err)
	}
	showsNothingOf(t, []string{"s3cr3t-argument", "s3cr3t-variable"}, cfg, &cfg, e, struct{ E *tokensource.Exec }{e}, struct{ c any }{e})
	if !strings.Contains(fmt.Sprint(cfg), cfg.Command) {
		t.Errorf("%v does not name the program", cfg)
	}
}

// A Func is what a program has of its own.
func TestFuncIsASource(t *testing.T) {
	type key struct{}
	want := &vmsso.Token{Assertion: vector(t, "bearer.xml")}
	var src vmsso.TokenSource = tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) { return want, ctx.Value(key{}).(error) })
	if tok, err := src.Token(context.WithValue(t.Context(), key{}, io.EOF)); tok != want || err != io.EOF {
		t.Errorf("got %v, %v, want what the function returns", tok, err)
	}
}
