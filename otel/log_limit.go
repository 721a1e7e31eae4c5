package otel

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// logKindsMax bounds the kinds that are told apart.
const logKindsMax = 1000

// logLimit lets one decision of a kind through and counts those that follow, to
// tell of them when the interval is over. A kind of which none followed is
// forgotten then.
//
// One timer serves all kinds. It is made when the first kind is met and after
// each sweep that leaves some, so that only one sweep runs at a time: a handler
// that blocks holds up one goroutine, and no caller whose decision is counted.
type logLimit struct {
	interval  time.Duration
	summarize func(logSummary) // called with mu free

	mu sync.Mutex
	// Guarded by mu.
	runs  map[logKind]*logRun // nil once closed
	queue []*logRun           // the same, in the order in which their intervals end
	timer *time.Timer         // of the next sweep
	armed bool                // from when the timer is made to when its sweep is over
}

// logKind is what shares an interval.
type logKind struct {
	level    slog.Level
	policy   string
	action   policy.Action
	reason   policy.Reason
	key      string
	endpoint string // one that is ejected must not hide another
	shadow   bool
}

// logRun is one kind's interval.
type logRun struct {
	kind       logKind
	began      time.Time
	suppressed int
	last       policy.Decision // of those that were suppressed
	origin     origin          // the last of theirs whose trace is kept somewhere, if any is
}

// logSummary stands for all that was suppressed.
type logSummary struct {
	level      slog.Level
	suppressed int
	over       time.Duration
	last       policy.Decision
	origin     origin
}

func newLogLimit(interval time.Duration, summarize func(logSummary)) *logLimit {
	return &logLimit{interval: interval, summarize: summarize, runs: make(map[logKind]*logRun)}
}

// admit reports whether d is to be logged now.
func (l *logLimit) admit(level slog.Level, d policy.Decision, from origin) bool {
	k := logKind{level, d.Policy, d.Action, d.Reason, short(d.Key), short(d.Endpoint), d.Shadow}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		return false
	}
	run := l.find(k)
	if run == nil {
		return true
	}
	run.suppress(d, from)
	return false
}

// close ends all intervals.
func (l *logLimit) close() {
	for _, run := range l.clear() {
		if run.suppressed > 0 {
			l.summarize(run.summary(time.Now()))
		}
	}
}

func (l *logLimit) clear() []*logRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.queue
	l.runs, l.queue = nil, nil
	if l.timer != nil {
		l.timer.Stop()
	}
	return all
}

// find returns the run that d is part of; nil if it is the first of one. Beyond
// the bound kinds differ no longer by key, and if that does not help, by
// nothing but their level. It requires mu.
func (l *logLimit) find(k logKind) *logRun {
	if run, ok := l.runs[k]; ok {
		return run
	}
	if len(l.runs) >= logKindsMax {
		k.key, k.endpoint = other, ""
		if run, ok := l.runs[k]; ok {
			return run
		}
	}
	if len(l.runs) >= 2*logKindsMax {
		k = logKind{level: k.level, policy: other, action: other, key: other}
		if run, ok := l.runs[k]; ok {
			return run
		}
	}
	l.begin(k)
	return nil
}

// begin requires mu. A key may be a few bytes of a large header, which is not to
// be kept.
func (l *logLimit) begin(k logKind) {
	k.key, k.endpoint = strings.Clone(k.key), strings.Clone(k.endpoint)
	run := &logRun{kind: k, began: time.Now()}
	l.runs[k] = run
	l.queue = append(l.queue, run)
	l.arm()
}

// arm requires mu.
func (l *logLimit) arm() {
	if l.armed || len(l.queue) == 0 {
		return
	}
	l.armed = true
	l.timer = time.AfterFunc(l.interval-time.Since(l.queue[0].began), l.sweep)
}

func (l *logLimit) sweep() {
	defer l.swept() // whatever becomes of the handler
	for {
		s, ok := l.due()
		if !ok {
			return
		}
		l.summarize(s)
	}
}

func (l *logLimit) swept() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	l.arm()
}

// due takes the next summary whose time has come. Its kind begins anew without a
// line of its own, so that a storm is one line per interval.
func (l *logLimit) due() (logSummary, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for len(l.queue) > 0 && now.Sub(l.queue[0].began) >= l.interval {
		run := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
		if run.suppressed == 0 {
			delete(l.runs, run.kind)
			continue
		}
		s := run.summary(now)
		*run = logRun{kind: run.kind, began: now}
		l.queue = append(l.queue, run)
		return s, true
	}
	return logSummary{}, false
}

func (r *logRun) suppress(d policy.Decision, from origin) {
	r.suppressed++
	route, note := kept(r.last.Route, d.Route), kept(r.last.Note, d.Note)
	r.last = d
	r.last.Route, r.last.Note = route, note
	// The kind's own texts are short, and do not name one key of many.
	r.last.Policy, r.last.Action, r.last.Reason = r.kind.policy, r.kind.action, r.kind.reason
	r.last.Key, r.last.Endpoint = r.kind.key, r.kind.endpoint
	if from.span.IsSampled() || !r.origin.span.IsSampled() {
		r.origin = from
	}
}

// kept is text cut short and on its own, made anew only if it is another than had.
func kept(had, text string) string {
	if text = short(text); text == had {
		return had
	}
	return strings.Clone(text)
}

func (r *logRun) summary(now time.Time) logSummary {
	return logSummary{r.kind.level, r.suppressed, now.Sub(r.began), r.last, r.origin}
}
