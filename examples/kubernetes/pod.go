package main

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/vmsso/vmsso/vmssotest"
)

// A pod has a volume with a Secret, and a vCenter to call.
type pod struct {
	mountPath string
	url       string
	base      http.RoundTripper

	authority *vmssotest.Authority
	vcenter   *vmssotest.Automation
	server    *vmssotest.Server
	version   int // of the Secret
}

func newPod() (*pod, error) {
	mountPath, err := os.MkdirTemp("", "secret")
	if err != nil {
		return nil, err
	}
	p := &pod{mountPath: mountPath, authority: vmssotest.NewAuthority()}
	p.vcenter = vmssotest.NewAutomation(vmssotest.AutomationConfig{
		Trust: []*x509.Certificate{p.authority.Certificate()},
		OnLogin: func(l vmssotest.AutomationLogin) {
			fmt.Printf("login with %s, signed by %s\n", l.AssertionID, l.Holder.Subject.CommonName)
		},
	})
	p.server = vmssotest.Listen(p.vcenter)
	p.url, p.base = p.server.URL, p.server.Transport()
	if err := p.publish(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *pod) close() {
	p.server.Close()
	_ = os.RemoveAll(p.mountPath)
}

// rotate makes another version of the Secret, as an operator does.
func (p *pod) rotate() error {
	fmt.Println("the Secret rotates")
	return p.publish()
}

func (p *pod) publish() error {
	p.version++
	secret, err := newSecret(p.authority, p.version)
	if err != nil {
		return err
	}
	return publish(p.mountPath, p.version, secret)
}

func (p *pod) endSessions() error {
	p.vcenter.Kill()
	fmt.Println("the vCenter ends the session")
	return nil
}
