package main

import (
	"fmt"
	"sync"
)

// A tally counts the calls.
type tally struct {
	mu       sync.Mutex           // guards the fields below
	faults   [faultKinds][3]int64 // calls that met it, by verdict
	faulty   [3]int64             // that met any
	reasons  map[string]int64
	failures int64
	examples []string // of failures, the first
}

// add counts a call.
func (t *tally) add(x *call, v verdict, why string, o outcome) {
	if v == failed {
		t.fail(fmt.Sprintf("%s: %s %s: %s: %v; it met %v", x.system.name, x.exchange.method, x.exchange.path, why, o, x.names()))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x.system.calls[v].Add(1)
	if v == handedUp {
		if t.reasons == nil {
			t.reasons = map[string]int64{}
		}
		t.reasons[why]++
	}
	if x.befallen.Load() != 0 {
		t.faulty[v]++
	}
	for f := range faultKinds {
		if x.met(f) {
			t.faults[f][v]++
		}
	}
}

// fail notes what should not have happened.
func (t *tally) fail(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failures++; len(t.examples) < 5 {
		t.examples = append(t.examples, what)
	}
}
