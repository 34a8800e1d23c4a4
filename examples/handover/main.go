// Handover logs in, gives the session to a program that takes only a cookie or a
// token, and shows what becomes of it. See docs/other-programs.md.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/vmsso/vmsso"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	for _, s := range startSystems() {
		if err := handOver(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// handOver lets another program use a session, before and after its end.
func handOver(ctx context.Context, s *system) error {
	defer s.server.Close()
	transport, err := vmsso.New(vmsso.Config{Endpoint: s.server.URL, Source: s.source, Auth: s.auth, Base: s.server.Transport()})
	if err != nil {
		return err
	}
	defer transport.Close()
	session, err := transport.Session(ctx) // logs in
	if err != nil {
		return err
	}
	header, value, err := s.take(session)
	if err != nil {
		return err
	}
	other := &otherProgram{s, header, value}
	before, err := other.call(ctx)
	if err != nil {
		return err
	}
	if err := transport.Close(); err != nil { // ends the other program's session too
		return err
	}
	after, err := other.call(ctx)
	fmt.Printf("%-19s by %s: %s; after Close: %s\n", s.name, header, before, after)
	return err
}
