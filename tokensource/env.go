package tokensource

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// An Environment is what environment variables say: those of govc, and of the
// Terraform provider for Cloud Director.
type Environment struct {
	// Endpoint and Base are for the [vmsso.Config] of vSphere.
	Endpoint string
	Base     *http.Transport

	// STS is for [NewSTS], and has that Base.
	STS STSConfig

	// Director, Org and DirectorBase are for the vmsso.Config of Cloud Director.
	// Director is empty if VCD_URL is; an empty Org means the provider.
	Director, Org string
	DirectorBase  *http.Transport
}

// FromEnv reads an environment; most programs give os.Getenv. It is read now and
// not again.
//
//	GOVC_URL                      the vCenter; https:// and /sdk may be left out. It may have user:password@ in it. Required
//	GOVC_USERNAME, GOVC_PASSWORD  go before those; each may be the path of a file that has it
//	GOVC_CERTIFICATE              the PEM file of a certificate that gets a holder-of-key token
//	GOVC_PRIVATE_KEY              the PEM file of its key; empty: it is in the certificate's
//	GOVC_TLS_CA_CERTS             PEM files of the CAs that are trusted, as a list like PATH
//	GOVC_TLS_KNOWN_HOSTS          files of lines "host:port thumbprint", as a list like PATH
//	GOVC_INSECURE                 1 or true: whoever answers is trusted with the password
//	VCD_SAML_ADFS_RPT_ID          whom the token is for
//	VCD_URL                       the Cloud Director
//	VCD_SYS_ORG, VCD_ORG          its organization, the first that is there; System is the provider's
//	VCD_ALLOW_UNVERIFIED_SSL      true: whoever answers is trusted with the token
//
// They mean what they mean to govc, but for the thumbprint of a known host, which
// must be that of SHA-256 and then is what decides, whoever issued the certificate. The token
// service is taken to be on the vCenter. VCD_USER and VCD_PASSWORD are not for it
// and not read.
func FromEnv(getenv func(string) string) (*Environment, error) {
	e := &Environment{}
	if err := e.vSphere(getenv); err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	if err := e.director(getenv); err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	return e, nil
}

func (e *Environment) vSphere(getenv func(string) string) error {
	address := getenv("GOVC_URL")
	if address == "" {
		return errors.New("GOVC_URL is missing: set it to the vCenter, such as vcenter.example.com")
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || u.Hostname() == "" {
		return errors.New("GOVC_URL is not a URL: set it to one such as https://vcenter.example.com; a user name or password with special characters goes to GOVC_USERNAME and GOVC_PASSWORD")
	}
	if e.STS.Username, err = secret(getenv, "GOVC_USERNAME"); err != nil {
		return err
	}
	if e.STS.Password, err = secret(getenv, "GOVC_PASSWORD"); err != nil {
		return err
	}
	inURL, _ := u.User.Password()
	e.STS.Username = cmp.Or(e.STS.Username, u.User.Username())
	e.STS.Password = cmp.Or(e.STS.Password, inURL)
	if e.STS.Certificate, err = certificate(getenv); err != nil {
		return err
	}
	if e.Base, err = trustedBase(getenv, u); err != nil {
		return err
	}
	e.STS.Base = e.Base
	e.Endpoint = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: cmp.Or(u.Path, "/sdk")}).String()
	e.STS.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	if id := getenv("VCD_SAML_ADFS_RPT_ID"); id != "" {
		e.STS.Audience = []string{id}
	}
	return nil
}

// secret returns the content of the file that a variable names, or the variable.
func secret(getenv func(string) string, name string) (string, error) {
	value := getenv(name)
	info, err := os.Stat(value)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s names a file that may not be read", name)
	case err != nil || info.IsDir():
		return value, nil
	}
	c := readFile(value, value)
	if c.err != nil {
		return "", fmt.Errorf("%s names a file that cannot be read: it must be a regular one, of at most %d bytes, and readable", name, maxFile)
	}
	return strings.TrimSpace(string(c.data)), nil
}

func certificate(getenv func(string) string) (*tls.Certificate, error) {
	certFile, keyFile := getenv("GOVC_CERTIFICATE"), getenv("GOVC_PRIVATE_KEY")
	switch {
	case certFile == "" && keyFile != "":
		return nil, errors.New("GOVC_PRIVATE_KEY is set without GOVC_CERTIFICATE: set both, or neither")
	case certFile == "":
		return nil, nil
	}
	cert := readFile(certFile, certFile)
	key := cert
	if keyFile != "" {
		key = readFile(keyFile, keyFile)
	}
	pair, err := pemPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("GOVC_CERTIFICATE, GOVC_PRIVATE_KEY: %w", err)
	}
	return pair, nil
}

func (e *Environment) director(getenv func(string) string) error {
	address := getenv("VCD_URL")
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return errors.New("VCD_URL is not a URL such as https://vcd.example.com/api, without user name and password")
	}
	e.Director = address
	if e.Org = cmp.Or(getenv("VCD_SYS_ORG"), getenv("VCD_ORG")); strings.EqualFold(e.Org, "System") {
		e.Org = ""
	}
	e.DirectorBase = newBase()
	if v := getenv("VCD_ALLOW_UNVERIFIED_SSL"); v != "" {
		if e.DirectorBase.TLSClientConfig.InsecureSkipVerify, err = strconv.ParseBool(v); err != nil {
			return errors.New("VCD_ALLOW_UNVERIFIED_SSL is neither true nor false")
		}
	}
	return nil
}
