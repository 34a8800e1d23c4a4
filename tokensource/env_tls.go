package tokensource

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/vmsso/vmsso"
)

// newBase returns a transport whose TLS configuration may be changed.
func newBase() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	return t
}

// trustedBase returns a transport that trusts what govc's variables name.
func trustedBase(getenv func(string) string, u *url.URL) (*http.Transport, error) {
	t := newBase()
	switch strings.ToLower(getenv("GOVC_INSECURE")) {
	case "1", "true":
		t.TLSClientConfig.InsecureSkipVerify = true
		return t, nil
	}
	if list := getenv("GOVC_TLS_CA_CERTS"); list != "" {
		pool := x509.NewCertPool()
		for _, file := range filepath.SplitList(list) {
			c := readFile(file, file)
			if c.err != nil {
				return nil, fmt.Errorf("GOVC_TLS_CA_CERTS: %w", c.err)
			}
			if !pool.AppendCertsFromPEM(c.data) {
				return nil, fmt.Errorf("GOVC_TLS_CA_CERTS: there is no PEM certificate in %s", file)
			}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	thumbprint, err := knownHost(getenv("GOVC_TLS_KNOWN_HOSTS"), u)
	if err == nil && thumbprint != "" {
		t.TLSClientConfig, err = vmsso.PinCertificate(t.TLSClientConfig, thumbprint)
	}
	if err != nil {
		return nil, fmt.Errorf("GOVC_TLS_KNOWN_HOSTS: %w", err)
	}
	return t, nil
}

// knownHost returns the thumbprint of the URL's host that is in these files, or
// "". The last one counts, and a file need not be there.
func knownHost(list string, u *url.URL) (thumbprint string, err error) {
	for _, file := range filepath.SplitList(list) {
		c := readFile(file, file)
		switch {
		case errors.Is(c.err, fs.ErrNotExist):
			continue
		case c.err != nil:
			return "", c.err
		}
		for line := range strings.Lines(string(c.data)) {
			host, found, _ := strings.Cut(strings.TrimSpace(line), " ")
			if found != "" && strings.EqualFold(withPort(host), withPort(u.Host)) {
				thumbprint = strings.TrimSpace(found)
			}
		}
	}
	if sum, err := hex.DecodeString(strings.ReplaceAll(thumbprint, ":", "")); err == nil && len(sum) == 20 {
		return "", fmt.Errorf("the thumbprint of %s is that of SHA-1, which can be forged: put that of SHA-256 there (openssl x509 -fingerprint -sha256)", u.Host)
	}
	return thumbprint, nil
}

// withPort adds the port that govc and browsers take.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "443")
}
