//go:build unix

package console

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

const perSecond = 50_000 // decisions

// load is what 50 keys in trouble decide.
var load = func() []policy.Decision {
	kinds := []policy.Decision{
		{Policy: policy.PolicyBreaker, Action: policy.ActionAdmit},
		{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Limit: 20, InFlight: 7},
		{Policy: policy.PolicyRateLimit, Action: policy.ActionAdmit, Limit: 100},
		{Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen, RetryAfter: time.Second},
		{Policy: policy.PolicyRetry, Action: policy.ActionWait, Reason: policy.ReasonStatus, Took: 80 * time.Millisecond},
	}
	var all []policy.Decision
	for i := range 50 {
		for _, d := range kinds {
			d.Key = fmt.Sprintf("https://api-%d.example.com:443", i)
			all = append(all, d)
		}
	}
	return all
}()

// measure tells o decisions at an even pace.
func measure(name string, o policy.Observer) row {
	ctx, told := context.Background(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, busy := time.Now(), processor()
	for time.Since(began) < lasts() {
		<-tick.C
		for due := int(time.Since(began).Seconds() * perSecond); told < due; told++ {
			d := load[told%len(load)]
			d.Began = time.Now()
			o.Observe(ctx, d)
		}
	}
	elapsed := time.Since(began).Seconds()
	return row{name, float64(told) / elapsed, (processor() - busy).Seconds() / elapsed}
}

// processor is the time that the process has had of all cores.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
