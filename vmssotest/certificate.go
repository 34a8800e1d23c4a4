package vmssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"time"
)

// The certificates of this package are valid for longer than any clock of a test is off: testing/synctest begins in the year 2000.
func validFrom() time.Time { return time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) }
func validTo() time.Time   { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// NewKeyPair returns a self-signed certificate for key, as a client uses it for a holder-of-key token: valid from 1990 to 2100, common name subject,
// Leaf filled in. A nil key stands for a new RSA key of 2048 bits. It panics if the key cannot sign (RSA, ECDSA and Ed25519 can).
func NewKeyPair(subject string, key crypto.Signer) tls.Certificate {
	return NewKeyPairBetween(subject, key, validFrom(), validTo())
}

// NewKeyPairBetween is NewKeyPair with a validity of one's own, for certificates that have expired or are not yet valid.
func NewKeyPairBetween(subject string, key crypto.Signer, notBefore, notAfter time.Time) tls.Certificate {
	if key == nil {
		key = newRSAKey()
	}
	template := &x509.Certificate{
		SerialNumber: serialNumber(),
		Subject:      pkix.Name{CommonName: subject, Organization: []string{"vmssotest"}},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	return createCertificate(template, template, key, key)
}

// createCertificate makes a certificate for key, signed by issuer.
func createCertificate(template, parent *x509.Certificate, key, issuer crypto.Signer) tls.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), issuer)
	if err != nil {
		panic("vmssotest: create certificate: " + err.Error())
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic("vmssotest: parse own certificate: " + err.Error())
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// tlsAuthority issues the certificates of TLS servers.
type tlsAuthority struct{ cert tls.Certificate }

func newTLSAuthority() *tlsAuthority {
	key := newECDSAKey()
	template := &x509.Certificate{
		SerialNumber:          serialNumber(),
		Subject:               pkix.Name{CommonName: "vmssotest CA", Organization: []string{"vmssotest"}},
		NotBefore:             validFrom(),
		NotAfter:              validTo(),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	return &tlsAuthority{createCertificate(template, template, key, key)}
}

// leaf issues a server certificate for these names or addresses.
func (a *tlsAuthority) leaf(hosts ...string) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: serialNumber(),
		Subject:      pkix.Name{CommonName: hosts[0], Organization: []string{"vmssotest"}},
		NotBefore:    validFrom(),
		NotAfter:     validTo(),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return createCertificate(template, a.cert.Leaf, newECDSAKey(), a.cert.PrivateKey.(crypto.Signer))
}

func (a *tlsAuthority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert.Leaf)
	return pool
}

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("vmssotest: generate RSA key: " + err.Error())
	}
	return key
}

func newECDSAKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("vmssotest: generate ECDSA key: " + err.Error())
	}
	return key
}

func serialNumber() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[0] &= 0x7f // positive
	return new(big.Int).SetBytes(b)
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
