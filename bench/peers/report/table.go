package main

import (
	"fmt"
	"math"
	"strings"
)

// A claim is one line of the table.
type claim struct {
	what string
	unit string // of figure and goal: ns, B, allocs, x, goroutines
	figure
	most  float64 // the goal
	other string  // what other is, empty if there is none
	peer  figure
}

// A section has a title and claims.
type section struct {
	title  string
	claims []claim
}

// table is the Markdown of all sections.
func (r *results) table(about string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n", about)
	for _, s := range sections() {
		fmt.Fprintf(&b, "| %s | goal | measured | | others |\n| --- | --- | --- | --- | --- |\n", s.title)
		for _, c := range s.claims {
			v := c.figure(r)
			mark := "met"
			if v > c.most {
				mark = "**missed**"
			}
			other := ""
			if c.peer != nil {
				other = c.other + ": " + show(c.peer(r), c.unit)
			}
			fmt.Fprintf(&b, "| %s | ≤ %s | %s | %s | %s |\n", c.what, show(c.most, c.unit), show(v, c.unit), mark, other)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// show writes a number with three digits.
func show(v float64, unit string) string {
	scales := map[string][]string{"ns": {"ns", "µs", "ms", "s"}, "B": {"B", "KB", "MB"}}[unit]
	if scales == nil {
		if unit == "x" {
			return digits(v) + "x"
		}
		return digits(v) + " " + unit
	}
	i := 0
	for ; i < len(scales)-1 && math.Abs(v) >= 1000; i++ {
		v /= 1000
	}
	return digits(v) + " " + scales[i]
}

// digits writes about three digits, and no zeros behind the point.
func digits(v float64) string {
	places := 0
	switch a := math.Abs(v); {
	case a < 0.0995 && a >= 0.00005:
		places = 4
	case a < 9.995:
		places = 2
	case a < 99.95:
		places = 1
	}
	text := fmt.Sprintf("%.*f", places, v)
	if places > 0 {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}
