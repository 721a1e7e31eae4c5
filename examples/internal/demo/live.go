package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Live tells w how something goes, until the function that it returns is called:
// on a terminal by a block of lines that changes, elsewhere by a line a second.
// Neither ends with a line break.
func Live(w io.Writer, block, line func() string) (stop func()) {
	if !IsTerminal(w) {
		return every(time.Second, func() { _, _ = fmt.Fprintln(w, line()) })
	}
	s := screen{w: w}
	halt := every(100*time.Millisecond, func() { s.show(block()) })
	return func() {
		halt()
		s.erase()
	}
}

// every calls f so often, until the function that it returns has returned.
func every(d time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// screen is the lower end of a terminal.
type screen struct {
	w     io.Writer
	above int // lines of the block above the cursor
}

func (s *screen) show(block string) {
	s.erase()
	_, _ = fmt.Fprint(s.w, block)
	s.above = strings.Count(block, "\n")
}

func (s *screen) erase() {
	if s.above > 0 {
		_, _ = fmt.Fprintf(s.w, "\x1b[%dA", s.above)
	}
	_, _ = fmt.Fprint(s.w, "\r\x1b[J")
	s.above = 0
}

// IsTerminal reports whether lines of w can change.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
