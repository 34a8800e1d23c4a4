package tokensource_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/soap"
	"github.com/vmsso/vmsso/tokensource"
	"github.com/vmsso/vmsso/vmssotest"
)

// env is an environment that has only this in it.
type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestGovcsVariablesAreReadAsGovcDoes(t *testing.T) {
	path := files(t, map[string]string{"user": "jo@vsphere.local\n", "password": " s3cr3t \n"})
	const cert, key = "testdata/client-cert.pem", "testdata/client-key-pkcs8.pem"
	for _, tt := range []struct {
		name                     string
		env                      env
		endpoint, user, password string
		certificate              bool
	}{
		{"a host", env{"GOVC_URL": "vc.example.com"}, "https://vc.example.com/sdk", "", "", false},
		{"a URL", env{"GOVC_URL": "https://vc.example.com/sdk"}, "https://vc.example.com/sdk", "", "", false},
		{"a slash at the end", env{"GOVC_URL": "https://vc.example.com/"}, "https://vc.example.com/sdk", "", "", false},
		{"a port", env{"GOVC_URL": "vc.example.com:8443"}, "https://vc.example.com:8443/sdk", "", "", false},
		{"loopback", env{"GOVC_URL": "http://127.0.0.1:8989"}, "http://127.0.0.1:8989/sdk", "", "", false},
		{"IPv6", env{"GOVC_URL": "[2001:db8::1]"}, "https://[2001:db8::1]/sdk", "", "", false},
		{"another path", env{"GOVC_URL": "vc.example.com/x/sdk"}, "https://vc.example.com/x/sdk", "", "", false},
		{"a user in the URL", env{"GOVC_URL": "jo:p%40ss@vc.example.com"}, "https://vc.example.com/sdk", "jo", "p@ss", false},
		{"a user of a domain", env{"GOVC_URL": "https://jo%40vsphere.local:s3cr3t@vc.example.com/sdk"}, "https://vc.example.com/sdk", "jo@vsphere.local", "s3cr3t", false},
		{"variables", env{"GOVC_URL": "vc.example.com", "GOVC_USERNAME": "jo", "GOVC_PASSWORD": "s3cr3t"}, "https://vc.example.com/sdk", "jo", "s3cr3t", false},
		{"variables go first", env{"GOVC_URL": "al:pass@vc.example.com", "GOVC_USERNAME": "jo", "GOVC_PASSWORD": "s3cr3t"}, "https://vc.example.com/sdk", "jo", "s3cr3t", false},
		{"one of them", env{"GOVC_URL": "al:pass@vc.example.com", "GOVC_USERNAME": "jo"}, "https://vc.example.com/sdk", "jo", "pass", false},
		{"the other", env{"GOVC_URL": "al@vc.example.com", "GOVC_PASSWORD": "s3cr3t"}, "https://vc.example.com/sdk", "al", "s3cr3t", false},
		{"files", env{"GOVC_URL": "vc.example.com", "GOVC_USERNAME": path("user"), "GOVC_PASSWORD": path("password")}, "https://vc.example.com/sdk", "jo@vsphere.local", "s3cr3t", false},
		{"a password that is a directory's name", env{"GOVC_URL": "vc.example.com", "GOVC_PASSWORD": "testdata"}, "https://vc.example.com/sdk", "", "testdata", false},
		{"a certificate", env{"GOVC_URL": "vc.example.com", "GOVC_CERTIFICATE": cert, "GOVC_PRIVATE_KEY": key}, "https://vc.example.com/sdk", "", "", true},
	} {
		e, err := tokensource.FromEnv(tt.env.get)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e.Endpoint != tt.endpoint || e.STS.Username != tt.user || e.STS.Password != tt.password || (e.STS.Certificate != nil) != tt.certificate {
			t.Errorf("%s: got %s, %q, %q, certificate %t", tt.name, e.Endpoint, e.STS.Username, e.STS.Password, e.STS.Certificate != nil)
		}
		if want := strings.Join(strings.SplitAfterN(tt.endpoint, "/", 4)[:3], ""); e.STS.URL+"/" != want {
			t.Errorf("%s: the token service is at %s, want %s", tt.name, e.STS.URL, want)
		}
		if e.STS.Base != http.RoundTripper(e.Base) || e.Base == http.DefaultTransport || e.Base.TLSClientConfig.InsecureSkipVerify || e.Base.TLSClientConfig.RootCAs != nil {
			t.Errorf("%s: it trusts others than by default", tt.name)
		}
		if e.Director != "" || e.Org != "" || e.DirectorBase != nil || e.STS.Audience != nil {
			t.Errorf("%s: a Cloud Director: %+v", tt.name, e)
		}
		showsNothingOf(t, []string{"s3cr3t", "p@ss"}, e, *e)
	}
}

