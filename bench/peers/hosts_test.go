package peers_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	vim "github.com/vmware/govmomi/vim25/soap"
	"golang.org/x/oauth2"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/bench/internal/rig"
	"github.com/vmsso/vmsso/tokensource"
)

// BenchmarkHosts is the memory of what one client for each of 10,000 hosts takes,
// logged in and without connections.
func BenchmarkHosts(b *testing.B) {
	base := rig.NewStub()
	source := tokensource.Reuse(tokensource.Static(rig.Token()), 0)
	row := func(name string, one func(i int) any) {
		b.Run(name, func(b *testing.B) {
			for _, made := range rig.PerHost(b, 10_000, one) {
				if client, ok := made.(*http.Client); ok {
					if tr, ok := client.Transport.(*vmsso.Transport); ok {
						tr.Close()
					}
				}
			}
		})
	}
	row("vmsso", func(i int) any {
		client, tr, err := vmsso.Wrap(nil, vmsso.Config{Endpoint: host(i).String(), Source: source, Auth: rig.Cookie{}, Base: base})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tr.Session(context.Background()); err != nil {
			b.Fatal(err)
		}
		return client
	})
	row("oauth2", func(int) any { return &http.Client{Transport: &oauth2.Transport{Source: reuse(), Base: base}} })
	row("govmomi", func(i int) any {
		client := vim.NewClient(host(i), false)
		client.Jar.SetCookies(host(i), []*http.Cookie{{Name: rig.SessionCookie, Value: strings.Clone(rig.SessionID), Path: "/", Secure: true}})
		return client
	})
}
