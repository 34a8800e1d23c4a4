package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A chart has groups of horizontal bars on one scale. Where a group has a limit,
// a line is drawn at it.
type chart struct {
	file, title, about string
	limit              string // what the line stands for
	unit               string // see show
	groups             []group
}

type group struct {
	label string
	limit float64 // 0: none
	bars  []bar
}

type bar struct {
	label string
	own   bool // the library's
	value float64
}

// The measures of a chart, in pixels.
const (
	width  = 760
	left   = 190 // of the bars
	right  = 650
	line   = 20 // of text and bar
	gap    = 14
	top    = 64
	bottom = 40
)

// style suits light and dark pages.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.about{font-size:11px;fill:#59636e}.group{font-weight:600}
.own{fill:#0969da}.other{fill:#8c959f}.limit{stroke:#cf222e;stroke-width:2}.limits{fill:#cf222e;font-size:11px}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.about{fill:#9198a1}.own{fill:#4493f8}.other{fill:#656c76}.limit{stroke:#f85149}.limits{fill:#f85149}}
</style>
`

// svg draws the chart.
func (c chart) svg() []byte {
	most := 0.0
	height := top + bottom
	for _, g := range c.groups {
		height += line + gap + line*len(g.bars)
		most = max(most, g.limit)
		for _, b := range g.bars {
			most = max(most, b.value)
		}
	}
	x := func(v float64) float64 { return left + math.Max(v, 0)/most*(right-left) }
	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s">`+"\n", width, height, html.EscapeString(c.title))
	w.WriteString(style)
	write := func(class string, x, y float64, anchor, text string) {
		fmt.Fprintf(&w, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
	}
	write("title", 12, 26, "start", c.title)
	write("about", 12, 46, "start", c.about)
	y := float64(top)
	for _, g := range c.groups {
		write("group", 12, y+14, "start", g.label)
		start := y + line
		y = start
		for _, b := range g.bars {
			class := "other"
			if b.own {
				class = "own"
			}
			write("", left-8, y+14, "end", b.label)
			fmt.Fprintf(&w, `<rect class="%s" x="%d" y="%.1f" width="%.1f" height="%d"/>`+"\n", class, left, y+3, math.Max(x(b.value)-left, 1), line-6)
			write("", x(b.value)+6, y+14, "start", show(b.value, c.unit))
			y += line
		}
		if g.limit > 0 {
			fmt.Fprintf(&w, `<line class="limit" x1="%.1f" x2="%.1[1]f" y1="%.1f" y2="%.1f"/>`+"\n", x(g.limit), start, y)
		}
		y += gap
	}
	write("limits", 12, y+16, "start", "red line: "+c.limit)
	w.WriteString("</svg>\n")
	return w.Bytes()
}
