package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// span is the part of a series that is a phase.
type span struct {
	phase
	from, to int // windows
}

func (p plan) spans() []span {
	var all []span
	from := 0
	for _, ph := range p.phases {
		to := from + int(ph.lasts/window)
		all = append(all, span{ph, from, to})
		from = to
	}
	return all
}

// at is the phase of a window.
func (p plan) at(i int) phase {
	for _, s := range p.spans() {
		if i < s.to {
			return s.phase
		}
	}
	return p.phases[len(p.phases)-1]
}

// goodput of some windows is how many were answered, as a share of what the
// resource can do of what was offered.
func (r *ride) goodput(from, to int) float64 {
	can := 0.0
	for i := from; i < to; i++ {
		can += r.plan.capacity(r.plan.at(i)) * window.Seconds()
	}
	t := r.sum(from, to)
	if most := min(can, float64(t.offered)); most > 0 {
		return float64(t.ends[answered]) / most
	}
	return 0
}

// chart shows goodput and p99 over time, as far as the rides have come.
func chart(p plan, rides []*ride) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "")
	for _, s := range p.spans() {
		width := s.to - s.from
		fmt.Fprintf(&b, "%-*.*s", width, width-1, s.name)
	}
	for _, r := range rides {
		goodput, p99 := r.bars()
		fmt.Fprintf(&b, "\n%-9s goodput %s\n%-9s p99     %s", r.name, goodput, "", p99)
	}
	fmt.Fprintf(&b, "\nA column is %v; full height is all that the resource can do, and %v.", window, p.patience)
	return b.String()
}

func (r *ride) bars() (goodput, p99 string) {
	var g, t strings.Builder
	for i := range r.elapsed() {
		w := r.sum(i, i+1)
		ph := r.plan.at(i)
		can := r.plan.capacity(ph) * window.Seconds()
		g.WriteRune(bar(float64(w.ends[answered]) / can))
		t.WriteRune(bar(demo.Percentile(w.times, 99).Seconds() / r.plan.patience.Seconds()))
	}
	return g.String(), t.String()
}

// bar is a share as a column: empty only for nothing.
func bar(share float64) rune {
	heights := []rune("▁▂▃▄▅▆▇█")
	if share <= 0 {
		return ' '
	}
	return heights[min(int(share*float64(len(heights))), len(heights)-1)]
}

// line is the last second in words.
func (r *ride) line() string {
	to := r.elapsed()
	from := max(0, to-int(time.Second/window))
	t := r.sum(from, to)
	ph := r.plan.at(max(0, to-1))
	return fmt.Sprintf("%-9s %-10s %4.1f s | offered %4d | goodput %5.1f %% | p99 %9s | refused %4d | failed %4d",
		r.name, ph.name, (time.Duration(to) * window).Seconds(), t.offered, 100*r.goodput(from, to),
		percentile(t.times, 99), t.ends[refused], t.ends[failed])
}

// table is for a person to read at a glance.
func table(p plan, rides []*ride) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n\n%-10s  %-9s %9s %9s %8s %10s %10s %9s %7s\n",
		"phase", "server", "offered/s", "can do/s", "goodput", "p50", "p99", "refused", "failed")
	for _, s := range p.spans() {
		name := s.name
		for _, r := range rides {
			t := r.sum(s.from, s.to)
			fmt.Fprintf(&b, "%-10s  %-9s %9.0f %9.0f %6.1f %% %10s %10s %9d %7d\n",
				name, r.name, float64(t.offered)/s.lasts.Seconds(), p.capacity(s.phase), 100*r.goodput(s.from, s.to),
				percentile(t.times, 50), percentile(t.times, 99),
				t.ends[refused], t.ends[failed])
			name = ""
		}
	}
	b.WriteString(`Goodput is what was answered while its client waited, of what the resource could do and was asked
for; times are those of the answered; each phase counts from its first moment. Refused: 503.
`)
	for _, r := range rides {
		fmt.Fprintf(&b, "%s, the clients sent 99 %% of the requests within %s of when they were due.\n",
			r.name, demo.Milliseconds(r.lateness()))
	}
	return b.String()
}

// percentile of sorted times for a person; nothing has none.
func percentile(sorted []time.Duration, p int) string {
	if len(sorted) == 0 {
		return "-"
	}
	return demo.Milliseconds(demo.Percentile(sorted, p))
}

// The figures that Shed is to reach.
const (
	leastGoodput  = 0.95 // at a steady overload
	leastSlowed   = 0.90 // when the resource slows down
	mostTimesSlow = 3    // p99 of the answered against that at half load
)

// verdicts hold the first ride against the figures, misses too.
func verdicts(p plan, rides []*ride) string {
	var b strings.Builder
	spans, r := p.spans(), rides[0]
	calm := demo.Percentile(r.sum(spans[0].from, spans[0].to).times, 99)
	b.WriteString("\n")
	for _, s := range spans[1:] {
		t := r.sum(s.from, s.to)
		promised := leastGoodput
		if s.slower > 1 {
			promised = leastSlowed
		}
		goodput := r.goodput(s.from, s.to)
		slow := demo.Percentile(t.times, 99).Seconds() / (calm.Seconds() * s.slowdown())
		fmt.Fprintf(&b, "%-10s  goodput %.3f, promised ≥ %.2f: %-6s  p99 %.1f x, promised ≤ %d x: %s\n", s.name,
			goodput, promised, verdict(goodput >= promised), slow, mostTimesSlow, verdict(slow > 0 && slow <= mostTimesSlow))
	}
	fmt.Fprintf(&b, "p99 is of the answered, as a multiple of %s, that of %s, times the slowdown.\n", demo.Milliseconds(calm), spans[0].name)
	return b.String()
}

func verdict(reached bool) string {
	if reached {
		return "kept"
	}
	return "missed"
}
