package signer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/vmsso/vmsso/signer"
)

// secretsOf lists how the secrets of c could look in text. Numbers are looked for
// by their first digits: a %x of a struct may cut or space them.
func secretsOf(c signer.Credentials) []string {
	secrets := []string{c.Password, fmt.Sprintf("%x", c.Password), fmt.Sprintf("%X", c.Password)}
	if c.Token != nil {
		secrets = append(secrets, "AttributeValue", "SubjectConfirmation", fmt.Sprintf("%x", "AttributeValue"), c.Token.Assertion[:40], fmt.Sprintf("%x", c.Token.Assertion[:10]))
	}
	if c.Certificate != nil {
		switch k := c.Certificate.PrivateKey.(type) {
		case *rsa.PrivateKey:
			for _, n := range append(k.Primes, k.D) {
				secrets = append(secrets, n.String()[:12], n.Text(16)[:12], fmt.Sprint(uint64(n.Bits()[0])), fmt.Sprintf("%#x", uint64(n.Bits()[0])))
			}
		case *ecdsa.PrivateKey:
			d := new(big.Int).SetBytes(must(k.Bytes()))
			secrets = append(secrets, d.String()[:12], d.Text(16)[:12], fmt.Sprintf("%#x", uint64(d.Bits()[0])))
		}
	}
	var some []string
	for _, s := range secrets {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

func TestNothingPrintsTheSecretsOfCredentialsAndSigners(t *testing.T) {
	all := []signer.Credentials{
		{Token: bearerToken(t)},
		{Token: vectorToken(t)},
		{Certificate: vectorPair(t)},
		{Certificate: validPair(t, testKeys["P-256"]())},
		{Username: "jo", Password: "s3cr3t-password"},
		{Certificate: vectorPair(t), Username: "jo", Password: "s3cr3t-password"},
	}
	for _, c := range all {
		s := newSigner(t, c)
		for _, v := range []any{c, &c, *s, s, []signer.Credentials{c}, map[string]*signer.Credentials{"a": &c}, struct{ C signer.Credentials }{c}, struct{ S *signer.Signer }{s}} {
			printed := map[string]string{}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				printed[verb] = fmt.Sprintf(verb, v)
			}
			printed["Sprint"] = fmt.Sprint(v)
			b, err := json.Marshal(v)
			printed["JSON"] = fmt.Sprint(string(b), err)
			for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
				"slog text": func(w *bytes.Buffer) slog.Handler { return slog.NewTextHandler(w, nil) },
				"slog JSON": func(w *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(w, nil) },
			} {
				var w bytes.Buffer
				slog.New(handler(&w)).Info("log in", "with", v, slog.Group("g", "v", v))
				printed[name] = w.String()
			}
			for how, text := range printed {
				for _, secret := range secretsOf(c) {
					if strings.Contains(text, secret) {
						t.Errorf("%T by %s shows %q: %.200s", v, how, secret, text)
					}
				}
			}
		}
	}
}

// A secret that is silently lost in JSON would be found late.
func TestCredentialsAreNotEncodedAsJSON(t *testing.T) {
	c := signer.Credentials{Username: "jo", Password: "s3cr3t"}
	for _, v := range []any{c, &c} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%T: got %s, want an error", v, b)
		}
	}
}

func TestCredentialsAndSignersSayWhatTheyAre(t *testing.T) {
	c := signer.Credentials{Certificate: vectorPair(t), Username: "jo", Password: "s3cr3t"}
	if got, want := fmt.Sprintf("%+v", c), "Credentials(token: false, certificate: true, password: true)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var w bytes.Buffer
	if slog.New(slog.NewJSONHandler(&w, nil)).Info("log in", "with", c); !strings.Contains(w.String(), `"with":"Credentials(token: false, certificate: true, password: true)"`) {
		t.Errorf("slog writes %s", &w)
	}
	if got, want := fmt.Sprintf("%v", newSigner(t, c)), "Signer(signs: true)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