func TestCloudDirectorsVariablesAreRead(t *testing.T) {
	for _, tt := range []struct {
		name          string
		env           env
		director, org string
		unverified    bool
		audience      []string
	}{
		{"a tenant", env{"VCD_URL": "https://vcd.example.com/api", "VCD_ORG": "Finance"}, "https://vcd.example.com/api", "Finance", false, nil},
		{"the provider", env{"VCD_URL": "https://vcd.example.com/api", "VCD_ORG": "system"}, "https://vcd.example.com/api", "", false, nil},
		{"the provider, for a tenant", env{"VCD_URL": "https://vcd.example.com/api", "VCD_ORG": "Finance", "VCD_SYS_ORG": "System"}, "https://vcd.example.com/api", "", false, nil},
		{"not verified", env{"VCD_URL": "https://vcd.example.com/api", "VCD_ALLOW_UNVERIFIED_SSL": "true"}, "https://vcd.example.com/api", "", true, nil},
		{"verified", env{"VCD_URL": "https://vcd.example.com/api", "VCD_ALLOW_UNVERIFIED_SSL": "0"}, "https://vcd.example.com/api", "", false, nil},
		{"an audience", env{"VCD_SAML_ADFS_RPT_ID": "https://vcd.example.com/cloud/org/finance/saml/metadata/alias/x"}, "", "", false, []string{"https://vcd.example.com/cloud/org/finance/saml/metadata/alias/x"}},
	} {
		tt.env["GOVC_URL"] = "vc.example.com"
		e, err := tokensource.FromEnv(tt.env.get)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e.Director != tt.director || e.Org != tt.org || !slices.Equal(e.STS.Audience, tt.audience) || (e.DirectorBase != nil) != (tt.director != "") {
			t.Errorf("%s: got %+v", tt.name, e)
		}
		if e.DirectorBase != nil && e.DirectorBase.TLSClientConfig.InsecureSkipVerify != tt.unverified || e.Base.TLSClientConfig.InsecureSkipVerify {
			t.Errorf("%s: whoever answers is trusted, or not", tt.name)
		}
	}
}

func TestVariablesWithoutSenseAreRefused(t *testing.T) {
	path := files(t, map[string]string{"big": strings.Repeat("x", 1<<20+1), "hosts": "vc.example.com:443 S3CR3T", "hosts1": "vc.example.com " + strings.Repeat("0A:", 19) + "0A\n"})
	for _, tt := range []struct {
		env env
		is  error
		say string
	}{
		{env{}, nil, "GOVC_URL is missing"},
		{env{"GOVC_URL": "https://"}, nil, "GOVC_URL is not a URL"},
		{env{"GOVC_URL": "jo:s3cr3t#1@vc.example.com"}, nil, "GOVC_URL is not a URL"},
		{env{"GOVC_URL": "jo:s3cr3t%zz@vc.example.com"}, nil, "GOVC_USERNAME and GOVC_PASSWORD"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_PASSWORD": path("big")}, nil, "GOVC_PASSWORD names a file that cannot be read"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_USERNAME": path("big")}, nil, "GOVC_USERNAME names a file that cannot be read"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_PRIVATE_KEY": "testdata/client-key-pkcs8.pem"}, nil, "GOVC_PRIVATE_KEY is set without GOVC_CERTIFICATE"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_CERTIFICATE": "testdata/client-cert.pem"}, vmsso.ErrUnsupportedKey, "GOVC_CERTIFICATE, GOVC_PRIVATE_KEY: "},
		{env{"GOVC_URL": "vc.example.com", "GOVC_CERTIFICATE": "nowhere.pem", "GOVC_PRIVATE_KEY": "nowhere.pem"}, os.ErrNotExist, "nowhere.pem"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_TLS_CA_CERTS": "nowhere.pem"}, os.ErrNotExist, "GOVC_TLS_CA_CERTS"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_TLS_CA_CERTS": "testdata/client-key-pkcs8.pem"}, nil, "no PEM certificate in testdata/client-key-pkcs8.pem"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_TLS_KNOWN_HOSTS": path("hosts")}, nil, "GOVC_TLS_KNOWN_HOSTS"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_TLS_KNOWN_HOSTS": path("hosts1")}, nil, "of SHA-1, which can be forged"},
		{env{"GOVC_URL": "vc.example.com", "GOVC_TLS_KNOWN_HOSTS": "testdata"}, nil, "testdata is not a regular file"},
		{env{"GOVC_URL": "vc.example.com", "VCD_URL": "vcd.example.com"}, nil, "VCD_URL is not a URL"},
		{env{"GOVC_URL": "vc.example.com", "VCD_URL": "https://jo:s3cr3t@vcd.example.com"}, nil, "VCD_URL is not a URL"},
		{env{"GOVC_URL": "vc.example.com", "VCD_URL": "https://vcd.example.com", "VCD_ALLOW_UNVERIFIED_SSL": "yes"}, nil, "VCD_ALLOW_UNVERIFIED_SSL is neither"},
	} {
		e, err := tokensource.FromEnv(tt.env.get)
		if e != nil || err == nil || !strings.Contains(err.Error(), tt.say) || tt.is != nil && !errors.Is(err, tt.is) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v: got %v, want %v that says %q", tt.env, err, tt.is, tt.say)
		}
	}
}

