package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/tokensource"
)

// An account says which server, who, and whom to trust. Making one sends nothing,
// and asks nobody.
type account struct {
	origin   *url.URL // of the server
	director bool     // it is a Cloud Director, not a vCenter
	org      string   // of a Cloud Director; "": the provider

	base, stsBase *http.Transport // for the server, and for the token service

	// A token is got from a token service, or there is one in a file.
	sts   *tokensource.STSConfig // but for its Base; nil: token
	token vmsso.TokenSource

	identity string // what decides what a session may do
	keys     *keys  // of the command line; nil: of the environment
}

func newAccount(o *options, sys *system) (*account, error) {
	a := &account{director: o.director != "", org: o.org}
	anonymous := o.user == "" && o.cert == "" && o.p12 == "" && o.token == ""
	env := &tokensource.Environment{}
	var err error
	if anonymous || o.vcenter == "" && o.director == "" {
		if env, err = environment(anonymous, sys.getenv); err != nil {
			return nil, err
		}
	}
	if a.origin, err = originOf(cmp.Or(o.vcenter, o.director, env.Endpoint)); err != nil {
		return nil, err
	}
	if err := a.trust(o, env); err != nil {
		return nil, err
	}
	switch {
	case anonymous:
		err = a.useEnvironment(o, env)
	case o.token != "":
		err = a.useToken(o, sys)
	default:
		err = a.useSTS(o, sys)
	}
	if strings.EqualFold(a.org, "System") {
		a.org = "" // the provider's
	}
	a.identity += fmt.Sprintf(" org=%q", a.org)
	return a, err
}

// environment reads the variables of govc. Those that make a program trust whoever
// answers are not obeyed.
func environment(anonymous bool, getenv func(string) string) (*tokensource.Environment, error) {
	if getenv("GOVC_URL") == "" {
		if anonymous {
			return nil, usagef("which server, and who are you? such as -vcenter vc.example.com -user alice@vsphere.local; -h has examples")
		}
		return nil, usagef("which server? give -vcenter or -director, or set GOVC_URL; -h has examples")
	}
	env, err := tokensource.FromEnv(func(name string) string {
		switch name {
		case "GOVC_INSECURE", "VCD_ALLOW_UNVERIFIED_SSL":
			return ""
		}
		return getenv(name)
	})
	if err != nil {
		return nil, usageError{err}
	}
	return env, nil
}

// originOf reads where a server is; https:// may be left out, and a path does not
// count.
func originOf(server string) (*url.URL, error) {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return nil, usagef("the server is no URL such as https://vcenter.example.com")
	}
	if u.User != nil {
		return nil, usagef("a server's URL has no user name: give -user, and the password is asked for")
	}
	return &url.URL{Scheme: strings.ToLower(u.Scheme), Host: u.Host}, nil
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// trust makes the transports.
func (a *account) trust(o *options, env *tokensource.Environment) (err error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	own := true // else what the environment trusts is trusted
	switch {
	case o.ca != "":
		base.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		pem, err := os.ReadFile(o.ca)
		if err == nil && !base.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("there is no PEM certificate in %s", o.ca)
		}
		if err != nil {
			return usagef("-ca: %w", err)
		}
	case o.thumbprints != nil:
		if base.TLSClientConfig, err = vmsso.PinCertificate(nil, o.thumbprints...); err != nil {
			return usagef("-thumbprint: %w", err)
		}
	default:
		own = false
	}
	a.base, a.stsBase = base, base
	if !own && env.Base != nil {
		a.stsBase = env.Base
		if a.base = env.Base; a.director {
			a.base = cmp.Or(env.DirectorBase, base)
		}
	}
	a.base.DisableCompression = true // what is sent is what -o writes, and its length is known
	return nil
}

