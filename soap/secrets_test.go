package soap_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/cookiejar"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
)

// secrets are searched in everything that is printed.
type secrets map[string]string

func (s secrets) search(t *testing.T, where, text string) {
	t.Helper()
	for name, secret := range s {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the %s: %.300q", where, name, text)
		}
	}
}

// printed is v in all the ways that values get into logs.
func printed(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out[verb] = fmt.Sprintf(verb, v)
		out[verb+" in a field"] = fmt.Sprintf(verb, struct{ V any }{v})
	}
	if b, err := json.Marshal(v); err == nil {
		out["JSON"] = string(b)
	} else {
		out["JSON"] = err.Error()
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
	out["slog"] = b.String()
	return out
}

func TestNoSecretIsPrinted(t *testing.T) {
	l := newLab(t)
	pair := rsaPair()
	tok := holderOfKey(pair)
	// A function, because fmt would read an http.Transport while it works.
	base := roundTripper(l.base.RoundTrip)
	sts := tokensource.STSConfig{URL: "https://vc.example.test", Username: user, Password: password, Certificate: &pair, Base: base}
	source, err := tokensource.NewSTS(sts)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var events lockedText
	cfg := vmsso.Config{
		Endpoint: "https://vc.example.test", Source: source, Auth: &soap.Authenticator{}, Base: base,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Trace:  events.trace(),
	}
	c, tr, err := vmsso.Wrap(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	mustCall(t, c, "CurrentTime", serviceInstance)
	l.vsphere.Kill()
	mustCall(t, c, "CurrentTime", serviceInstance)
	session, err := tr.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signs, err := signer.New(signer.Credentials{Username: user, Password: password, Certificate: &pair})
	if err != nil {
		t.Fatal(err)
	}
	issued := l.issued[0].Assertion
	hide := secrets{
		"password":        "s3cr3t",
		"token":           tok.Assertion[len(tok.Assertion)-60:],
		"token's middle":  tok.Assertion[400:440],
		"issued token":    issued[400:440],
		"session cookie":  session.Cookies[0].Value,
		"private key":     pair.PrivateKey.(*rsa.PrivateKey).D.String()[:40],
		"private key hex": pair.PrivateKey.(*rsa.PrivateKey).D.Text(16)[:40],
		"base64 token":    base64.StdEncoding.EncodeToString([]byte(tok.Assertion))[:60],
		"quoted session":  fmt.Sprintf("%x", session.Cookies[0].Value),
	}
	endpoint, _ := url.Parse("https://vc.example.test")
	jar := cookiejar.New(endpoint)
	jar.SetCookies(endpoint, session.Cookies)
	static := tokensource.Static(tok)
	resp := &http.Response{}
	if resp, err = c.Get("https://vc.example.test/folder/x"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	for name, v := range map[string]any{
		"*Token": tok, "Token": *tok,
		"*Session": session, "Session": *session,
		"*Transport": tr, "*Config": &cfg, "Config": cfg,
		"*STS": source, "STS": deref(source), "*STSConfig": &sts, "STSConfig": sts,
		"Static":       static,
		"*Credentials": &signer.Credentials{Token: tok, Password: password}, "Credentials": signer.Credentials{Token: tok, Password: password, Certificate: &pair},
		"*Signer": signs, "Signer": *signs,
		"*Jar": jar, "*Authenticator": cfg.Auth, "Authenticator": deref(cfg.Auth),
		"the response's request": resp.Request, "*http.Client": c,
	} {
		for how, text := range printed(v) {
			hide.search(t, name+" by "+how, text)
		}
	}
	tr.Close()
	if !strings.Contains(log.String(), "logged in") || !strings.Contains(events.String(), "replay") || !strings.Contains(log.String(), "logged out") {
		t.Errorf("the log or the trace is empty: %s, %s", log.String(), events.String())
	}
	hide.search(t, "the log", log.String())
	hide.search(t, "the trace", events.String())
}

// deref returns what the pointer points to, past vet's check for copied locks.
func deref(p any) any { return reflect.ValueOf(p).Elem().Interface() }

type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) add(v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(&l.b, v...)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedText) trace() *vmsso.Trace {
	return &vmsso.Trace{
		LoginStart: func() { l.add("start") },
		LoginDone:  func(took time.Duration, session string, err error) { l.add("done", took, session, err) },
		Expired:    func(session string) { l.add("expired", session) },
		Replay:     func(method, path string) { l.add("replay", method, path) },
		Retry:      func(method, path string, n int, wait time.Duration) { l.add("retry", method, path, n, wait) },
		Logout:     func(session string, err error) { l.add("logout", session, err) },
	}
}

// TestNoSecretInErrors makes logins fail in every way that the servers can.
func TestNoSecretInErrors(t *testing.T) {
	pair := rsaPair()
	echo := func(w http.ResponseWriter, r *http.Request, _ http.Handler) { // all that it was sent
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(500)
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(string(body))
		_, _ = io.WriteString(w, `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault><faultcode>x</faultcode><faultstring>`+text[min(len(text), 900):]+`</faultstring></Fault></Body></Envelope>`)
	}
	html := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.Copy(w, r.Body)
	}
	cut := func(w http.ResponseWriter, r *http.Request, _ http.Handler) { panic(http.ErrAbortHandler) }
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){"echo": echo, "html": html, "cut": cut} {
		for _, operation := range []string{"Issue", "RetrieveServiceContent", "LoginByToken", "Logout"} {
			t.Run(name+" "+operation, func(t *testing.T) {
				l := newLab(t)
				l.sts.Inject(operation, -1, fault)
				l.vsphere.Inject(operation, -1, fault)
				var log bytes.Buffer
				var used *vmsso.Token
				sts := l.stsSource(t, tokensource.STSConfig{Username: user, Password: password, Certificate: &pair})
				c, tr := l.client(t, sourceFunc(func(ctx context.Context) (*vmsso.Token, error) {
					tok, err := sts.Token(ctx)
					used = tok
					return tok, err
				}), func(cfg *vmsso.Config) {
					cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				_, _, err := call(t.Context(), c, "CurrentTime", serviceInstance)
				if err == nil {
					err = tr.Close()
				}
				if err == nil {
					t.Fatal("no error")
				}
				hide := secrets{"password": "s3cr3t"}
				if used != nil {
					hide["token"] = used.Assertion[len(used.Assertion)-40:]
					hide["token's middle"] = used.Assertion[1000:1030]
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					for how, text := range printed(e) {
						hide.search(t, "an error by "+how, text)
					}
				}
				hide.search(t, "the log", log.String())
			})
		}
	}
}