// Whom a program with these variables gives its password to.
func TestServersAreTrustedAsGovcDoes(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that the client ends
	server.StartTLS()
	defer server.Close()
	der := server.Certificate().Raw
	sha2, sha1sum := sha256.Sum256(der), sha1.Sum(der)
	other := sha256.Sum256(nil)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	line := func(host string, sum []byte) string { // as govc about.cert -thumbprint writes it
		return host + " " + strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":") + "\n"
	}
	path := files(t, map[string]string{
		"ca.pem":       pemCertificate(der),
		"other-ca.pem": vector(t, "client-cert.pem"),
		"hosts":        "# a comment\n" + line("vc.example.com:443", other[:]) + line(u.Host, sha2[:]),
		"other":        line(u.Host, other[:]),
		"elsewhere":    line("vc.example.com", sha1sum[:]) + line(u.Host+"0", sha2[:]),
		"plain":        u.Host + " " + hex.EncodeToString(sha2[:]),
	})
	list := func(names ...string) string {
		for i, name := range names {
			names[i] = path(name)
		}
		return strings.Join(names, string(filepath.ListSeparator))
	}
	for _, tt := range []struct {
		name    string
		env     env
		trusted bool
	}{
		{"nothing said", env{}, false},
		{"insecure", env{"GOVC_INSECURE": "1"}, true},
		{"insecure in words", env{"GOVC_INSECURE": "True"}, true},
		{"not insecure", env{"GOVC_INSECURE": "0"}, false},
		{"what govc does not take for insecure", env{"GOVC_INSECURE": "yes"}, false},
		{"insecure, whatever else", env{"GOVC_INSECURE": "true", "GOVC_TLS_CA_CERTS": path("other-ca.pem"), "GOVC_TLS_KNOWN_HOSTS": path("other")}, true},
		{"its CA", env{"GOVC_TLS_CA_CERTS": path("ca.pem")}, true},
		{"its CA among others", env{"GOVC_TLS_CA_CERTS": list("other-ca.pem", "ca.pem")}, true},
		{"another CA", env{"GOVC_TLS_CA_CERTS": path("other-ca.pem")}, false},
		{"a known host", env{"GOVC_TLS_KNOWN_HOSTS": path("hosts")}, true},
		{"without colons", env{"GOVC_TLS_KNOWN_HOSTS": path("plain")}, true},
		{"of another thumbprint", env{"GOVC_TLS_KNOWN_HOSTS": path("other")}, false},
		{"of another thumbprint, from a CA that is trusted", env{"GOVC_TLS_CA_CERTS": path("ca.pem"), "GOVC_TLS_KNOWN_HOSTS": path("other")}, false},
		{"the last one counts", env{"GOVC_TLS_KNOWN_HOSTS": list("other", "hosts")}, true},
		{"the last one counts, and is another", env{"GOVC_TLS_KNOWN_HOSTS": list("hosts", "other")}, false},
		{"known hosts elsewhere", env{"GOVC_TLS_KNOWN_HOSTS": path("elsewhere")}, false},
		{"no file of known hosts", env{"GOVC_TLS_KNOWN_HOSTS": path("nowhere")}, false},
	} {
		tt.env["GOVC_URL"] = u.Host
		e, err := tokensource.FromEnv(tt.env.get)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		resp, err := (&http.Client{Transport: e.Base}).Get(e.Endpoint)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != tt.trusted {
			t.Errorf("%s: %v, want trust: %t", tt.name, err, tt.trusted)
		}
		e.Base.CloseIdleConnections()
	}
}

// The variables are all that a program needs.
func TestProgramIsLoggedInByItsEnvironment(t *testing.T) {
	authority := vmssotest.NewAuthority()
	l := newSTSLab(t, authority, vmssotest.NewKeyPair("solution", nil))
	vc := vmssotest.NewVSphere(vmssotest.VSphereConfig{Trust: []*x509.Certificate{authority.Certificate()}})
	mux := http.NewServeMux()
	mux.Handle("/sts/", l.sts)
	mux.Handle("/", vc)
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	path := files(t, map[string]string{"ca.pem": pemCertificate(server.Certificate().Raw)})
	e, err := tokensource.FromEnv(env{"GOVC_URL": strings.TrimPrefix(server.URL, "https://"), "GOVC_USERNAME": user, "GOVC_PASSWORD": password, "GOVC_TLS_CA_CERTS": path("ca.pem")}.get)
	if err != nil {
		t.Fatal(err)
	}
	source, err := tokensource.NewSTS(e.STS)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := vmsso.New(vmsso.Config{Endpoint: e.Endpoint, Source: source, Auth: &soap.Authenticator{}, Base: e.Base})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.Session(context.Background()); err != nil {
		t.Error(err)
	}
	if err := transport.Close(); err != nil {
		t.Error(err)
	}
	e.Base.CloseIdleConnections()
}

func pemCertificate(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