// useEnvironment takes the user from the environment, for the server of the
// environment alone: another would get a password that is not for it.
func (a *account) useEnvironment(o *options, env *tokensource.Environment) error {
	server := env.Endpoint
	if a.director {
		server = env.Director
	}
	known, err := originOf(server)
	switch {
	case server == "":
		return usagef("who are you? give -token FILE, or set VCD_URL to this server; -h explains")
	case err != nil:
		return err
	case !sameOrigin(known, a.origin):
		return usagef("who are you? the user in the environment is one of %s: give -user, -cert, -p12 or -token; -h explains", known.Host)
	case o.sts != "" || o.audience != "":
		return usagef("-sts and -audience go with -user, -cert or -p12: the user in the environment is for the token service of %s", known.Host)
	case a.director && len(env.STS.Audience) == 0:
		return usagef("a Cloud Director takes tokens for the entity ID of its organization alone: set VCD_SAML_ADFS_RPT_ID to it, or give -sts and -audience with -user, -cert or -p12")
	case a.director:
		a.org = cmp.Or(a.org, env.Org)
	}
	if env.STS.Username == "" && env.STS.Certificate == nil {
		return usagef("who are you? give -user or -cert, or set GOVC_USERNAME and GOVC_PASSWORD; -h explains")
	}
	a.sts = &env.STS
	a.identity = fmt.Sprintf("user=%q certificate=%s sts=%q audience=%q", env.STS.Username, fingerprintOf(env.STS.Certificate), env.STS.URL, env.STS.Audience)
	return nil
}

// useSTS gets tokens for the user of the command line.
func (a *account) useSTS(o *options, sys *system) error {
	sts := o.sts
	switch {
	case sts == "" && a.director:
		return usagef("a Cloud Director takes tokens of its organization's identity provider: give one with -token, or -sts and -audience")
	case sts == "":
		sts = a.origin.String()
	case !strings.Contains(sts, "://"):
		sts = "https://" + sts
	}
	k, err := readKeys(o, sys)
	if err != nil {
		return err
	}
	a.sts = &tokensource.STSConfig{URL: sts, Credentials: k.credentials}
	if o.audience != "" {
		a.sts.Audience = []string{o.audience}
	}
	a.keys = k
	a.identity = fmt.Sprintf("user=%q certificate=%s sts=%q audience=%q", o.user, k.id, sts, o.audience)
	return nil
}

// useToken takes the token of a file. A session is kept for its subject, whichever
// of the subject's tokens is in the file.
func (a *account) useToken(o *options, sys *system) error {
	text, err := os.ReadFile(o.token)
	if err != nil {
		return usagef("-token: %w", err)
	}
	assertion := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	if strings.HasPrefix(assertion, "<?xml ") {
		_, assertion, _ = strings.Cut(assertion, "?>")
	}
	s, err := signer.ParseAssertion(strings.TrimSpace(assertion))
	if err != nil {
		return usagef("-token: %s: %w", o.token, err)
	}
	k, err := readKeys(o, sys)
	if err != nil {
		return err
	}
	if s.HolderOfKey && k.id == noCertificate {
		return usagef("-token: %s is a holder-of-key token: give its certificate and key too, by -cert and -key or -p12", o.token)
	}
	whose := fmt.Sprintf("%q", []string{s.Issuer, s.Subject, strings.Join(s.Delegates, "\n"), strings.Join(s.Audiences, "\n")})
	if s.Encrypted {
		whose = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	a.identity = fmt.Sprintf("token=%s certificate=%s", whose, k.id)
	a.keys = k
	a.token = tokensource.Func(func(ctx context.Context) (*vmsso.Token, error) {
		cfg := tokensource.FileConfig{Token: o.token, Certificate: o.cert, Key: o.key, PKCS12: o.p12}
		if o.p12 != "" {
			if cfg.Password, err = k.p12Password(ctx); err != nil {
				return nil, err
			}
		}
		f, err := tokensource.NewFile(cfg)
		if err != nil {
			return nil, err
		}
		return f.Token(ctx)
	})
	return nil
}

// noCertificate is the fingerprint of none.
const noCertificate = "none"

func fingerprintOf(c *tls.Certificate) string {
	if c == nil {
		return noCertificate
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.Certificate[0]))
}
