package policy

import (
	"context"
	"iter"
	"runtime"
	"time"
	"weak"
)

// Status is how a policy, or a part of it, stands at one moment: what a
// [Decision] is to an event, a Status is to a state. It is a value: copy it
// freely. What does not apply is zero.
type Status struct {
	Policy   string // which policy, as in a [Decision]
	Key      string // for which key; empty without keys
	Endpoint string // the address behind the key; empty for the policy itself
	// State has a word of its own for each kind of policy: those of [State] for a
	// breaker, those of the pool's EndpointState for an endpoint; empty where the
	// figures say all.
	State  string
	Forced bool // by hand

	Limit    int           // of tries in flight, per period, of connections or of tokens
	Per      time.Duration // the period
	InFlight int           // tries
	Queued   int           // tries, or callers, that wait
	Keys     int           // of a limit that counts for each by itself

	Calls, Failures, Slow int           // in the window; Failures of an endpoint: in a row
	Trials                int           // under way
	Tokens                float64       // retries that a budget grants at once; it saves up to Limit
	RetryAfter            time.Duration // until a trial is due, a hold is over or an endpoint returns
	Latency               time.Duration // usual time to the response headers

	Active, Idle, Creating int           // connections
	Oldest, Newest         time.Duration // ages of connections
	Ejections              int           // so far
}

// Result is how one try of a transport ended, or one request to a server. It is
// no decision, only what the kit saw.
type Result struct {
	Inbound bool   // a request to a server rather than a try of a transport
	Key     string // of the try
	Route   string // of the request
	// Ended is when the response headers came, or the error instead of them; for a
	// request, when its handler ended. Took is how long that took.
	Ended   time.Time
	Took    time.Duration
	Outcome Outcome // as the policies are told
}

// Watcher is implemented by observers that also look at how the observed stands.
// Policies, pools, transports and middleware show themselves to such an observer
// when they are made. An observer that wraps another hides that unless it has a
// method Unwrap() Observer, or is of [Observers].
type Watcher interface {
	// Watch adds something to look at, until stop is called. statuses may be
	// ranged over at any time and by several goroutines.
	Watch(statuses iter.Seq[Status]) (stop func())
}

// ResultObserver is implemented by observers that are also told how tries and
// requests ended; for wrapped ones see [Watcher]. ObserveResult runs on the goroutine that they ended on, with
// no lock held.
type ResultObserver interface {
	ObserveResult(ctx context.Context, r Result)
}

// Watch shows v to those of o that are a [Watcher], until stop is called or v is
// no longer used by anybody else: to be watched keeps nothing alive, as long as
// statuses uses nothing but its argument. It must be safe for concurrent use. A
// nil v is not shown.
func Watch[T any](o Observer, v *T, statuses func(*T) iter.Seq[Status]) (stop func()) {
	watchers := those[Watcher](o)
	if len(watchers) == 0 || v == nil {
		return func() {}
	}
	watched := weak.Make(v)
	read := func(yield func(Status) bool) {
		if v := watched.Value(); v != nil {
			statuses(v)(yield)
		}
	}
	stops := make([]func(), 0, len(watchers))
	for _, w := range watchers {
		stops = append(stops, w.Watch(read))
	}
	cleanup := runtime.AddCleanup(v, stopAll, stops)
	return func() {
		cleanup.Stop()
		stopAll(stops)
	}
}

func stopAll(stops []func()) {
	for _, stop := range stops {
		stop()
	}
}

// ResultObservers returns those of o that are a [ResultObserver], as one; nil if
// none is.
func ResultObservers(o Observer) ResultObserver {
	switch all := those[ResultObserver](o); len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		return resultFanOut(all)
	}
}

type resultFanOut []ResultObserver

func (f resultFanOut) ObserveResult(ctx context.Context, r Result) {
	for _, o := range f {
		o.ObserveResult(ctx, r)
	}
}

// those returns o, or those that o fans out to or wraps, as far as they are a T.
func those[T any](o Observer) []T {
	if f, ok := o.(fanOut); ok {
		var all []T
		for _, each := range f {
			all = append(all, those[T](each)...)
		}
		return all
	}
	if t, ok := o.(T); ok {
		return []T{t}
	}
	if w, ok := o.(interface{ Unwrap() Observer }); ok {
		return those[T](w.Unwrap())
	}
	return nil
}

// show is Watch for a policy that has one status.
func show[T any](o Observer, v *T, status func(*T) Status) {
	Watch(o, v, func(v *T) iter.Seq[Status] {
		return func(yield func(Status) bool) { yield(status(v)) }
	})
}
