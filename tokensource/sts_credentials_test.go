package tokensource_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/signer"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// opaque hides what kind of key it is, as one in an HSM does.
type opaque struct{ crypto.Signer }

func hidden(pair tls.Certificate, chain ...[]byte) tls.Certificate {
	return tls.Certificate{Certificate: append([][]byte{pair.Certificate[0]}, chain...), PrivateKey: opaque{pair.PrivateKey.(crypto.Signer)}}
}

// TestRequestsAreSignedAsTheConfigurationSays: the strict service takes both.
func TestRequestsAreSignedAsTheConfigurationSays(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	for _, tc := range []struct {
		signing signer.Options
		want    string
	}{
		{signer.Options{}, "xmldsig-more#rsa-sha256\""},
		{signer.Options{Hash: crypto.SHA512, Digest: crypto.SHA512}, "xmldsig-more#rsa-sha512\""},
	} {
		var sent []byte
		l.sts.Inject("Issue", 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			sent, _ = io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(sent))
			next.ServeHTTP(w, r)
		})
		if _, err := l.source(t, tokensource.STSConfig{Certificate: &l.pair, Signing: tc.signing}).Token(t.Context()); err != nil {
			t.Errorf("%v; the service says %q", err, l.sts.Reasons())
		}
		if method := `SignatureMethod Algorithm="http://www.w3.org/2001/04/` + tc.want; !strings.Contains(string(sent), method) {
			t.Errorf("the request has no %s", method)
		}
	}
	_, err := tokensource.NewSTS(tokensource.STSConfig{URL: stsURL, Certificate: &l.pair, Signing: signer.Options{Hash: crypto.SHA1}})
	if !errors.Is(err, vmsso.ErrUnsupportedKey) {
		t.Errorf("SHA-1: %v, want ErrUnsupportedKey", err)
	}
}

// A key that only signs gets a token and logs in with it; a chain behind the
// certificate does no harm.
func TestKeysThatOnlySign(t *testing.T) {
	authority := vmssotest.NewAuthority()
	key := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, pair := range map[string]tls.Certificate{
		"RSA":   vmssotest.NewKeyPair("solution", nil),
		"P-256": vmssotest.NewKeyPair("solution", key(elliptic.P256())),
		"P-384": vmssotest.NewKeyPair("solution", key(elliptic.P384())),
		"P-521": vmssotest.NewKeyPair("solution", key(elliptic.P521())),
	} {
		l := newSTSLab(t, authority, pair)
		server := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority.Certificate()}})
		l.net.Serve("vsphere.example.test", server)
		c := hidden(pair, authority.Certificate().Raw)
		for who, cfg := range map[string]tokensource.STSConfig{
			"certificate": {Certificate: &c, Renewable: true},
			"person":      {Username: user, Password: password, Certificate: &c, Renewable: true},
			"ActAs":       {Certificate: &c, ActAs: tokensource.Static(l.bearer(t))},
			"token":       {Token: l.source(t, tokensource.STSConfig{Certificate: &c})},
		} {
			source := l.source(t, cfg)
			for range 2 {
				transport, err := vmsso.New(vmsso.Config{Endpoint: "https://vsphere.example.test/sdk", Source: source, Auth: &soap.Authenticator{}, Base: l.base})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := transport.Session(t.Context()); err != nil {
					t.Errorf("%s, %s: %v; the servers say %q and %q", name, who, err, l.sts.Reasons(), server.Reasons())
				}
				if err := transport.Close(); err != nil {
					t.Errorf("%s, %s: Close: %v", name, who, err)
				}
			}
			if renewed := l.last().Renewed != ""; renewed != cfg.Renewable {
				t.Errorf("%s, %s: renewed %t", name, who, renewed)
			}
		}
	}
}

