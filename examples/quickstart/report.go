package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// settling is the time that a client gets to notice that the server is back.
const settling = 300 * time.Millisecond

// row is what came of the calls of one client in one phase.
type row struct {
	phase, client            string
	calls, answered, refused int
	tries                    int // that reached the server
	p50, p99                 time.Duration
	settled                  float64       // share answered of the calls due after settling
	lastRefusal              time.Duration // when the last call that was refused was due
	breaker                  string        // its state at the end of the phase
}

func summarize(calls []call) row {
	r := row{calls: len(calls)}
	times := make([]time.Duration, 0, len(calls))
	late, lateAnswered := 0, 0
	for _, c := range calls {
		times = append(times, c.took)
		if c.due >= settling {
			late++
		}
		switch c.ending {
		case answered:
			r.answered++
			if c.due >= settling {
				lateAnswered++
			}
		case refused:
			r.refused++
			r.lastRefusal = c.due
		}
	}
	slices.Sort(times)
	r.p50, r.p99 = demo.Percentile(times, 50), demo.Percentile(times, 99)
	r.settled = demo.Share(lateAnswered, late)
	return r
}

// table is for a person to read at a glance.
func table(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-10s %-9s %6s %9s %11s %9s %9s %8s  %s\n",
		"phase", "client", "calls", "answered", "tries/call", "p50", "p99", "refused", "breaker at the end")
	last := ""
	for _, r := range rows {
		name := r.phase
		if name == last {
			name = ""
		}
		last = r.phase
		fmt.Fprintf(&b, "%-10s %-9s %6d %7.1f %% %11.2f %9s %9s %8d  %s\n",
			name, r.client, r.calls, 100*demo.Share(r.answered, r.calls), demo.Share(r.tries, r.calls),
			demo.Milliseconds(r.p50), demo.Milliseconds(r.p99), r.refused, r.breaker)
	}
	b.WriteString("Tries are counted by the server; times are those of all calls, refused ones too.\n\n")
	return b.String()
}

// promises are the figures that the default chain is to reach in the phases
// that the plan names. There is none for the slow phase, in which the breaker
// closes: it takes three answers, and how long those take is the server's doing.
func promises(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		if r.client != "magnetar" {
			continue
		}
		switch r.phase {
		case "failing":
			fmt.Fprintf(&b, "failing:   %d tries of %d calls reached the server; promised: at most %d (20 + 10 %%)\n",
				r.tries, r.calls, mostTries(r.calls))
		case "slow":
			fmt.Fprintf(&b, "slow:      the last call was refused %v after the failures had ended; %.1f %% answered from %v on\n",
				r.lastRefusal, 100*r.settled, settling)
		case "recovered":
			fmt.Fprintf(&b, "recovered: %.1f %% of the calls answered from %v on; promised: at least 99 %%\n",
				100*r.settled, settling)
		}
	}
	return b.String()
}

// mostTries is how many tries of so many calls may reach a server that fails.
func mostTries(calls int) int { return 20 + calls/10 }
