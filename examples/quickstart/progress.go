package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// showProgress tells w how a phase goes, until the function that it returns is
// called: on a terminal by a line that changes, elsewhere by a line a second.
func showProgress(w io.Writer, ph phase, clients []*client) (stop func()) {
	began := time.Now()
	show := func() string { return progress(ph, time.Since(began), clients) }
	return demo.Live(w, show, show)
}

func progress(ph phase, elapsed time.Duration, clients []*client) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %4.1f s", ph.name, elapsed.Seconds())
	for _, c := range clients {
		fmt.Fprintf(&b, " | %s: %d answered, %d failed, %d refused", c.name,
			c.counts[answered].Load(), c.counts[failed].Load(), c.counts[refused].Load())
		if state := c.breaker(); state != none() {
			fmt.Fprintf(&b, ", %s", state)
		}
	}
	return b.String()
}
