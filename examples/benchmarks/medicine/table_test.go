package medicine

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
	"time"
)

func report(rows []outcome) {
	if !testing.Verbose() {
		return
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "\nclients\tdeadline\tload\tgoodput\tanswered\theld back\ttries per call\tholds\tp50\tp99\tbreakers\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\t%g×\t%.3f\t%.3f\t%.3f\t%.3f\t%d\t%v\t%v\t%s\t\n", r.clients, deadline(r.patience), r.load,
			r.goodput, r.answered, r.held, r.tries, r.holds, ms(r.p50), ms(r.p99), state(r.closed))
	}
	fmt.Fprintln(w)
}

func deadline(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

func state(closed bool) string { return map[bool]string{true: "closed", false: "opened"}[closed] }

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
