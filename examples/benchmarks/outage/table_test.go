package outage

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"
)

func printOutages(rows []tally) {
	if !testing.Verbose() {
		return
	}
	w := newTable("outage of 3 s (2.5 to 3.5 s by seed); answered: of the calls in the 5 s from the recovery on;\nall well after: the last call that failed, median and worst seed; of allowed: 20 tries + 10 % of the calls")
	defer w.Flush()
	fmt.Fprintln(w, "\tcalls/s\tclient\ttries per call\tof allowed\tanswered\tall well after\tworst\tslowest refusal\tseeds\t")
	var was string
	for _, r := range rows {
		if r.fault != was {
			was = r.fault
			fmt.Fprintf(w, "%s\t\t\t\t\t\t\t\t\t\t\n", was)
		}
		fmt.Fprintf(w, "\t%.0f\t%s\t%.3f\t%.2f\t%.3f\t%v\t%v\t%v\t%d\t\n", r.rate, r.client.name, r.perCall(), float64(r.tries)/r.allowed(),
			r.answered(), ms(median(r.late)), ms(slices.Max(r.late)), r.slowestRefuse, len(r.late))
	}
}

func printPartial(rows []partial) {
	if !testing.Verbose() {
		return
	}
	w := newTable("a share of the tries fails for 30 s: users' calls that succeed")
	defer w.Flush()
	fmt.Fprintln(w, "failing\tcalls/s\twith breaker\twithout\ttries per call\twithout\tseeds\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%.0f %%\t%.0f\t%.4f\t%.4f\t%.3f\t%.3f\t%d\t\n", 100*r.share, r.rate,
			r.with.share(), r.without.share(), r.with.perCall(), r.without.perCall(), r.seeds)
	}
}

func newTable(title string) *tabwriter.Writer {
	fmt.Printf("\n%s\n\n", title)
	return tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
