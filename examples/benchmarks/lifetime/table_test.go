package lifetime

import (
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
	"time"
)

func (r row) share() float64 { return float64(r.failed) / float64(max(r.requests, 1)) }

func printRows(rows []row) {
	if !testing.Verbose() {
		return
	}
	w := newTable(fmt.Sprintf("%v of mixed load at a lifetime of %v; leaked: connections a second after the end", lasts(), maxLifetime))
	defer w.Flush()
	fmt.Fprintln(w, "protocol\tclient\trequests\tfailed\t\tconnections\tat a time\toldest\tleaked\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.2f %%\t%d\t%d\t%v\t%d\t\n", r.protocol, r.contender, r.requests, r.failed, 100*r.share(),
			r.dialled, r.most, r.oldest.Round(time.Millisecond), r.left)
	}
}

func printIdle(rows []row) {
	if !testing.Verbose() {
		return
	}
	w := newTable(fmt.Sprintf("%v of POSTs with pauses of 1 to 3 ms; the server closes connections after %v", lasts(), idleTimeout))
	defer w.Flush()
	fmt.Fprintln(w, "client\tPOSTs\tfailed\t\tconnections\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f %%\t%d\t\n", r.contender, r.requests, r.failed, 100*r.share(), r.dialled)
	}
}

func newTable(title string) *tabwriter.Writer {
	fmt.Printf("\n%s\n\n", title)
	return tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
}
