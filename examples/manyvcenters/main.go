// Manyvcenters asks a hundred vCenters of one SSO domain, many at once and all with
// one token, for inventories and the like. One that is down stops none of the others.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/vmsso/vmsso"
	"github.com/vmsso/vmsso/tokensource"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	domain := newDomain(100) // instead of a hundred vCenters; one is down
	defer domain.network.Close()
	base := domain.network.Transport() // instead of a clone of http.DefaultTransport; one for all
	sts, err := tokensource.NewSTS(tokensource.STSConfig{URL: domain.sts, Username: "alice@vsphere.local", Password: "secret", Base: base})
	if err != nil {
		return err
	}
	total := 0
	for i, got := range ask(ctx, domain.hosts, tokensource.Reuse(sts, 0), base) { // Reuse: one token for all
		if got.err != nil {
			log.Print(got.err)
			fmt.Println("failed:", domain.hosts[i])
		}
		total += got.vms
	}
	fmt.Printf("%d vCenters, %d VMs; tokens: %d, logins: %d, sessions left: %d\n",
		len(domain.hosts), total, domain.tokens(), domain.logins(), domain.sessions())
	return nil
}

func ask(ctx context.Context, hosts []string, source vmsso.TokenSource, base http.RoundTripper) []answer {
	answers := make([]answer, len(hosts))
	progress := newProgress(os.Stderr, len(hosts))
	var group errgroup.Group // without a context, so that none is cancelled because another one fails
	group.SetLimit(20)
	for i, host := range hosts {
		group.Go(func() error {
			answers[i].vms, answers[i].err = countVMs(ctx, "https://"+host, source, base)
			progress.step()
			return nil
		})
	}
	_ = group.Wait() // nil: each answer has its own error
	return answers
}
