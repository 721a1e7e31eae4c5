package waterfall

import "fmt"

// bar draws when a span was.
func (d *drawing) bar(r row, middle int) {
	from, to := d.scale.of(r.began), d.scale.of(r.began.Add(r.took))
	if r.kind == instant {
		d.diamond(from, middle)
		return
	}
	d.box(r.look(), from, max(2, to-from), middle)
}

func (d *drawing) box(k kind, x, w float64, middle int) {
	fill, stroke := d.theme.of(k), ""
	switch k {
	case failed:
		fill, stroke = "url(#failed)", ` stroke="`+d.theme.Failed+`"`
	case wait:
		fill, stroke = d.theme.Band, ` stroke="`+d.theme.Decision+`" stroke-width="1.5" stroke-dasharray="4 3"`
	}
	d.linef(`<rect x="%s" y="%d" width="%s" height="%d" rx="3" fill="%s"%s/>`, number(x), middle-barHeight/2, number(w), barHeight, fill, stroke)
}

func (d *drawing) diamond(x float64, middle int) {
	d.linef(`<path d="M%s %dl5 5-5 5-5-5z" fill="%s" stroke="%s" stroke-width="1.5"/>`, number(x), middle-5, d.theme.Background, d.theme.Decision)
}

// notes are what a span tells: framed its error, its resend count and that it
// has links, then the rest.
func (d *drawing) notes(r row, middle int) {
	x := float64(noteStart)
	if r.failed {
		x = d.badge(x, middle, "error", d.theme.Failed, "error")
	}
	if r.resend > 0 {
		x = d.badge(x, middle, "resend", d.theme.Resend, fmt.Sprintf("resend %d", r.resend))
	}
	if r.links > 0 {
		x = d.badge(x, middle, "muted", d.theme.Muted, counted(int64(r.links), "link", "links"))
	}
	d.text(x, middle, "", fit(r.tells, width-margin-x, charWidth))
}

// badge returns where the next thing goes.
func (d *drawing) badge(x float64, middle int, class, colour, s string) float64 {
	w := textWidth(s) + 12
	d.linef(`<rect x="%s" y="%d" width="%s" height="18" rx="9" fill="none" stroke="%s"/>`, number(x), middle-9, number(w), colour)
	d.text(x+6, middle, class, s)
	return x + w + 8
}

// legend says what the bars stand for.
func (d *drawing) legend() {
	middle := d.height - footerHeight/2 + 4
	x := float64(margin)
	entry := func(w float64, mark func(x float64), s string) {
		mark(x)
		d.text(x+w+8, middle, "muted", s)
		x += w + 8 + textWidth(s) + 26
	}
	const w = 26
	d.linef(`<g>`)
	entry(w, func(x float64) { d.box(call, x, w, middle) }, "call")
	entry(w, func(x float64) { d.box(try, x, w, middle) }, "try")
	entry(w, func(x float64) { d.box(server, x, w, middle) }, "server")
	entry(w, func(x float64) { d.box(failed, x, w, middle) }, "failed")
	entry(w, func(x float64) { d.box(wait, x, w, middle) }, "decision that waits")
	entry(10, func(x float64) { d.diamond(x+5, middle) }, "decision at once")
	d.linef(`</g>`)
}
