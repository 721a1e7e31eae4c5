package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/pool"
)

// view is what there is to see while the plan is played.
type view struct {
	plan   plan
	stage  *stage
	fleet  *fleet
	load   *load
	pool   *pool.Transport
	events *events

	samples []sample // of the last second
}

// sample is how many tries each server had got at a time.
type sample struct {
	at    time.Time
	tries []int64
}

// look takes a sample, and returns the tries of the last second or so.
func (v *view) look() []int64 {
	now := sample{at: time.Now(), tries: v.load.counts(v.fleet)}
	v.samples = append(v.samples, now)
	for len(v.samples) > 1 && now.at.Sub(v.samples[1].at) >= time.Second {
		v.samples = v.samples[1:]
	}
	recent := make([]int64, len(now.tries))
	for i, n := range now.tries {
		recent[i] = n - v.samples[0].tries[i]
	}
	return recent
}

const (
	barWidth = 20
	shown    = 6 // events
)

// block is a table of the servers, and what happened last.
func (v *view) block() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%4.1f s  %-40s %6d calls answered, %d failed\n\n", time.Since(v.stage.began).Seconds(),
		v.stage.scene.Load().says, v.load.answered.Load(), v.load.lost.Load())
	fmt.Fprintf(&b, "%-11s %-9s %-*s  %5s  %9s  %6s  %7s  %6s  %s\n",
		"server", "speaks", barWidth, "tries in a second", "", "in flight", "conns", "oldest", "newest", "state")
	recent := v.look()
	states := v.states()
	for i, s := range v.fleet.servers {
		part := demo.Share(int(recent[i]), int(sum(recent)))
		st := states[s.address]
		fmt.Fprintf(&b, "%-11s %-9s %-*s  %3.0f %%  %9d  %6d  %7s  %6s  %s\n", s.ip(), s.protocol, barWidth, bar(part), 100*part,
			st.inFlight, s.conns.Load(), age(st.oldest), age(st.newest), st)
	}
	b.WriteString("\n")
	list := v.events.all()
	for _, e := range list[max(0, len(list)-shown):] {
		fmt.Fprintf(&b, "%v\n", e)
	}
	return b.String()
}

// line is the last second in words.
func (v *view) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%4.1f s  %-35s", time.Since(v.stage.began).Seconds(), v.stage.scene.Load().says)
	recent := v.look()
	states := v.states()
	for i, s := range v.fleet.servers {
		part := 100 * demo.Share(int(recent[i]), int(sum(recent)))
		fmt.Fprintf(&b, " | %s %3.0f %% %2d conns, %-10s", s.name(), part, s.conns.Load(), states[s.address].name)
	}
	fmt.Fprintf(&b, " | %d answered, %d failed", v.load.answered.Load(), v.load.lost.Load())
	return b.String()
}

// bar is a share as a line of blocks, eighths of them at its end.
func bar(share float64) string {
	eighths := int(share*barWidth*8 + 0.5)
	b := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		b += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return b
}

func age(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func sum(of []int64) (total int64) {
	for _, n := range of {
		total += n
	}
	return total
}
