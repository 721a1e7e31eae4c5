package otel

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// ledger keeps the last decisions, a line each. One that comes again soon is
// counted on its line, so that a storm is a line and not a flood. Of one kind
// there are so many lines; while all of them go on, further keys share one.
type ledger struct {
	mu sync.Mutex
	// Guarded by mu:
	last    uint64           // id
	byEvent map[event]*entry // the line on which another of its kind is counted
	kinds   map[kind]*order
	all     order
}

const (
	linesMax  = 300
	kindMax   = linesMax / 4     // lines of a kind, besides that of the others
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

const elsewhere = "(others)"

// kind is what the event is, whomever it is about.
func (e *event) kind() kind { return kind{policy: e.policy, action: e.action, reason: e.reason} }

// others is the event that stands for those of its kind that have no line.
func (e *event) others() event {
	return event{policy: e.policy, action: e.action, reason: e.reason, key: elsewhere}
}

// kept is e with texts of its own: a key may be a few bytes of a large header,
// which is not to be kept.
func (e *event) kept() event {
	own := *e
	for _, text := range []*string{
		&own.policy, (*string)(&own.action), (*string)(&own.reason), &own.key, &own.endpoint, &own.route, &own.note,
	} {
		*text = strings.Clone(*text)
	}
	return own
}

// entry is a line.
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

	ofKind        *order
	inAll, inKind links
}

func (l *ledger) add(d policy.Decision, at time.Time, span trace.SpanContext) {
	e := event{
		bounded(d.Policy), policy.Action(bounded(string(d.Action))), policy.Reason(bounded(string(d.Reason))),
		bounded(d.Key), bounded(d.Endpoint), bounded(d.Route), bounded(d.Note), d.Priority, d.Shadow,
	}
	n, news := l.note(e, d, at, span)
	if !news {
		return
	}
	text := strings.Clone(bounded(d.Err.Error())) // the user's code, so nothing is locked
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.event == e {
		n.err, n.errAt = text, at
	}
}

// note counts the decision on its line, and reports whether the text of its error
// is wanted there.
func (l *ledger) note(e event, d policy.Decision, at time.Time, span trace.SpanContext) (n *entry, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = l.line(e, at)
	if n == nil {
		n = l.begin(e, levelOf(d), at)
	}
	l.all.bringUp(n)
	n.ofKind.bringUp(n)
	n.count++
	n.took = d.Took
	if at.After(n.last) {
		n.last = at
	}
	if span.IsValid() {
		n.span = span
	}
	return n, d.Err != nil && (n.err == "" || at.Sub(n.errAt) >= errorText)
}

// The methods below require mu.

// line returns the one on which e is counted, nil if it begins one.
func (l *ledger) line(e event, at time.Time) *entry {
	if n := l.goesOn(e, at); n != nil {
		return n
	}
	k := l.kinds[e.kind()]
	if k == nil || k.len < kindMax || at.Sub(k.oldest.last) > sameLine {
		return nil
	}
	if n := l.goesOn(e.others(), at); n != nil {
		return n
	}
	return l.begin(e.others(), k.newest.level, at)
}

// goesOn returns the line of e if it is not over.
func (l *ledger) goesOn(e event, at time.Time) *entry {
	if n := l.byEvent[e]; n != nil && at.Sub(n.last) <= sameLine {
		return n
	}
	return nil
}

// begin makes a line, in the place of an old one if there is no room for more.
func (l *ledger) begin(e event, level slog.Level, at time.Time) *entry {
	if l.byEvent == nil {
		l.byEvent, l.kinds = make(map[event]*entry, linesMax), make(map[kind]*order)
		l.all.of = func(n *entry) *links { return &n.inAll }
	}
	if k := l.kinds[e.kind()]; k != nil && k.len > kindMax {
		l.forget(k.oldest)
	} else if l.all.len >= linesMax {
		l.forget(l.all.oldest)
	}
	l.last++
	n := &entry{event: e.kept(), id: l.last, level: level, first: at, last: at}
	if n.ofKind = l.kinds[n.kind()]; n.ofKind == nil {
		n.ofKind = &order{of: func(n *entry) *links { return &n.inKind }}
		l.kinds[n.kind()] = n.ofKind
	}
	l.byEvent[n.event] = n
	l.all.push(n)
	n.ofKind.push(n)
	return n
}

func (l *ledger) forget(n *entry) {
	if l.byEvent[n.event] == n {
		delete(l.byEvent, n.event)
	}
	l.all.unlink(n)
	if n.ofKind.unlink(n); n.ofKind.len == 0 {
		delete(l.kinds, n.kind())
	}
}

// recent returns copies of up to rows lines, newest first, and how many there are
// besides. No kind takes more than a quarter of them from others, so that a storm
// does not hide what it came from.
func (l *ledger) recent(rows int) (lines []entry, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	spare := l.all.len - min(l.all.len, rows) // lines to leave out
	left = spare
	taken := make(map[kind]int, len(l.kinds))
	for n := l.all.newest; n != nil; n = n.inAll.older {
		k := n.kind()
		if taken[k]++; taken[k] > rows/4 && spare > 0 {
			spare--
			continue
		}
		if len(lines) < rows {
			lines = append(lines, *n)
		}
	}
	return lines, left
}

// bounded keeps no more of a text than textMax.
func bounded(s string) string {
	if len(s) <= textMax {
		return s
	}
	return short(s) + "…"
}

// ended is when a decision had been taken.
func ended(d policy.Decision) time.Time {
	if d.Began.IsZero() {
		return time.Now()
	}
	return d.Began.Add(d.Took)
}
