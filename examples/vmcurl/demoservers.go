package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/vmsso/vmsso/vmssotest"
)

const (
	demoUser     = "alice@vsphere.local"
	demoPassword = "correct horse battery staple"
	demoEntityID = "https://cloud.example.com/saml/metadata"

	demoMessage = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>
<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>
</Body></Envelope>
`
)

// demoServers are a strict vCenter and a strict Cloud Director, and a directory with
// what a user of them has.
type demoServers struct {
	vcenter, director *vmssotest.Server
	services          *vmssotest.VCenter
	cloud             *vmssotest.Director
	dir               string
}

func startDemo() (_ *demoServers, err error) {
	// The servers panic if they cannot listen, as those of net/http/httptest do.
	// That is the one thing that may fail on a user's machine.
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("no port of 127.0.0.1 to listen on: %w", err)
	}
	probe.Close()
	dir, err := os.MkdirTemp("", "vmcurl-demo-")
	if err != nil {
		return nil, err
	}
	machine, issuer := vmssotest.NewKeyPair("backup", nil), vmssotest.NewAuthority()
	services := vmssotest.NewVCenter(vmssotest.VCenterConfig{
		Users:         map[string]string{demoUser: demoPassword},
		SolutionUsers: map[string]*x509.Certificate{"backup": machine.Leaf},
	})
	s := &demoServers{
		dir:      dir,
		services: services,
		cloud: vmssotest.NewDirector(vmssotest.DirectorConfig{
			Trust: []*x509.Certificate{issuer.Certificate(), services.Authority.Certificate()}, // the vCenter's users may come too
			Orgs:  map[string]string{"System": demoEntityID, "Finance": demoEntityID},
		}),
	}
	s.vcenter, s.director = vmssotest.Listen(services), vmssotest.Listen(s.cloud)
	token := issuer.Issue(vmssotest.Claims{Subject: "bob@example.com", Audiences: []string{demoEntityID}})
	if err := s.writeFiles(machine, token); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// writeFiles writes what a user has.
func (s *demoServers) writeFiles(machine tls.Certificate, token string) error {
	key, err := x509.MarshalPKCS8PrivateKey(machine.PrivateKey)
	if err != nil {
		return err
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, content := range map[string]string{
		"ca.pem":      block("CERTIFICATE", s.vcenter.Certificate().Raw) + block("CERTIFICATE", s.director.Certificate().Raw),
		"cert.pem":    block("CERTIFICATE", machine.Leaf.Raw),
		"key.pem":     block("PRIVATE KEY", key),
		"password":    demoPassword + "\n",
		"token.xml":   token,
		"message.xml": demoMessage,
	} {
		if err := os.WriteFile(s.file(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *demoServers) file(name string) string { return filepath.Join(s.dir, name) }

// asMachine is the command line of the solution user.
func (s *demoServers) asMachine(args ...string) []string {
	return append([]string{"-vcenter", s.vcenter.URL, "-cert", s.file("cert.pem"), "-key", s.file("key.pem")}, args...)
}

// counts is what the servers have counted.
func (s *demoServers) counts() string {
	return fmt.Sprintf("logins so far: REST %d, SOAP %d, Director %d; open sessions: %d",
		s.services.Automation.Logins(), s.services.VSphere.Logins(), s.cloud.Logins(), s.services.Sessions()+s.cloud.Sessions())
}

func (s *demoServers) close() {
	s.vcenter.Close()
	s.director.Close()
	_ = os.RemoveAll(s.dir)
}
