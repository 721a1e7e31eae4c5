package limit

import (
	"fmt"
	"math"
	"os"
	"time"
)

var tracing = os.Getenv("LITTLE_TRACE") != ""

func (l *Little) trace(now time.Duration, what string, r, x float64, n float64, extra ...any) {
	if tracing {
		fmt.Fprintf(os.Stderr, "%8.3f %-8s L=%.1f base=%.1fms r=%.1fms X=%.0f n=%.0f slots=%.1f val=%.1f probe=%d D=%.3f %v\n", now.Seconds(), what, l.limit, 1000*math.Exp(l.base.mean), 1000*math.Exp(r), math.Exp(x), n, l.slots, l.validated, l.probe.limit, l.deadline.mean, extra)
	}
}
