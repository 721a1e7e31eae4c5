package overload

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

func report(s scenario, outcomes []outcome) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintf(w, "\n%s\tgoodput\tp50\tp99\tcan do/s\t", s.name)
	if s.critical > 0 {
		fmt.Fprint(w, "critical answered\ttheir p99\t")
	}
	fmt.Fprintln(w)
	for _, o := range outcomes {
		fmt.Fprintf(w, "%s\t%.3f\t%v\t%v\t%.0f\t", o.contender, o.goodput, ms(o.p50), ms(o.p99), o.capacity)
		if s.critical > 0 {
			fmt.Fprintf(w, "%.3f\t%v\t", o.critical.answered, ms(o.critical.p99))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