// What a person may be called, and may have thought of as a password, arrives as
// it is.
func TestNamesAndPasswordsArriveAsTheyAre(t *testing.T) {
	authority, long := vmssotest.NewAuthority(), strings.Repeat(`p<&>"'ß`, 128)
	secrets := []string{
		"&", "<", ">", `"`, "'", "]]>", "&amp;", "&#60;", "<![CDATA[x]]>", "</wsse:Password>", "<!-- -->", "%s%d%%", `\`, "{}$",
		"a b", " a ", "\tb\n", "c\r\nd\re", "\u00e9\u0301", "\U0001F600\U00020000", "\u202eabc\u200f", "\u05d0\u05d1", "\ufeffx", "\u0085\u2028", "\ufffd", long[:1024],
	}
	for _, secret := range secrets {
		for _, name := range []string{user, secret + "@vsphere.local"} {
			sts := vmssotest.NewSTS(vmssotest.STSConfig{Authority: authority, Users: map[string]string{name: secret}})
			l := &stsLab{sts: sts, net: vmssotest.NewNetwork()}
			l.net.Serve("vc.example.test", sts)
			l.base = l.net.Transport()
			tok, err := l.source(t, tokensource.STSConfig{Username: name, Password: secret}).Token(t.Context())
			if err != nil {
				t.Errorf("%q with the password %q: %v; the service says %q", name, secret, err, sts.Reasons())
			} else if a, err := signer.ParseAssertion(tok.Assertion); err != nil || a.Subject != strings.TrimSpace(name) {
				t.Errorf("the token is for %q, want %q (%v)", a.Subject, name, err)
			}
			l.base.CloseIdleConnections()
			l.net.Close()
		}
	}
}

// What XML cannot carry is not sent.
func TestControlCharactersAreNotSent(t *testing.T) {
	l := newSTSLab(t, vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil))
	for _, bad := range []string{"\x00", "\x01", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff", "\xff", "\xc3("} {
		for what, c := range map[string]signer.Credentials{
			"password":  {Username: user, Password: "s3cr3t" + bad},
			"user name": {Username: user + bad, Password: "s3cr3t"},
		} {
			_, err := l.source(t, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) { return c, nil }}).Token(t.Context())
			if err == nil || !strings.Contains(err.Error(), "the "+what+" has ") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s with %q: got %v", what, bad, err)
			}
			if _, err := tokensource.NewSTS(tokensource.STSConfig{URL: stsURL, Username: c.Username, Password: c.Password}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s with %q: NewSTS returned %v", what, bad, err)
			}
		}
	}
	if n := l.sts.Requests(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A certificate that was replaced is used from then on; a token that the old one
// got is not renewed with the new one.
func TestReplacedCertificateIsUsedAtOnce(t *testing.T) {
	authority, old, fresh := vmssotest.NewAuthority(), vmssotest.NewKeyPair("solution", nil), vmssotest.NewKeyPair("solution", nil)
	synctest.Test(t, func(t *testing.T) {
		l := newSTSLab(t, authority, old)
		registered := map[string]*x509.Certificate{"old": old.Leaf, "new": fresh.Leaf}
		l.sts = vmssotest.NewSTS(vmssotest.STSConfig{Authority: authority, SolutionUsers: registered, OnIssue: func(i vmssotest.Issued) { l.issued = append(l.issued, i) }})
		l.net.Serve("vc.example.test", l.sts)
		var current atomic.Pointer[tls.Certificate]
		current.Store(&old)
		s := renewable(t, l, tokensource.STSConfig{Credentials: func(context.Context) (signer.Credentials, error) {
			return signer.Credentials{Certificate: current.Load()}, nil
		}})
		for i, want := range []struct {
			pair    *tls.Certificate
			renewed bool
		}{{&old, false}, {&old, true}, {&fresh, false}, {&fresh, true}, {&old, false}, {&old, true}} {
			current.Store(want.pair)
			tok, err := s.Token(t.Context())
			if err != nil {
				t.Fatalf("%d: %v; the service says %q", i, err, l.sts.Reasons())
			}
			if got := l.last(); !got.Holder.Equal(want.pair.Leaf) || (got.Renewed != "") != want.renewed || tok.Key != want.pair.PrivateKey {
				t.Errorf("%d: token for %s, renewed %t, want %t", i, got.Subject, got.Renewed != "", want.renewed)
			}
		}
		if n := len(l.sts.Reasons()); n != 0 || l.sts.Requests() != 6 {
			t.Errorf("%d refusals, %d requests, want 0 and 6: %q", n, l.sts.Requests(), l.sts.Reasons())
		}
	})
}

// A token is of no use without a valid certificate of its holder, however it was
// got; a service may grant less than that.
func TestTokenEndsWithTheCertificate(t *testing.T) {
	end := time.Now().Add(20 * time.Minute).Truncate(time.Second)
	pair := vmssotest.NewKeyPairBetween("solution", nil, time.Now().Add(-time.Hour), end)
	l := newSTSLab(t, vmssotest.NewAuthority(), pair)
	proof := l.holder(t)
	for name, cfg := range map[string]tokensource.STSConfig{
		"certificate": {Certificate: &pair},
		"person":      {Username: user, Password: password, Certificate: &pair},
		"token":       {Token: tokensource.Static(proof)},
	} {
		for lifetime, want := range map[time.Duration]time.Time{time.Hour: end, 5 * time.Minute: time.Now().Add(5 * time.Minute)} {
			cfg.Lifetime = lifetime
			tok := l.token(t, cfg)
			if diff := tok.Expires.Sub(want).Abs(); diff > time.Minute || tok.Expires.After(end) {
				t.Errorf("%s for %v: expires %v, want %v", name, lifetime, tok.Expires, want)
			}
		}
	}
}

// What the service issues is looked at: a token for another key is of no use, a
// bearer token is one, although there is a key.
func TestIssuedTokenIsLookedAt(t *testing.T) {
	authority := vmssotest.NewAuthority()
	l := newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil))
	other := vmssotest.NewKeyPair("other", nil)
	for name, tc := range map[string]struct {
		cfg    tokensource.STSConfig
		claims vmssotest.Claims
		want   string // the error
		key    bool
	}{
		"ours":                        {tokensource.STSConfig{Certificate: &l.pair}, vmssotest.Claims{Holder: l.pair.Leaf}, "", true},
		"another key's":               {tokensource.STSConfig{Certificate: &l.pair}, vmssotest.Claims{Holder: other.Leaf}, "for another key", false},
		"a key's, by password":        {tokensource.STSConfig{Username: user, Password: password}, vmssotest.Claims{Holder: other.Leaf}, "for another key", false},
		"bearer, by certificate":      {tokensource.STSConfig{Certificate: &l.pair}, vmssotest.Claims{}, "", false},
		"of another version of SAML":  {tokensource.STSConfig{Certificate: &l.pair}, vmssotest.Claims{Version: "1.1"}, "Version is not 2.0", false},
		"with a prefix of their own":  {tokensource.STSConfig{Certificate: &l.pair}, vmssotest.Claims{Holder: l.pair.Leaf, Prefix: "xmlns"}, "", true},
		"bearer, by password, normal": {tokensource.STSConfig{Username: user, Password: password}, vmssotest.Claims{}, "", false},
	} {
		tc.claims.Subject = user
		l.sts.Inject("Issue", 1, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "text/xml")
			_ = xml.NewEncoder(w).Encode(struct {
				XMLName xml.Name `xml:"Envelope"`
				Token   struct {
					Assertion string `xml:",innerxml"`
				} `xml:"Body>RequestSecurityTokenResponse>RequestedSecurityToken"`
			}{Token: struct {
				Assertion string `xml:",innerxml"`
			}{authority.Issue(tc.claims)}})
		})
		tok, err := l.source(t, tc.cfg).Token(t.Context())
		switch {
		case tc.want != "":
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", name, err, tc.want)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case (tok.Key != nil) != tc.key:
			t.Errorf("%s: with a key %t, want %t", name, tok.Key != nil, tc.key)
		}
	}
}
