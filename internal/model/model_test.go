//go:build model

package model_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// TestMain sets how many plans are drawn for each system unless the command line says so.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "60", "rapid.nofailfile": "true"} {
		if os.Getenv(strings.ToUpper(strings.ReplaceAll(name, ".", "_"))) == "" {
			if err := flag.Set(name, value); err != nil {
				panic(err)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

func TestModel(t *testing.T) {
	authority()
	stranger()
	pairs()
	for _, sys := range systems {
		t.Run(sys.name, func(t *testing.T) {
			t.Parallel()
			failed := map[string]*violation{} // a plan that failed once is one that fails: what happens at the same time has no order
			rapid.Check(t, func(rt *rapid.T) {
				p := plans(sys).Draw(rt, "plan")
				v, ran := failed[p.String()]
				if !ran {
					if v = run(t, sys, p); v != nil {
						failed[p.String()] = v
					}
				}
				if v != nil {
					rt.Logf("%s\n%s", v.detail, v.journal)
					rt.Fatalf("%s: a rule is broken: %s", sys.name, v.rule)
				}
			})
		})
	}
}

// run runs a plan in a bubble and returns the first violation.
func run(t *testing.T, sys *system, p plan) (v *violation) {
	var w *world
	defer func() {
		if p := recover(); p != nil && v == nil {
			v = &violation{rule: "nothing is left when the bubble ends", detail: fmt.Sprint(p)}
		}
		if v != nil {
			v.journal = strings.Join(w.journal, "\n")
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w = newWorld(sys, p)
		v = w.run()
	})
	return v
}

// run does what the plan says, and then closes everything.
func (w *world) run() *violation {
	for _, a := range w.plan.actions {
		w.do(a)
	}
	if !w.plan.hasty {
		w.join(w.calls)
	}
	w.close()
	for _, a := range w.plan.after {
		w.do(a)
	}
	w.join(w.calls)
	time.Sleep(2 * time.Minute) // the server is up, and what does not heed its context has ended
	w.rest()
	time.Sleep(2 * time.Hour) // the server has forgotten what nobody knows
	w.rest()
	w.bodies()
	w.base.CloseIdleConnections()
	w.net.Close()
	if w.restart != nil {
		w.restart.Stop()
	}
	return w.broken
}

// do does one thing.
func (w *world) do(a action) {
	if w.broken != nil {
		return
	}
	w.note("* %v", a)
	switch a.do {
	case "call", "forbidden":
		w.call(a)
	case "fault":
		w.mu.Lock()
		for range a.n {
			w.faults[role(a.of)] = append(w.faults[role(a.of)], a.fault)
		}
		w.mu.Unlock()
	case "kill":
		w.kill()
	case "expire":
		time.Sleep(idle + time.Second)
	case "sleep":
		time.Sleep(a.d)
	case "restart":
		w.away(a.d)
	case "cancel":
		w.cancel(a.n)
	case "logout":
		w.logout()
	case "mistype":
		w.mistype()
	case "rotate", "rotate server", "rotate client":
		if a.do != "rotate client" {
			w.rotateServer()
		}
		if a.do != "rotate server" {
			w.learn()
		}
	}
	if !a.loose {
		w.rest()
	}
}
