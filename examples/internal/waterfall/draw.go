package waterfall

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Draw draws the spans of a trace. Spans whose parent is not among them are
// drawn as roots; of none, it says so.
func Draw(title string, spans []sdktrace.ReadOnlySpan, th Theme) string {
	rows := grow(spans)
	d := &drawing{theme: th, rows: rows, scale: scaleOf(rows)}
	d.height = headerHeight + max(1, len(rows))*rowHeight + footerHeight
	d.head(title)
	d.bands()
	d.axis()
	for i, r := range rows {
		d.row(i, r)
	}
	if len(rows) == 0 {
		d.text(margin, headerHeight+rowMiddle, "muted", nothing)
	}
	d.legend()
	d.linef("</svg>")
	return d.String()
}

// The places of things, in pixels. All but the title is set in a monospaced
// font, so that how wide a text is can be told without measuring it.
const (
	width  = 880
	margin = 24

	headerHeight = 92
	rowHeight    = 30
	rowMiddle    = 15
	footerHeight = 54
	barHeight    = 14

	indent    = 18
	deepest   = 8 // from there on nothing is indented further
	namesEnd  = 270
	timeStart = 286
	timeEnd   = 566
	lastsEnd  = 640
	noteStart = 658

	fontSize  = 13
	charWidth = 7.85
)

type drawing struct {
	strings.Builder

	theme  Theme
	rows   []row
	scale  scale
	height int
}

func (d *drawing) linef(format string, args ...any) {
	_, _ = fmt.Fprintf(d, format+"\n", args...) // a builder takes all
}

const style = `<style>
text { font: %dpx ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; fill: %s; dominant-baseline: central }
.title { font: 600 17px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, "DejaVu Sans", sans-serif }
.muted { fill: %s }
.end { text-anchor: end }
.middle { text-anchor: middle }
.resend { fill: %s; font-weight: 600 }
.error { fill: %s; font-weight: 600 }
</style>`

func (d *drawing) head(title string) {
	th := d.theme
	d.linef(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`,
		width, d.height, width, d.height)
	d.linef(`<title id="title">%s</title>`, safe(title))
	d.linef(`<desc id="desc">%s</desc>`, safe(describe(d.rows)))
	d.linef(style, fontSize, th.Text, th.Muted, th.Resend, th.Failed)
	d.linef(`<defs><pattern id="failed" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
		`<rect width="7" height="7" fill="` + th.Failed + `"/><rect width="2.5" height="7" fill="` + th.Stripe + `"/></pattern></defs>`)
	d.linef(`<rect x="0.5" y="0.5" width="%d" height="%d" rx="8" fill="%s" stroke="%s"/>`, width-1, d.height-1, th.Background, th.Grid)
	d.linef(`<text class="title" x="%d" y="32">%s</text>`, margin, safe(fit(title, width-2*margin, 10)))
}

// bands lead the eye from a name to what is told of it.
func (d *drawing) bands() {
	for i := 0; i < len(d.rows); i += 2 {
		d.linef(`<rect x="8" y="%d" width="%d" height="%d" rx="4" fill="%s"/>`, headerHeight+i*rowHeight, width-16, rowHeight, d.theme.Band)
	}
}

// axis draws the lines of time, and what they stand for.
func (d *drawing) axis() {
	bottom := d.height - footerHeight + 6
	for _, at := range d.scale.ticks() {
		x := number(d.scale.x(at))
		d.linef(`<line x1="%s" y1="%d" x2="%s" y2="%d" stroke="%s"/>`, x, headerHeight-10, x, bottom, d.theme.Grid)
		d.linef(`<text class="muted middle" x="%s" y="%d">%s</text>`, x, headerHeight-22, d.scale.label(at))
	}
	d.linef(`<text class="muted" x="%d" y="%d">span</text>`, margin, headerHeight-22)
	d.linef(`<text class="muted end" x="%d" y="%d">lasts</text>`, lastsEnd, headerHeight-22)
	d.linef(`<text class="muted" x="%d" y="%d">tells</text>`, noteStart, headerHeight-22)
}

func (d *drawing) row(i int, r row) {
	top := headerHeight + i*rowHeight
	middle := top + rowMiddle
	d.linef(`<g><title>%s</title>`, safe(r.String()))
	d.branches(r, top)
	d.name(r, middle)
	d.bar(r, middle)
	d.text(lastsEnd, middle, "end", r.lasts())
	d.notes(r, middle)
	d.linef(`</g>`)
}

// branches are the lines of the tree that pass through a row.
func (d *drawing) branches(r row, top int) {
	if len(r.goesOn) > deepest {
		return
	}
	for depth, goesOn := range r.goesOn {
		x := number(float64(margin + depth*indent + 4))
		switch {
		case depth < len(r.goesOn)-1 && goesOn:
			d.linef(`<path d="M%s %dv%d" stroke="%s" fill="none"/>`, x, top, rowHeight, d.theme.Tree)
		case depth == len(r.goesOn)-1 && goesOn:
			d.linef(`<path d="M%s %dv%dm0 %dh9" stroke="%s" fill="none"/>`, x, top, rowHeight, rowMiddle-rowHeight, d.theme.Tree)
		case depth == len(r.goesOn)-1:
			d.linef(`<path d="M%s %dv%dh9" stroke="%s" fill="none"/>`, x, top, rowMiddle, d.theme.Tree)
		}
	}
}

// name is followed by the service, where that is another one than the parent's.
func (d *drawing) name(r row, middle int) {
	x := float64(margin + min(len(r.goesOn), deepest)*indent)
	service := ""
	if r.enters {
		service = fit(r.service, 12*charWidth, charWidth)
	}
	room := namesEnd - x
	if service != "" {
		room -= textWidth(service) + charWidth
	}
	name := fit(r.name, room, charWidth)
	d.text(x, middle, "", name)
	if service != "" {
		d.text(x+textWidth(name)+charWidth, middle, "muted", service)
	}
}

// text writes what is no name of anything in the SVG.
func (d *drawing) text(x float64, y int, class, s string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	d.linef(`<text%s x="%s" y="%d">%s</text>`, class, number(x), y, safe(s))
}

const nothing = "No spans were recorded."

// safe is s as the content of an element, less what would not be seen but could
// do harm: control characters, and those that turn the direction of writing.
func safe(s string) string {
	s = strings.Map(visible, s)
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes all
	return b.String()
}

// number has as many digits as a screen can show.
func number(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}
