package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// showProgress tells w how a phase goes, until the function that it returns is
// called: on a terminal by a line that changes, elsewhere by a line a second.
func showProgress(w io.Writer, ph phase, clients []*client) (stop func()) {
	every, before, after := time.Second, "", "\n"
	if isTerminal(w) {
		every, before, after = 100*time.Millisecond, "\r\x1b[K", ""
	}
	began := time.Now()
	show := func() {
		_, _ = fmt.Fprint(w, before, progress(ph, time.Since(began), clients), after)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		_, _ = fmt.Fprint(w, before)
	}
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

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
