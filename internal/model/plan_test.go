//go:build model

package model_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// A plan is what happens in one run. It is drawn before the run: rapid gives up a draw by a panic, which has no place in a bubble of synctest.
type plan struct {
	source            string        // of tokens: what is rotated
	keepAlive, maxAge time.Duration // 0: none
	actions           []action
	hasty             bool     // Close does not wait for the calls under way
	after             []action // use after Close
}

// An action is one thing that happens.
type action struct {
	do    string
	of    string        // the kind of call, or the stage of a login that meets the fault
	n     int           // how many callers, or how many logins meet the fault
	d     time.Duration // when the callers' contexts end, how long the server is away, how long nothing happens
	fault fault
	loose bool // the next action does not wait until everything has come to rest
	join  bool // the next action waits for these calls
	turn  bool // one call waits for the other
}

// A fault is what happens to a request on its way.
type fault struct {
	how   string // "": nothing
	d     time.Duration
	times int // how many requests of a call meet it
}

// forever is the end of a context that has none.
const forever = time.Duration(-1)

func (f fault) String() string {
	if f.how == "" {
		return ""
	}
	return fmt.Sprintf(" %s %v ×%d", f.how, f.d, f.times)
}

func (a action) String() string {
	s := a.do
	switch a.do {
	case "call", "forbidden":
		s = fmt.Sprintf("%s %d × %s", a.do, a.n, a.of)
		if a.d != forever {
			s += fmt.Sprintf(" within %v", a.d)
		}
		s += a.fault.String()
	case "fault":
		s = fmt.Sprintf("%d × %s to a %s", a.n, a.fault, a.of)
	case "sleep", "restart":
		s += " " + a.d.String()
	case "cancel":
		s += fmt.Sprintf(" each %d.", a.n)
	}
	if a.loose {
		s += ", loose"
	}
	if a.turn {
		s += ", in turn"
	}
	if a.join {
		s += ", join"
	}
	return s
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "source %s, KeepAlive %v, MaxAge %v, hasty %t\n", p.source, p.keepAlive, p.maxAge, p.hasty)
	for _, a := range p.actions {
		fmt.Fprintf(&b, "  %v\n", a)
	}
	b.WriteString("  Close\n")
	for _, a := range p.after {
		fmt.Fprintf(&b, "  %v\n", a)
	}
	return b.String()
}

// GoString is what rapid prints.
func (p plan) GoString() string { return p.String() }

// plans draws plans for a system. The first of the choices is what a failure is reduced to.
func plans(sys *system) *rapid.Generator[plan] {
	return rapid.Custom(func(t *rapid.T) plan { return drawPlan(t, sys) })
}

func drawPlan(t *rapid.T, sys *system) plan {
	p := plan{
		source:    rapid.SampledFrom([]string{"password", "certificate", "both", "token"}).Draw(t, "source"),
		keepAlive: rapid.SampledFrom([]time.Duration{0, 0, 10 * time.Minute, 45 * time.Minute}).Draw(t, "KeepAlive"),
		maxAge:    rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Minute, 2 * time.Minute}).Draw(t, "MaxAge"),
		hasty:     rapid.Bool().Draw(t, "hasty"),
	}
	p.actions = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action { return drawAction(t, sys) }), 5, 60).Draw(t, "actions")
	p.after = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action { return drawAction(t, sys) }), 0, 4).Draw(t, "after")
	return p
}

// The actions, as often as they are to be drawn.
var actions = []string{
	"call", "call", "call", "call", "call", "call", "call", "call", "call", "call", "call", "call",
	"kill", "kill", "kill", "sleep", "sleep", "cancel", "cancel", "forbidden", "forbidden",
	"fault", "fault", "fault", "fault", "expire", "restart", "logout", "mistype", "rotate", "rotate server", "rotate client",
}

func drawAction(t *rapid.T, sys *system) action {
	a := action{do: rapid.SampledFrom(actions).Draw(t, "do"), n: 1, d: forever}
	switch a.do {
	case "call", "forbidden":
		drawCall(t, sys, &a)
	case "fault":
		drawFault(t, &a)
	case "sleep":
		a.d = rapid.SampledFrom([]time.Duration{time.Second, 31 * time.Second, 181 * time.Second, 16 * time.Minute}).Draw(t, "d")
	case "restart":
		a.d = rapid.SampledFrom([]time.Duration{0, 400 * time.Millisecond, 5 * time.Second, time.Minute}).Draw(t, "d")
	case "cancel":
		a.n = rapid.IntRange(1, 3).Draw(t, "n")
	}
	a.loose = rapid.IntRange(0, 3).Draw(t, "loose") == 3
	return a
}

func drawCall(t *rapid.T, sys *system, a *action) {
	kinds := sys.kinds
	if a.do == "forbidden" {
		kinds = slices.DeleteFunc(slices.Clone(kinds), func(of string) bool {
			return of == "logout" || of == "session"
		})
	}
	a.of = rapid.SampledFrom(kinds).Draw(t, "of")
	a.n = rapid.SampledFrom([]int{1, 1, 1, 2, 5, 20}).Draw(t, "n")
	if a.of == "logout" {
		a.n = 1
	}
	a.join, a.turn = rapid.Bool().Draw(t, "join"), rapid.Bool().Draw(t, "turn")
	a.d = rapid.SampledFrom([]time.Duration{forever, forever, forever, 10 * time.Second, time.Second, 0}).Draw(t, "d")
	if a.do == "forbidden" || a.of == "session" {
		return
	}
	a.fault.how = rapid.SampledFrom([]string{"", "", "", "", "", "late", "slow", "busy", "drop", "swallow", "cut"}).Draw(t, "how")
	switch a.fault.how {
	case "":
		return
	case "late", "slow":
		a.fault.d = rapid.SampledFrom([]time.Duration{3 * time.Second, 19 * time.Second, 35 * time.Second}).Draw(t, "d")
	case "busy":
		a.fault.d = rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Second}).Draw(t, "d")
	}
	a.fault.times = rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "times")
}

// drawFault draws what happens to the next requests by which the library logs in, asks whether the session is alive, and logs out. No sum of the
// times is LoginTimeout, so that it is certain what comes first.
func drawFault(t *rapid.T, a *action) {
	a.of = rapid.SampledFrom([]string{"login", "login", "login", "hello", "sts", "probe", "logout"}).Draw(t, "of")
	a.n = rapid.SampledFrom([]int{1, 1, 2, 5}).Draw(t, "n")
	hows := []string{"slow", "late", "busy", "drop", "swallow", "cut"}
	switch a.of {
	case "login":
		hows = append(hows, "late", "swallow", "refuse", "refuse", "full", "deaf")
	case "hello":
		hows = append(hows, "full", "deaf")
	case "sts":
		hows = append(hows, "deaf")
	}
	a.fault = fault{how: rapid.SampledFrom(hows).Draw(t, "how"), times: 1}
	a.fault.d = rapid.SampledFrom([]time.Duration{3 * time.Second, 11 * time.Second, 17 * time.Second, 41 * time.Second}).Draw(t, "d")
}
