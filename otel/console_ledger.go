package otel

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// ledger keeps the last decisions, a line each. One that comes again soon is
// counted on its line, so that a storm is a line and not a flood.
type ledger struct {
	mu sync.Mutex
	// Guarded by mu:
	lines   int
	last    uint64           // id
	byEvent map[event]*entry // the line on which another of its kind is counted
	byKind  map[kind]int     // lines of the kind, whatever their key
	newest  *entry
	oldest  *entry
}

const (
	linesMax  = 300
	kindMax   = linesMax / 4     // so that a storm of one kind over many keys leaves the others room
	sameLine  = 10 * time.Second // no longer between two decisions on one line
	errorText = time.Second      // how often the text of an error is made anew
)

// event is what decisions on one line have in common.
type event struct {
	policy   string
	action   policy.Action
	reason   policy.Reason
	key      string
	endpoint string
	route    string
	note     string
	priority policy.Priority
	shadow   bool
}

// kind is what the event is, whomever it is about.
func (e *event) kind() kind { return kind{policy: e.policy, action: e.action, reason: e.reason} }

type entry struct {
	event

	id          uint64
	level       slog.Level
	count       uint64
	first, last time.Time
	took        time.Duration // of the last
	err         string        // of the last, or of one a little before it
	errAt       time.Time
	span        trace.SpanContext // of the last that has one

	newer, older *entry
}

func (l *ledger) add(d policy.Decision, at time.Time, span trace.SpanContext) {
	e := event{
		d.Policy, d.Action, d.Reason, bounded(d.Key), bounded(d.Endpoint), bounded(d.Route), bounded(d.Note),
		d.Priority, d.Shadow,
	}
	if l.note(e, levelOf(d), at, d.Took, span, d.Err != nil) {
		return
	}
	text := bounded(d.Err.Error()) // the user's code, so nothing is locked
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.byEvent[e]; n != nil {
		n.err, n.errAt = text, at
	}
}

// note puts the decision on its line, and reports whether that is all.
func (l *ledger) note(e event, level slog.Level, at time.Time, took time.Duration, span trace.SpanContext, failed bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.byEvent[e]
	if n == nil || at.Sub(n.last) > sameLine {
		n = l.begin(e, level, at)
	} else if n != l.newest {
		l.unlink(n)
		l.push(n)
	}
	n.count++
	n.took = took
	if at.After(n.last) {
		n.last = at
	}
	if span.IsValid() {
		n.span = span
	}
	return !failed || n.err != "" && at.Sub(n.errAt) < errorText
}

// The methods below require mu.

// begin makes the newest line, of an old one if there is no room for more.
func (l *ledger) begin(e event, level slog.Level, at time.Time) *entry {
	if l.byEvent == nil {
		l.byEvent, l.byKind = make(map[event]*entry, linesMax), make(map[kind]int)
	}
	n := l.leaving(e.kind())
	if n == nil {
		n = new(entry)
		l.lines++
	} else {
		l.forget(n)
	}
	l.last++
	*n = entry{event: e, id: l.last, level: level, first: at, last: at}
	l.byEvent[e] = n
	l.byKind[e.kind()]++
	l.push(n)
	return n
}

// leaving returns the line that a new one of kind k takes the place of, nil if
// there is room.
func (l *ledger) leaving(k kind) *entry {
	switch {
	case l.byKind[k] >= kindMax:
		n := l.oldest
		for n.kind() != k {
			n = n.newer
		}
		return n
	case l.lines >= linesMax:
		return l.oldest
	}
	return nil
}

func (l *ledger) forget(n *entry) {
	l.unlink(n)
	if l.byEvent[n.event] == n {
		delete(l.byEvent, n.event)
	}
	k := n.kind()
	if l.byKind[k]--; l.byKind[k] == 0 {
		delete(l.byKind, k)
	}
}

func (l *ledger) push(n *entry) {
	n.older, n.newer = l.newest, nil
	if l.newest == nil {
		l.oldest = n
	} else {
		l.newest.newer = n
	}
	l.newest = n
}

func (l *ledger) unlink(n *entry) {
	if n.newer == nil {
		l.newest = n.older
	} else {
		n.newer.older = n.older
	}
	if n.older == nil {
		l.oldest = n.newer
	} else {
		n.older.newer = n.newer
	}
}

// recent returns copies of the last lines, newest first.
func (l *ledger) recent() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]entry, 0, l.lines)
	for n := l.newest; n != nil; n = n.older {
		all = append(all, *n)
	}
	return all
}

// bounded keeps no more of a text than textMax, and none of the rest alive.
func bounded(s string) string {
	if len(s) <= textMax {
		return s
	}
	return short(s) + "…" // a string of its own
}

// ended is when a decision had been taken.
func ended(d policy.Decision) time.Time {
	if d.Began.IsZero() {
		return time.Now()
	}
	return d.Began.Add(d.Took)
}
