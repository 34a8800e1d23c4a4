package main

import (
	"fmt"

	"github.com/vmsso/vmsso/vmssotest"
)

// A domain is vCenters of one SSO domain, each on a host of its own.
type domain struct {
	network  *vmssotest.Network // in memory: it has names
	sts      string             // the URL of their token service, which all of them have
	hosts    []string
	vcenters map[string]*vmssotest.VCenter // by host
}

// newDomain starts them all but vc042.
func newDomain(n int) *domain {
	d := &domain{
		network:  vmssotest.NewNetwork(),
		sts:      "https://vc001.example.com/sts/STSService",
		vcenters: map[string]*vmssotest.VCenter{},
	}
	config := vmssotest.VCenterConfig{
		Authority: vmssotest.NewAuthority(), // whose tokens all of them accept
		Users:     map[string]string{"alice@vsphere.local": "secret"},
	}
	for i := range n {
		host := fmt.Sprintf("vc%03d.example.com", i+1)
		d.hosts = append(d.hosts, host)
		if host != "vc042.example.com" {
			d.vcenters[host] = vmssotest.NewVCenter(config)
			d.network.Serve(host, d.vcenters[host])
		}
	}
	return d
}

func (d *domain) tokens() int {
	return d.sum(func(v *vmssotest.VCenter) int { return v.STS.Issued() })
}

func (d *domain) logins() int { return d.sum((*vmssotest.VCenter).Logins) }

func (d *domain) sessions() int { return d.sum((*vmssotest.VCenter).Sessions) }

// sum adds up what the vCenters have counted.
func (d *domain) sum(count func(*vmssotest.VCenter) int) (n int) {
	for _, vcenter := range d.vcenters {
		n += count(vcenter)
	}
	return n
}
